//! Every user as one list, whatever becomes of the streams that it is read from: one that breaks
//! off is gone on with behind the last user that came.

use super::{
    client::Client,
    failure::Failure,
    retry::{ATTEMPTS, back_off},
};
use crate::users::v1::User;

pub(super) struct UserList {
    client: Client,
    page_size: i32,
    stream: Option<tonic::Streaming<User>>,
    /// The id of the last user that came.
    last: String,
    /// Attempts since then.
    attempt: u32,
}

impl UserList {
    pub(super) fn new(client: Client, page_size: i32) -> Self {
        Self { client, page_size, stream: None, last: String::new(), attempt: 1 }
    }

    /// The next user; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<User>, Failure> {
        loop {
            match self.read().await {
                Ok(user) => {
                    self.attempt = 1;
                    if let Some(user) = &user {
                        self.last.clone_from(&user.id);
                    }
                    return Ok(user);
                }
                Err(failure) if self.attempt < ATTEMPTS && self.may_go_on(&failure) => {
                    self.stream = None;
                    back_off(self.attempt).await;
                    self.attempt += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// From the stream, or from a new one.
    async fn read(&mut self) -> Result<Option<User>, Failure> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = self.client.open_list(self.page_size, &self.last).await?;
                self.stream.insert(stream)
            }
        };
        self.client.next(stream).await
    }

    fn may_go_on(&self, failure: &Failure) -> bool {
        match self.last.is_empty() {
            true => failure.is_transient(),
            false => failure.is_unavailable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::super::{client::SILENCE_LIMIT, stub::Stub};

    /// The ids that come, and how they end.
    async fn read(stub: &Stub) -> (Vec<String>, Result<(), String>) {
        let (mut list, mut ids) = (stub.client().list(100), Vec::new());
        loop {
            match list.next().await {
                Ok(Some(user)) => ids.push(user.id),
                Ok(None) => return (ids, Ok(())),
                Err(failure) => return (ids, Err(failure.to_string())),
            }
        }
    }

    fn unavailable() -> Status {
        Status::unavailable("not now")
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_breaks_off_goes_on_behind_the_last_user() {
        let stub = Stub::with_users(5);
        for users in [0, 0, 2, 0, 1] {
            stub.break_list_after(users, unavailable());
        }
        let (ids, end) = read(&stub).await;
        assert_eq!((ids.len(), end), (5, Ok(())));
        assert!(ids.is_sorted() && ids[0] == "id-0001", "{ids:?}");
        let tokens: Vec<_> = stub.calls().iter().map(|c| c[11..].to_owned()).collect();
        assert_eq!(tokens, ["", "", "", "id-0002", "id-0002", "id-0003"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_outlives_its_connection() {
        let stub = Stub::with_users(5);
        stub.cut_list_after(2);
        stub.cut_list_after(1);
        assert_eq!(read(&stub).await, (ids_of(5), Ok(())));
        assert_eq!(stub.calls().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_answers_no_ping_is_given_up_before_its_silence_is() {
        let stub = Stub::with_users(5);
        stub.freeze_list_after(2);
        let started = tokio::time::Instant::now();
        assert_eq!(read(&stub).await, (ids_of(5), Ok(())));
        assert_eq!(stub.calls().len(), 2);
        assert!(started.elapsed() < SILENCE_LIMIT, "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_given_up_after_three_attempts_without_a_user() {
        let stub = Stub::with_users(5);
        for users in [1, 0, 0] {
            stub.break_list_after(users, unavailable());
        }
        let (ids, end) = read(&stub).await;
        assert_eq!((ids.len(), end), (1, Err("UNAVAILABLE: not now".to_owned())));
        assert_eq!(stub.calls().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_pass_ends_it() {
        let stub = Stub::with_users(5);
        stub.break_list_after(1, Status::internal("broken"));
        let (ids, end) = read(&stub).await;
        assert_eq!((ids.len(), end), (1, Err("INTERNAL: broken".to_owned())));
        assert_eq!(stub.calls().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_behind_a_user_is_a_failure() {
        let stub = Stub::with_users(5);
        stub.hang_list_after(2);
        let started = tokio::time::Instant::now();
        let (ids, end) = read(&stub).await;
        assert_eq!(ids.len(), 2);
        assert_eq!(end, Err("DEADLINE_EXCEEDED: no message within 60 s".to_owned()));
        assert!(started.elapsed() >= SILENCE_LIMIT);
        // In front of the first, it may be tried again.
        stub.hang_list_after(0);
        assert_eq!(read(&stub).await, (ids_of(5), Ok(())));
    }

    fn ids_of(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("id-{number:04}")).collect()
    }
}
