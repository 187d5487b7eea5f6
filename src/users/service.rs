//! `user.v1.UserService`.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::SystemTime};

use futures_util::{Stream, stream};
use pbjson_types::Timestamp;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

use super::{
    NewUser, PasswordHasher, Store, StoreError, UserRecord,
    v1::{
        BulkCreateResponse, CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest,
        UpdateUserRequest, User, UserStatus, UserUpdateRequest, user_service_server,
    },
};

/// Rows read from the store at a time when the caller does not say.
const DEFAULT_PAGE_SIZE: u32 = 100;
const MAX_PAGE_SIZE: u32 = 1_000;

/// RFC 5321: 64 for the local part, 255 for the domain, and the @.
const EMAIL_LIMIT_BYTES: usize = 320;
const NAME_LIMIT_BYTES: usize = 1_024;
const PASSWORD_MIN_BYTES: usize = 8;
const PASSWORD_LIMIT_BYTES: usize = 1_024;

/// The service, over any store.
#[derive(Debug)]
pub struct UserService<S> {
    store: Arc<S>,
    hasher: PasswordHasher,
    now: fn() -> SystemTime,
}

impl<S: Store> UserService<S> {
    /// A service on `store`; `now` is the clock that new users' times are taken from.
    pub fn new(store: S, hasher: PasswordHasher, now: fn() -> SystemTime) -> Self {
        Self { store: Arc::new(store), hasher, now }
    }

    async fn create(&self, request: CreateUserRequest) -> Result<User, Status> {
        validate(&request)?;
        let password_hash = self.hasher.hash(request.password).await.map_err(|_| {
            tracing::error!("a password could not be hashed");
            Status::internal("The password could not be hashed")
        })?;
        let since_epoch = (self.now)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let record = UserRecord {
            id: Uuid::now_v7().to_string(),
            email: request.email,
            name: request.name,
            status: UserStatus::Active.into(),
            created_at_micros: i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX),
        };
        let user = message(record.clone());
        self.store.insert(NewUser { record, password_hash }).await.map_err(refusal)?;
        Ok(user)
    }
}

type UserStream = Pin<Box<dyn Stream<Item = Result<User, Status>> + Send>>;

#[tonic::async_trait]
impl<S: Store> user_service_server::UserService for UserService<S> {
    type ListUsersStream = UserStream;
    type UserUpdatesStream = UserStream;

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let id = request.into_inner().user_id;
        match self.store.find(&id).await.map_err(refusal)? {
            Some(record) => Ok(Response::new(message(record))),
            None => Err(Status::not_found(format!("User {id} not found"))),
        }
    }

    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<User>, Status> {
        self.create(request.into_inner()).await.map(Response::new)
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<UserStream>, Status> {
        let ListUsersRequest { page_size, page_token } = request.into_inner();
        let page_size = match u32::try_from(page_size) {
            Ok(0) => DEFAULT_PAGE_SIZE,
            Ok(rows @ 1..=MAX_PAGE_SIZE) => rows,
            _ => return Err(invalid("Invalid page size", "page_size", "must be 0 to 1,000")),
        };
        let after = match page_token.as_str() {
            "" => String::new(),
            // In the spelling that ids are kept in: they are compared as text.
            token => {
                Uuid::try_parse(token).map(|id| id.hyphenated().to_string()).map_err(|_| {
                    let reason = "must be the id of the last user seen";
                    invalid("Invalid page token", "page_token", reason)
                })?
            }
        };
        let pages = Pages {
            store: Arc::clone(&self.store),
            page_size,
            after,
            page: VecDeque::new(),
            is_last: false,
        };
        let users = stream::unfold(pages, |mut pages| async {
            let next = pages.next().await.transpose()?;
            Some((next.map(message).map_err(refusal), pages))
        });
        Ok(Response::new(Box::pin(users)))
    }

    async fn update_user(&self, _: Request<UpdateUserRequest>) -> Result<Response<User>, Status> {
        Err(Status::unimplemented("UpdateUser is not implemented yet"))
    }

    async fn delete_user(
        &self,
        _: Request<DeleteUserRequest>,
    ) -> Result<Response<pbjson_types::Empty>, Status> {
        Err(Status::unimplemented("DeleteUser is not implemented yet"))
    }

    async fn bulk_create_users(
        &self,
        _: Request<Streaming<CreateUserRequest>>,
    ) -> Result<Response<BulkCreateResponse>, Status> {
        Err(Status::unimplemented("BulkCreateUsers is not implemented yet"))
    }

    async fn user_updates(
        &self,
        _: Request<Streaming<UserUpdateRequest>>,
    ) -> Result<Response<UserStream>, Status> {
        Err(Status::unimplemented("UserUpdates is not implemented yet"))
    }
}

/// A walk through the store, page by page: nothing is held open between two pages, and nothing
/// is read before it is asked for.
struct Pages<S> {
    store: Arc<S>,
    page_size: u32,
    after: String,
    page: VecDeque<UserRecord>,
    is_last: bool,
}

impl<S: Store> Pages<S> {
    async fn next(&mut self) -> Result<Option<UserRecord>, StoreError> {
        if self.page.is_empty() && !self.is_last {
            let page = self.store.page(&self.after, self.page_size).await;
            // After a failure there is nothing more to say.
            self.is_last = page.as_ref().map_or(true, |page| page.len() < self.page_size as usize);
            self.page = page?.into();
            if let Some(last) = self.page.back() {
                self.after.clone_from(&last.id);
            }
        }
        Ok(self.page.pop_front())
    }
}

fn validate(request: &CreateUserRequest) -> Result<(), Status> {
    let CreateUserRequest { email, name, password } = request;
    if email.is_empty() || !email.contains('@') || email.len() > EMAIL_LIMIT_BYTES {
        return Err(invalid("Invalid email", "email", "must hold an @ and at most 320 bytes"));
    }
    if name.len() > NAME_LIMIT_BYTES {
        return Err(invalid("Invalid name", "name", "must be at most 1,024 bytes"));
    }
    let lengths = PASSWORD_MIN_BYTES..=PASSWORD_LIMIT_BYTES;
    if !password.is_empty() && !lengths.contains(&password.len()) {
        let reason = "must be empty, or 8 to 1,024 bytes";
        return Err(invalid("Invalid password", "password", reason));
    }
    Ok(())
}

fn message(record: UserRecord) -> User {
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

fn invalid(message: &str, field: &str, description: &str) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, description);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

fn refusal(error: StoreError) -> Status {
    match error {
        StoreError::EmailTaken => Status::already_exists("Email already registered"),
        StoreError::Full => {
            tracing::error!("the user store is full");
            Status::resource_exhausted("The user store is full")
        }
        StoreError::Unavailable(error) => {
            tracing::error!(%error, "the user store is unavailable");
            Status::unavailable("The user store is unavailable")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::StreamExt as _;

    use super::{user_service_server::UserService as _, *};

    /// A store of `rows` users that counts the pages it is asked for.
    struct CountedStore {
        rows: u32,
        pages: Arc<AtomicU32>,
    }

    impl Store for CountedStore {
        async fn insert(&self, _: NewUser) -> Result<(), StoreError> {
            Err(StoreError::Full)
        }

        async fn find(&self, _: &str) -> Result<Option<UserRecord>, StoreError> {
            Err(StoreError::Unavailable("the disk is on fire".into()))
        }

        async fn page(&self, after: &str, limit: u32) -> Result<Vec<UserRecord>, StoreError> {
            self.pages.fetch_add(1, Ordering::SeqCst);
            let from = Uuid::try_parse(after).map_or(0, |id| id.as_u128() as u32);
            let record = |number: u32| UserRecord {
                id: Uuid::from_u128(u128::from(number)).to_string(),
                email: String::new(),
                name: String::new(),
                status: 1,
                created_at_micros: -1,
            };
            Ok((from + 1..=self.rows).take(limit as usize).map(record).collect())
        }
    }

    fn service(rows: u32) -> (UserService<CountedStore>, Arc<AtomicU32>) {
        let pages = Arc::new(AtomicU32::new(0));
        let store = CountedStore { rows, pages: Arc::clone(&pages) };
        (UserService::new(store, PasswordHasher::new(1), || SystemTime::UNIX_EPOCH), pages)
    }

    async fn list(service: &UserService<CountedStore>, page_size: i32) -> UserStream {
        let request = ListUsersRequest { page_size, page_token: String::new() };
        service.list_users(Request::new(request)).await.unwrap().into_inner()
    }

    #[tokio::test]
    async fn the_store_is_read_a_page_at_a_time_as_users_are_taken() {
        let (service, pages) = service(250);
        let mut users = list(&service, 0).await;
        assert_eq!(pages.load(Ordering::SeqCst), 0);
        users.next().await.unwrap().unwrap();
        assert_eq!(pages.load(Ordering::SeqCst), 1);
        assert_eq!(users.count().await, 249);
        assert_eq!(pages.load(Ordering::SeqCst), 3);
        assert_eq!(list(&service, 7).await.count().await, 250);
    }

    #[tokio::test]
    async fn a_page_size_or_token_that_makes_no_sense_is_refused() {
        let (service, _) = service(1);
        for (page_size, page_token) in [(-1, ""), (1_001, ""), (0, "nope")] {
            let request = ListUsersRequest { page_size, page_token: page_token.into() };
            let status = service.list_users(Request::new(request)).await.err().unwrap();
            assert_eq!(status.code(), Code::InvalidArgument);
            assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), 1);
        }
    }

    #[tokio::test]
    async fn a_store_in_trouble_is_told_without_its_secrets() {
        let (service, _) = service(0);
        let status = service.get_user(Request::new(GetUserRequest::default())).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "The user store is unavailable")
        );
        let user = CreateUserRequest { email: "a@b".into(), ..Default::default() };
        let status = service.create_user(Request::new(user)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
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
