//! `UserUpdates`: changes in, changes out.
//!
//! What is answered comes from the one numbered log of changes, own changes included: so each is
//! told once and in its place, whether this call made it, subscribed to it, or both.

use std::collections::{BTreeSet, HashMap};

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::time::Instant;
use tonic::Status;

use super::{
    Change, UserRecord,
    auth::invalid_token,
    feed::{Feed, FeedError, Subscription},
    refusal,
    service::{UserService, message},
    v1::{User, UserStatus, UserUpdateRequest},
    validation::Fields,
};

/// How many users one call may be subscribed to one by one.
const SUBSCRIPTION_LIMIT: usize = 1_024;

/// How many changes of a call may wait for their answers: no further request is read before.
const UNANSWERED_LIMIT: usize = 64;

/// The answers to `requests`, until the caller's token expires, if it has one.
///
/// A request that has come with the call is done before there is an answer at all: whoever sees
/// the head of that knows that the subscription holds, or is refused as with any other method.
pub(super) async fn answers<R>(
    service: UserService,
    requests: R,
    expiry: Option<Instant>,
) -> Result<impl Stream<Item = Result<User, Status>> + Send, Status>
where
    R: Stream<Item = Result<UserUpdateRequest, Status>> + Send + Unpin,
{
    let mut call = Call {
        service,
        requests: Some(requests),
        subscription: None,
        wanted: Wanted::default(),
        failure: None,
        expiry,
        is_over: false,
    };
    let first = call.requests.as_mut().and_then(|requests| requests.next().now_or_never());
    if let Some(first) = first {
        call.took(first.transpose()).await;
        if let Some(refused) = call.failure.take() {
            return Err(refused);
        }
    }
    Ok(stream::unfold(call, |mut call| async {
        let answer = match call.is_over {
            true => None,
            false => call.next().await.transpose(),
        }?;
        call.is_over = answer.is_err();
        Some((answer, call))
    }))
}

struct Call<R> {
    service: UserService,
    /// None once the caller has sent its last.
    requests: Option<R>,
    /// From the first request on.
    subscription: Option<Subscription>,
    wanted: Wanted,
    /// Why there are no further requests. Told behind the answers to those before.
    failure: Option<Status>,
    expiry: Option<Instant>,
    is_over: bool,
}

/// Which changes a call is to be told of.
#[derive(Default)]
struct Wanted {
    /// All that have a higher number.
    all_since: Option<i64>,
    /// Those of a user that have a higher number.
    users_since: HashMap<String, i64>,
    /// Those that this call made.
    own: BTreeSet<i64>,
}

impl Wanted {
    fn takes(&mut self, change: &Change) -> bool {
        let is_own = self.own.remove(&change.seq);
        let since = self.users_since.get(&change.user.id).copied();
        is_own || self.all_since.into_iter().chain(since).any(|since| change.seq > since)
    }

    fn is_subscribed(&self) -> bool {
        self.all_since.is_some() || !self.users_since.is_empty()
    }
}

impl<R: Stream<Item = Result<UserUpdateRequest, Status>> + Unpin> Call<R> {
    /// The next answer; None when there are no more to come.
    async fn next(&mut self) -> Result<Option<User>, Status> {
        loop {
            if self.requests.is_none() && self.wanted.own.is_empty() {
                match self.failure.take() {
                    Some(failure) => return Err(failure),
                    None if !self.wanted.is_subscribed() => return Ok(None),
                    None => {}
                }
            }
            let has_room = self.wanted.own.len() < UNANSWERED_LIMIT;
            let requests = self.requests.as_mut().filter(|_| has_room);
            tokio::select! {
                () = sleep_until(self.expiry) => return Err(invalid_token()),
                request = next_request(requests) => self.took(request.transpose()).await,
                change = next_change(self.subscription.as_mut()) => {
                    let change = change.map_err(missed)?;
                    if self.wanted.takes(&change) {
                        return Ok(Some(told(&change)));
                    }
                }
            }
        }
    }

    /// Does what a request says. Behind the last, or one that cannot be done, there are no more.
    async fn took(&mut self, request: Result<Option<UserUpdateRequest>, Status>) {
        let taken = match request {
            Ok(Some(request)) => self.take(request).await.map(|()| true),
            end => end.map(|_| false),
        };
        if !matches!(taken, Ok(true)) {
            self.requests = None;
            self.failure = taken.err();
        }
    }

    async fn take(&mut self, request: UserUpdateRequest) -> Result<(), Status> {
        let feed = self.service.feed();
        if self.subscription.is_none() {
            self.subscription = Some(feed.subscribe().await.map_err(refusal::store)?);
        }
        let UserUpdateRequest { user_id, email, name, status, update_mask } = request;
        match update_mask.filter(|mask| !mask.paths.is_empty()) {
            Some(mask) => {
                let fields = Fields { prefix: "", email: &email, name: &name, status };
                let patch = fields.patch(Some(&mask))?;
                let change = self.service.change(&user_id, patch).await?;
                self.wanted.own.insert(change.seq);
            }
            None => self.subscribe(&feed, user_id).await?,
        }
        Ok(())
    }

    async fn subscribe(&mut self, feed: &Feed, user_id: String) -> Result<(), Status> {
        let since = feed.last().await.map_err(refusal::store)?;
        if user_id.is_empty() {
            self.wanted.all_since.get_or_insert(since);
            return Ok(());
        }
        let UserRecord { id, .. } = self.service.find(&user_id).await?;
        let users = &mut self.wanted.users_since;
        if users.len() >= SUBSCRIPTION_LIMIT && !users.contains_key(&id) {
            let text =
                "one call subscribes to 1,024 users at most: an empty user_id is all of them";
            return Err(Status::resource_exhausted(text));
        }
        users.entry(id).or_insert(since);
        Ok(())
    }
}

async fn sleep_until(expiry: Option<Instant>) {
    match expiry {
        Some(expiry) => tokio::time::sleep_until(expiry).await,
        None => std::future::pending().await,
    }
}

async fn next_request<R: Stream + Unpin>(requests: Option<&mut R>) -> Option<R::Item> {
    match requests {
        Some(requests) => requests.next().await,
        None => std::future::pending().await,
    }
}

async fn next_change(
    subscription: Option<&mut Subscription>,
) -> Result<std::sync::Arc<Change>, FeedError> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

fn told(change: &Change) -> User {
    match change.is_deletion {
        false => message(change.user.clone()),
        true => User {
            id: change.user.id.clone(),
            status: UserStatus::Unspecified.into(),
            ..User::default()
        },
    }
}

fn missed(error: FeedError) -> Status {
    match error {
        FeedError::Missed => {
            Status::aborted("Changes were missed by a caller that read too slowly: subscribe again")
        }
        FeedError::Store(error) => refusal::store(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, sync::Arc, time::SystemTime};

    use pbjson_types::FieldMask;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;
    use tonic::Code;
    use uuid::Uuid;

    use super::{super::store::stub::StubStore, *};
    use crate::users::{PasswordHasher, Store as _, UserPatch};

    struct Caller {
        requests: Option<mpsc::Sender<Result<UserUpdateRequest, Status>>>,
        answers: Pin<Box<dyn Stream<Item = Result<User, Status>> + Send>>,
    }

    impl Caller {
        async fn new(service: &UserService) -> Self {
            let (sender, receiver) = mpsc::channel(1_000);
            let answers = answers(service.clone(), ReceiverStream::new(receiver), None).await;
            Self { requests: Some(sender), answers: Box::pin(answers.unwrap()) }
        }

        fn send(&self, request: UserUpdateRequest) {
            self.requests.as_ref().unwrap().try_send(Ok(request)).unwrap();
        }

        async fn next(&mut self) -> User {
            self.answers.next().await.unwrap().unwrap()
        }

        async fn has_nothing(&mut self) -> bool {
            futures_util::poll!(self.answers.next()).is_pending()
        }
    }

    fn id(number: u32) -> String {
        Uuid::from_u128(u128::from(number)).to_string()
    }

    fn rename(number: u32, name: &str) -> UserUpdateRequest {
        UserUpdateRequest {
            user_id: id(number),
            name: name.into(),
            update_mask: Some(FieldMask { paths: vec!["name".into()] }),
            ..Default::default()
        }
    }

    fn subscribe(user_id: String) -> UserUpdateRequest {
        UserUpdateRequest { user_id, ..Default::default() }
    }

    fn service(users: u32) -> (UserService, Arc<StubStore>) {
        let store = Arc::new(StubStore::with_users(users));
        let feed = Feed::new(store.clone());
        let running = feed.clone();
        tokio::spawn(async move { running.run().await });
        let hasher = PasswordHasher::new(1, 1);
        (UserService::new(store.clone(), feed, hasher, || SystemTime::UNIX_EPOCH), store)
    }

    #[tokio::test]
    async fn who_only_changes_hears_of_own_changes_and_is_done() {
        let (service, _) = service(2);
        let mut caller = Caller::new(&service).await;
        for number in 0..300 {
            caller.send(rename(1 + number % 2, &number.to_string()));
        }
        caller.requests = None;
        for number in 0..300 {
            let user = caller.next().await;
            assert_eq!((user.id, user.name), (id(1 + number % 2), number.to_string()));
        }
        assert!(caller.answers.next().await.is_none());
    }

    #[tokio::test]
    async fn who_subscribes_hears_of_everyones_changes_in_order_each_once() {
        let (service, store) = service(3);
        let mut caller = Caller::new(&service).await;
        caller.send(subscribe(id(1)));
        caller.send(subscribe(id(1)));
        // Answered, so the subscription holds: requests are taken one after the other.
        caller.send(rename(2, "own"));
        assert_eq!(caller.next().await.name, "own");
        caller.requests = None;

        let mut another = Caller::new(&service).await;
        another.send(rename(1, "a"));
        another.send(rename(3, "not asked for"));
        another.send(rename(1, "b"));
        for _ in 0..3 {
            another.next().await;
        }
        for name in ["a", "b"] {
            assert_eq!(caller.next().await.name, name);
        }
        store.delete(&id(1), 0).await.unwrap();
        service.feed().look();
        let gone = User { id: id(1), ..User::default() };
        assert_eq!(caller.next().await, gone);
        assert!(caller.has_nothing().await, "it stays until it leaves");
    }

    #[tokio::test]
    async fn an_own_change_to_a_subscribed_user_is_told_once() {
        let (service, _) = service(2);
        let mut caller = Caller::new(&service).await;
        caller.send(subscribe(String::new()));
        caller.send(rename(1, "a"));
        caller.send(subscribe(id(1)));
        caller.send(rename(2, "b"));
        assert_eq!(caller.next().await.name, "a");
        assert_eq!(caller.next().await.name, "b");
        assert!(caller.has_nothing().await);
    }

    /// A change right behind the head of the answer was missed.
    #[tokio::test]
    async fn a_subscription_that_came_with_the_call_holds_before_the_answer() {
        let (service, store) = service(2);
        let requests = |request| Box::pin(stream::iter([Ok(request)]).chain(stream::pending()));
        let answers_to = async |request| answers(service.clone(), requests(request), None).await;
        let mut answers = Box::pin(answers_to(subscribe(id(1))).await.unwrap());
        let patch = UserPatch { name: Some("at once".into()), ..UserPatch::default() };
        store.update(&id(1), patch, 0).await.unwrap();
        service.feed().look();
        assert_eq!(answers.next().await.unwrap().unwrap().name, "at once");

        let refused = answers_to(subscribe(id(9))).await.err().unwrap();
        assert_eq!(refused.code(), Code::NotFound);
    }

    #[tokio::test]
    async fn what_was_before_a_subscription_is_not_told() {
        let (service, store) = service(2);
        let mut caller = Caller::new(&service).await;
        caller.send(rename(1, "first"));
        assert_eq!(caller.next().await.name, "first");
        let patch = UserPatch { name: Some("before".into()), ..UserPatch::default() };
        store.update(&id(2), patch, 0).await.unwrap();
        caller.send(subscribe(id(2)));
        caller.send(rename(1, "second"));
        assert_eq!(caller.next().await.name, "second");
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_done_ends_the_call_with_why() {
        let mask = |path: &str| Some(FieldMask { paths: vec![path.into()] });
        let nobody = id(9);
        for (request, code, message) in [
            (subscribe(nobody.clone()), Code::NotFound, format!("User {nobody} not found")),
            (rename(9, "x"), Code::NotFound, format!("User {nobody} not found")),
            (
                UserUpdateRequest { update_mask: mask("password"), ..rename(1, "") },
                Code::InvalidArgument,
                "Invalid mask".into(),
            ),
            (
                UserUpdateRequest { update_mask: mask("email"), ..rename(1, "") },
                Code::InvalidArgument,
                "Invalid email".into(),
            ),
        ] {
            let (service, _) = service(1);
            let mut caller = Caller::new(&service).await;
            // Sent at once: what was done is answered, and then why there is no more.
            caller.send(rename(1, "done"));
            caller.send(request);
            assert_eq!(caller.next().await.name, "done");
            let status = caller.answers.next().await.unwrap().unwrap_err();
            assert_eq!((status.code(), status.message()), (code, message.as_str()));
            assert!(caller.answers.next().await.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_stay_is_told_when_the_token_expires() {
        let (service, _) = service(1);
        let (sender, receiver) = mpsc::channel(1);
        let expiry = Instant::now() + std::time::Duration::from_secs(900);
        let requests = ReceiverStream::new(receiver);
        let answers = answers(service.clone(), requests, Some(expiry)).await.unwrap();
        let mut answers = Box::pin(answers);
        sender.try_send(Ok(subscribe(String::new()))).unwrap();
        let status = answers.next().await.unwrap().unwrap_err();
        assert_eq!((status.code(), Instant::now()), (Code::Unauthenticated, expiry));
    }

    #[tokio::test]
    async fn one_call_subscribes_to_so_many() {
        let (service, _) = service(SUBSCRIPTION_LIMIT as u32 + 1);
        let (sender, receiver) = mpsc::channel(2_000);
        let requests = ReceiverStream::new(receiver);
        let mut answers = Box::pin(answers(service.clone(), requests, None).await.unwrap());
        for number in 1..=SUBSCRIPTION_LIMIT as u32 + 1 {
            sender.try_send(Ok(subscribe(id(number)))).unwrap();
        }
        let status = answers.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}
