//! The client of `user.v1.UserService`: what callers of the service should do by default.
//!
//! A call of one message has a deadline for each attempt, told to the service and kept here too.
//! Calls without side effects are tried again; the others only if the service has seen nothing of
//! them. A stream may take as long as it likes, but not be silent for long.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures_util::stream;
use tokio::sync::watch;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
};

use super::{channel::Transport, failure::Failure, retry::retry, user_list::UserList};
use crate::users::v1::{
    BulkCreateResponse, CreateUserRequest, GetUserRequest, ListUsersRequest, User,
    user_service_client::UserServiceClient,
};

/// How long a stream may be silent: neither a message nor its end.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(60);

type Grpc = UserServiceClient<Transport>;

#[derive(Clone)]
pub(super) struct Client {
    grpc: Grpc,
    url: String,
    authorization: Option<MetadataValue<Ascii>>,
    deadline: Duration,
}

impl Client {
    pub(super) fn new(
        transport: Transport,
        url: String,
        authorization: Option<MetadataValue<Ascii>>,
        deadline: Duration,
    ) -> Self {
        Self { grpc: Grpc::new(transport), url, authorization, deadline }
    }

    /// Whom it calls.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn get(&self, user_id: &str) -> Result<User, Failure> {
        let request = GetUserRequest { user_id: user_id.to_owned() };
        let call = |mut grpc: Grpc, request| async move { grpc.get_user(request).await };
        retry(Failure::is_transient, || self.unary(request.clone(), call)).await
    }

    pub(super) async fn create(&self, request: CreateUserRequest) -> Result<User, Failure> {
        let call = |mut grpc: Grpc, request| async move { grpc.create_user(request).await };
        retry(Failure::is_unsent, || self.unary(request.clone(), call)).await
    }

    /// Every user, read as they are asked for.
    pub(super) fn list(&self, page_size: i32) -> UserList {
        UserList::new(self.clone(), page_size)
    }

    /// Creates many users in one call.
    pub(super) async fn bulk_create(
        &self,
        rows: Arc<[CreateUserRequest]>,
    ) -> Result<BulkCreateResponse, Failure> {
        retry(Failure::is_unsent, || self.send_rows(Arc::clone(&rows))).await
    }

    async fn send_rows(
        &self,
        rows: Arc<[CreateUserRequest]>,
    ) -> Result<BulkCreateResponse, Failure> {
        let (sent, mut is_sending) = watch::channel(());
        let messages = (0..rows.len()).map(move |row| {
            sent.send_replace(());
            rows[row].clone()
        });
        let mut grpc = self.grpc.clone();
        let call = grpc.bulk_create_users(self.request(stream::iter(messages)));
        let mut call = std::pin::pin!(call);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return self.message(answer),
                Ok(()) = is_sending.changed() => {}
                () = tokio::time::sleep(SILENCE_LIMIT) => {
                    return Err(Failure::deadline("answer", SILENCE_LIMIT));
                }
            }
        }
    }

    /// Opens a list behind the id `page_token`.
    pub(super) async fn open_list(
        &self,
        page_size: i32,
        page_token: &str,
    ) -> Result<tonic::Streaming<User>, Failure> {
        let message = ListUsersRequest { page_size, page_token: page_token.to_owned() };
        let mut grpc = self.grpc.clone();
        let call = grpc.list_users(self.request(message));
        self.message(within(SILENCE_LIMIT, "answer", call).await?)
    }

    /// The next message of a stream that this client opened.
    pub(super) async fn next<M>(
        &self,
        stream: &mut tonic::Streaming<M>,
    ) -> Result<Option<M>, Failure> {
        let next = within(SILENCE_LIMIT, "message", stream.message()).await?;
        next.map_err(|status| self.failure(status))
    }

    /// One attempt at a call of one message.
    async fn unary<Q, A, F>(
        &self,
        message: Q,
        call: impl FnOnce(Grpc, Request<Q>) -> F,
    ) -> Result<A, Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut request = self.request(message);
        request.set_timeout(self.deadline);
        let call = call(self.grpc.clone(), request);
        self.message(within(self.deadline, "answer", call).await?)
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    fn message<M>(&self, answer: Result<Response<M>, Status>) -> Result<M, Failure> {
        answer.map(Response::into_inner).map_err(|status| self.failure(status))
    }

    fn failure(&self, status: Status) -> Failure {
        Failure::of(status, &self.url)
    }
}

/// Without whom it calls as.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What `call` gives, within `limit`. The limit goes first: tonic has a clock of its own for
/// deadlines, and calls a call that is late cancelled.
async fn within<T>(
    limit: Duration,
    what: &str,
    call: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = tokio::time::sleep(limit) => Err(Failure::deadline(what, limit)),
        answer = call => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::{super::stub::Stub, *};

    fn user() -> CreateUserRequest {
        CreateUserRequest { email: "a@b".into(), ..CreateUserRequest::default() }
    }

    /// What fails, in short.
    fn code<T>(result: Result<T, Failure>) -> String {
        let Err(failure) = result else { panic!("it succeeded") };
        failure.to_string().split(':').next().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_has_a_deadline_that_is_told_and_kept() {
        let stub = Stub::with_users(1);
        stub.hang();
        let client = stub.client();
        assert_eq!(client.get("id-0001").await.unwrap().email, "1@b");
        // What is left of it when the header is written.
        assert_eq!(stub.calls(), ["get_user Bearer t0ken 5000000u"; 2]);

        for _ in 0..3 {
            stub.hang();
        }
        assert_eq!(code(client.get("id-0001").await), "DEADLINE_EXCEEDED");
        assert_eq!(stub.calls().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_has_no_side_effects_is_tried_again() {
        let stub = Stub::with_users(1);
        let client = stub.client();
        stub.fail(Status::unavailable("not now"));
        stub.fail(Status::deadline_exceeded("slow"));
        assert!(client.get("id-0001").await.is_ok());
        assert_eq!(stub.calls().len(), 3);
        stub.fail(Status::internal("broken"));
        assert_eq!(code(client.get("id-0001").await), "INTERNAL");
        assert_eq!(code(client.get("nobody").await), "NOT_FOUND");
        assert_eq!(stub.calls().len(), 5);

        stub.fail(Status::unavailable("not now"));
        assert_eq!(code(client.create(user()).await), "UNAVAILABLE");
        stub.hang();
        assert_eq!(code(client.create(user()).await), "DEADLINE_EXCEEDED");
        stub.fail(Status::unavailable("not now"));
        assert_eq!(code(client.bulk_create([user()].into()).await), "UNAVAILABLE");
        assert_eq!(stub.calls().len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_sent_is_sent_again_whatever_it_does() {
        let stub = Stub::default();
        stub.refuse_connections(2);
        assert!(stub.client().create(user()).await.is_ok());
        stub.refuse_connections(2);
        let answer = stub.client().bulk_create([user(), user()].into()).await.unwrap();
        assert_eq!(answer.created_count, 2);
        stub.refuse_connections(3);
        assert_eq!(code(stub.client().create(user()).await), "UNAVAILABLE");
        assert_eq!(stub.calls().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_with_many_messages_may_not_be_answered_by_silence() {
        let stub = Stub::default();
        stub.hang();
        let started = tokio::time::Instant::now();
        assert_eq!(code(stub.client().bulk_create([user()].into()).await), "DEADLINE_EXCEEDED");
        assert!(started.elapsed() >= SILENCE_LIMIT);
        assert_eq!(stub.calls(), ["bulk_create_users Bearer t0ken -"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_keeps_its_violations() {
        let stub = Stub::default();
        let details = ErrorDetails::with_bad_request_violation("email", "must hold an @");
        stub.fail(Status::with_error_details(Code::InvalidArgument, "Invalid email", details));
        let failure = stub.client().create(user()).await.unwrap_err().to_string();
        assert_eq!(failure, "INVALID_ARGUMENT: Invalid email\n  email: must hold an @");
    }
}
