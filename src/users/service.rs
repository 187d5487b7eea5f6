//! `user.v1.UserService`.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::Stream;
use pbjson_types::{Empty, Timestamp};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Change, Feed, NewUser, PasswordHasher, Store, StoreError, UserPatch, UserRecord,
    attempts::{self, Attempts},
    bulk, listing, micros,
    password::Wait,
    refusal, updates,
    v1::{
        BulkCreateResponse, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest,
        UpdateUserRequest, User, UserStatus, UserUpdateRequest, user_service_server,
    },
    validation::{self, Fields},
};
use crate::jwt::Claims;

/// The service, over any store. Clones are the same service.
#[derive(Clone, Debug)]
pub struct UserService {
    store: Arc<dyn Store>,
    feed: Feed,
    hasher: PasswordHasher,
    now: fn() -> SystemTime,
    hides_existing_email: bool,
    /// Of users with a password, by address.
    sign_ups: Arc<Attempts>,
}

impl UserService {
    /// A service on `store`, whose changes `feed` has to tell; `now` is the clock that times are
    /// taken from.
    pub fn new(
        store: Arc<dyn Store>,
        feed: Feed,
        hasher: PasswordHasher,
        now: fn() -> SystemTime,
    ) -> Self {
        let sign_ups = Arc::new(Attempts::new(SIGN_UPS_PER_MINUTE));
        Self { store, feed, hasher, now, hides_existing_email: false, sign_ups }
    }

    /// Whether CreateUser answers a known email as if it were new, with a user that is not kept:
    /// its answer alone does not tell who is registered. A login with that password does.
    pub fn hide_existing_email(mut self, hides: bool) -> Self {
        self.hides_existing_email = hides;
        self
    }

    /// How many users with a password one address may create in a minute, each of which costs a
    /// hash. 60 at first; 0 is no limit.
    pub fn sign_ups_per_minute(mut self, limit: u32) -> Self {
        self.sign_ups = Arc::new(Attempts::new(limit));
        self
    }

    pub(super) fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// What a request has to become a user, with its password hashed.
    pub(super) async fn prepare(
        &self,
        request: CreateUserRequest,
        wait: Wait,
    ) -> Result<Prepared, Status> {
        validation::new_user(&request)?;
        let CreateUserRequest { email, name, password } = request;
        let hashed = self.hasher.hash(Zeroizing::new(password), wait).await;
        Ok(Prepared { email, name, password_hash: hashed.map_err(refusal::hash)? })
    }

    /// A user that can be kept. Its id is given here, and not before its password is hashed: ids
    /// are the order of lists, and whoever goes on behind one should not miss another that is kept
    /// long after.
    pub(super) fn new_user(&self, prepared: Prepared) -> NewUser {
        let record = UserRecord {
            id: Uuid::now_v7().to_string(),
            email: prepared.email,
            name: prepared.name,
            status: UserStatus::Active.into(),
            created_at_micros: micros((self.now)()),
        };
        NewUser { record, password_hash: prepared.password_hash }
    }

    pub(super) async fn insert_all(&self, users: Vec<NewUser>) -> Result<Vec<bool>, StoreError> {
        let kept = self.store.insert_all(users).await?;
        self.feed.look();
        Ok(kept)
    }

    pub(super) async fn find(&self, id: &str) -> Result<UserRecord, Status> {
        check_id(id)?;
        let found = self.store.find(id).await.map_err(refusal::store)?;
        found.ok_or_else(|| refusal::not_found(id))
    }

    pub(super) async fn change(&self, id: &str, patch: UserPatch) -> Result<Change, Status> {
        check_id(id)?;
        let changed = self.store.update(id, patch, micros((self.now)())).await;
        let change = changed.map_err(refusal::store)?.ok_or_else(|| refusal::not_found(id))?;
        self.feed.look();
        Ok(change)
    }
}

/// A user to be.
pub(super) struct Prepared {
    email: String,
    name: String,
    password_hash: String,
}

const SIGN_UPS_PER_MINUTE: u32 = 60;

type UserStream = Pin<Box<dyn Stream<Item = Result<User, Status>> + Send>>;

#[tonic::async_trait]
impl user_service_server::UserService for UserService {
    type ListUsersStream = UserStream;
    type UserUpdatesStream = UserStream;

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let record = self.find(&request.get_ref().user_id).await?;
        Ok(Response::new(message(record)))
    }

    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<User>, Status> {
        let origin = attempts::origin(request.extensions());
        let request = request.into_inner();
        if !request.password.is_empty() {
            validation::new_user(&request)?;
            // Cheap to ask, where a hash is dear; where it is hidden, both cost the same.
            if !self.hides_existing_email {
                let known = self.store.credentials(&request.email).await;
                if known.map_err(refusal::store)?.is_some() {
                    return Err(refusal::store(StoreError::EmailTaken));
                }
            }
            if let Some(origin) = origin {
                self.sign_ups.take(origin).map_err(refusal::too_often)?;
            }
        }
        let prepared = self.prepare(request, Wait::SignUp).await?;
        let user = self.new_user(prepared);
        let created = message(user.record.clone());
        match self.store.insert(user).await {
            Ok(()) => self.feed.look(),
            Err(StoreError::EmailTaken) if self.hides_existing_email => {}
            Err(error) => return Err(refusal::store(error)),
        }
        Ok(Response::new(created))
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<UserStream>, Status> {
        let users = listing::users(&self.store, request.into_inner())?;
        Ok(Response::new(Box::pin(users)))
    }

    async fn update_user(
        &self,
        request: Request<UpdateUserRequest>,
    ) -> Result<Response<User>, Status> {
        let UpdateUserRequest { user, update_mask } = request.into_inner();
        let User { id, email, name, status, .. } = user.unwrap_or_default();
        let fields = Fields { prefix: "user.", email: &email, name: &name, status };
        let patch = fields.patch(update_mask.as_ref())?;
        let record = match patch == UserPatch::default() {
            true => self.find(&id).await?,
            false => self.change(&id, patch).await?.user,
        };
        Ok(Response::new(message(record)))
    }

    async fn delete_user(
        &self,
        request: Request<DeleteUserRequest>,
    ) -> Result<Response<Empty>, Status> {
        let id = &request.get_ref().user_id;
        check_id(id)?;
        let deleted = self.store.delete(id, micros((self.now)())).await;
        match deleted.map_err(refusal::store)? {
            true => {
                self.feed.look();
                Ok(Response::new(Empty::default()))
            }
            false => Err(refusal::not_found(id)),
        }
    }

    async fn bulk_create_users(
        &self,
        request: Request<Streaming<CreateUserRequest>>,
    ) -> Result<Response<BulkCreateResponse>, Status> {
        bulk::create(self, request.into_inner()).await.map(Response::new)
    }

    async fn user_updates(
        &self,
        request: Request<Streaming<UserUpdateRequest>>,
    ) -> Result<Response<UserStream>, Status> {
        let claims: Option<&Claims> = request.extensions().get();
        let now_s = u64::try_from(micros((self.now)()) / 1_000_000).unwrap_or_default();
        let expiry = claims
            .map(|claims| Instant::now() + Duration::from_secs(claims.exp.saturating_sub(now_s)));
        let answers = updates::answers(self.clone(), request.into_inner(), expiry).await?;
        Ok(Response::new(Box::pin(answers)))
    }
}

/// What is no id is not asked for, nor is an id in another spelling.
fn check_id(id: &str) -> Result<(), Status> {
    match Uuid::try_parse(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == id) {
        true => Ok(()),
        false => Err(refusal::not_found(id)),
    }
}

pub(super) fn message(record: UserRecord) -> User {
    User {
        id: record.id,
        email: record.email,
        name: record.name,
        status: record.status,
        created_at: Some(Timestamp {
            seconds: record.created_at_micros.div_euclid(1_000_000),
            nanos: (record.created_at_micros.rem_euclid(1_000_000) * 1_000) as i32,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use tonic::Code;

    use super::{super::store::stub::StubStore, user_service_server::UserService as _, *};

    async fn service() -> (UserService, Arc<StubStore>) {
        let store = Arc::new(StubStore::with_users(1));
        let feed = Feed::new(store.clone());
        let hasher = PasswordHasher::new(1, 1);
        (UserService::new(store.clone(), feed, hasher, || SystemTime::UNIX_EPOCH), store)
    }

    fn create(email: &str) -> Request<CreateUserRequest> {
        Request::new(CreateUserRequest { email: email.into(), ..Default::default() })
    }

    #[tokio::test]
    async fn a_store_in_trouble_is_told_without_its_secrets() {
        let (service, store) = service().await;
        store.is_full.store(true, Ordering::SeqCst);
        let status = service.create_user(create("a@b")).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        store.is_down.store(true, Ordering::SeqCst);
        let get = GetUserRequest { user_id: Uuid::from_u128(1).to_string() };
        let status = service.get_user(Request::new(get)).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "The user store is unavailable")
        );
    }

    #[tokio::test]
    async fn who_is_registered_can_be_hidden() {
        let (service, store) = service().await;
        let told = service.create_user(create("1@x")).await.unwrap_err();
        assert_eq!(
            (told.code(), told.message()),
            (Code::AlreadyExists, "Email already registered")
        );
        let hiding = service.hide_existing_email(true);
        let answered = hiding.create_user(create("1@x")).await.unwrap().into_inner();
        assert_eq!((answered.email.as_str(), answered.status()), ("1@x", UserStatus::Active));
        assert_eq!(store.page("", 10).await.unwrap().len(), 1, "and nothing is kept");
    }

    #[test]
    fn times_before_the_epoch_keep_their_nanos_positive() {
        let record = UserRecord {
            id: String::new(),
            email: String::new(),
            name: String::new(),
            status: 0,
            created_at_micros: -1,
        };
        let at = message(record).created_at.unwrap();
        assert_eq!((at.seconds, at.nanos), (-1, 999_999_000));
    }
}
