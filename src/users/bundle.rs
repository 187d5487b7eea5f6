//! Both services over one store, with their interceptors, and what has to be done beside them.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer as _, Service};

use super::{
    AuthOptions, AuthService, Authenticated, Authentication, Feed, Logged, Logging, PasswordHasher,
    Store, StoreError, UserService, UserServiceServer,
    auth_v1::auth_service_server::AuthServiceServer, micros,
};

/// How often keys are looked after, and what is old is forgotten.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// How long changes are kept for who reads slowly, and how many are kept in any case.
const CHANGES_KEPT_FOR: Duration = Duration::from_secs(3_600);
const CHANGES_KEPT: u32 = 100_000;

/// How the services behave.
#[derive(Clone, Debug)]
pub struct BundleOptions {
    /// Whether methods that are not public take an access token. Default: false.
    pub requires_token: bool,
    /// See [`UserService::hide_existing_email`]. Default: false.
    pub hides_existing_email: bool,
    /// Users with a password that one address may create in a minute. Default: 60; 0 is no limit.
    pub sign_ups_per_minute: u32,
    /// Passwords hashed at once, each in 19 MiB. Default: one for each core.
    pub password_concurrency: usize,
    /// Callers that wait for a hash; further ones are refused. Default: 32.
    pub password_queue_limit: usize,
    /// Tokens and logins.
    pub auth: AuthOptions,
}

impl Default for BundleOptions {
    fn default() -> Self {
        Self {
            requires_token: false,
            hides_existing_email: false,
            sign_ups_per_minute: 60,
            password_concurrency: std::thread::available_parallelism().map_or(1, Into::into),
            password_queue_limit: 32,
            auth: AuthOptions::default(),
        }
    }
}

/// `user.v1.UserService` and `auth.v1.AuthService` over one store.
#[derive(Clone, Debug)]
pub struct Bundle {
    store: Arc<dyn Store>,
    feed: Feed,
    users: UserService,
    auth: AuthService,
    authentication: Authentication,
    now: fn() -> std::time::SystemTime,
}

/// Both services, told apart by the path.
#[derive(Clone, Debug)]
pub struct BundledService {
    users: Intercepted<UserServiceServer<UserService>>,
    auth: Intercepted<AuthServiceServer<AuthService>>,
}

impl Service<Request<Body>> for BundledService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Tonic's services always are.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().path().starts_with("/auth.v1.AuthService/") {
            true => self.auth.call(request),
            false => self.users.call(request),
        }
    }
}

/// A service with the interceptors around it.
pub type Intercepted<S> = Logged<Authenticated<S>>;

impl Bundle {
    /// The services of `store`; `now` is the clock that they have.
    pub async fn open(
        store: Arc<dyn Store>,
        options: BundleOptions,
        now: fn() -> std::time::SystemTime,
    ) -> Result<Self, StoreError> {
        let BundleOptions { password_concurrency, password_queue_limit, .. } = options;
        let hasher = PasswordHasher::new(password_concurrency, password_queue_limit);
        let feed = Feed::new(Arc::clone(&store));
        let users = UserService::new(Arc::clone(&store), feed.clone(), hasher.clone(), now)
            .hide_existing_email(options.hides_existing_email)
            .sign_ups_per_minute(options.sign_ups_per_minute);
        let auth = AuthService::open(Arc::clone(&store), hasher, options.auth, now).await?;
        let authentication = match options.requires_token {
            true => Authentication::by(&auth),
            false => Authentication::off(),
        };
        Ok(Self { store, feed, users, auth, authentication, now })
    }

    /// Both services as one: all that [`DESCRIPTOR_SET`](super::DESCRIPTOR_SET) describes.
    pub fn service(&self) -> BundledService {
        BundledService { users: self.user_service(), auth: self.auth_service() }
    }

    /// `user.v1.UserService`.
    pub fn user_service(&self) -> Intercepted<UserServiceServer<UserService>> {
        Logging.layer(self.authentication.layer(UserServiceServer::new(self.users.clone())))
    }

    /// `auth.v1.AuthService`.
    pub fn auth_service(&self) -> Intercepted<AuthServiceServer<AuthService>> {
        Logging.layer(self.authentication.layer(AuthServiceServer::new(self.auth.clone())))
    }

    /// Where everything is kept.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Logins and tokens.
    pub fn auth(&self) -> &AuthService {
        &self.auth
    }

    /// Tells changes to who wants to hear of them, replaces keys and forgets what is old, for as
    /// long as it is polled. Without it, UserUpdates answers nothing.
    pub async fn run(&self) {
        let keep = async {
            loop {
                if let Err(error) = self.keep().await {
                    tracing::warn!(%error, "the user store cannot be looked after");
                }
                tokio::time::sleep(KEEP_EVERY).await;
            }
        };
        tokio::select! {
            () = self.feed.run() => {}
            () = keep => {}
        }
    }

    async fn keep(&self) -> Result<(), StoreError> {
        self.auth.keys().keep_up().await?;
        let now = micros((self.now)());
        let ago = |age: Duration| now.saturating_sub(age.as_micros() as i64);
        self.store.forget_refresh_tokens(now).await?;
        self.store.forget_changes(ago(CHANGES_KEPT_FOR), CHANGES_KEPT).await
    }
}
