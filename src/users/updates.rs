//! `UserUpdates`: changes in, changes out.
//!
//! What is answered comes from the one numbered log of changes, own changes included: so each is
//! told once and in its place, whether this call made it, subscribed to it, or both.

use std::collections::{BTreeSet, HashMap};

use futures_util::{Stream, StreamExt as _, stream};
use tonic::Status;

use super::{
    Change, UserRecord,
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

/// The answers to `requests`.
pub(super) fn answers<R>(
    service: UserService,
    requests: R,
) -> impl Stream<Item = Result<User, Status>> + Send
where
    R: Stream<Item = Result<UserUpdateRequest, Status>> + Send + Unpin,
{
    let call = Call {
        service,
        requests: Some(requests),
        subscription: None,
        wanted: Wanted::default(),
        is_over: false,
    };
    stream::unfold(call, |mut call| async {
        let answer = match call.is_over {
            true => None,
            false => call.next().await.transpose(),
        }?;
        call.is_over = answer.is_err();
        Some((answer, call))
    })
}

struct Call<R> {
    service: UserService,
    /// None once the caller has sent its last.
    requests: Option<R>,
    /// From the first request on.
    subscription: Option<Subscription>,
    wanted: Wanted,
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
            if self.requests.is_none() && self.wanted.own.is_empty() && !self.wanted.is_subscribed()
            {
                return Ok(None);
            }
            let has_room = self.wanted.own.len() < UNANSWERED_LIMIT;
            let requests = self.requests.as_mut().filter(|_| has_room);
            tokio::select! {
                request = next_request(requests) => match request.transpose()? {
                    Some(request) => self.take(request).await?,
                    None => self.requests = None,
                },
                change = next_change(self.subscription.as_mut()) => {
                    let change = change.map_err(missed)?;
                    if self.wanted.takes(&change) {
                        return Ok(Some(told(&change)));
                    }
                }
            }
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
