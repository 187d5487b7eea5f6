//! The bundled user service: `user.v1.UserService` and `auth.v1.AuthService` over a store.
//!
//! Tonic services like any others; they do not know that a gateway exists. [`Bundle`] is both,
//! put together.

use std::time::SystemTime;

mod attempts;
mod auth;
mod bulk;
mod bundle;
mod feed;
mod interceptors;
mod listing;
mod password;
mod redacted;
mod refusal;
mod service;
mod store;
mod updates;
mod validation;

pub use auth::{AuthOptions, AuthService};
pub use bundle::{Bundle, BundleOptions, BundledService, Intercepted};
pub use feed::Feed;
pub use interceptors::{Authenticated, Authentication, Logged, Logging};
pub use password::PasswordHasher;
pub use service::UserService;
pub use store::{
    Change, Credentials, KeyRecord, NewUser, PostgresStore, RefreshToken, Refreshed, SqliteStore,
    Store, StoreError, UserPatch, UserRecord,
};

/// Generated from `proto/user/v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod v1 {
    tonic::include_proto!("user.v1");
    include!(concat!(env!("OUT_DIR"), "/user.v1.serde.rs"));
}

/// Generated from `proto/auth/v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod auth_v1 {
    tonic::include_proto!("auth.v1");
}

pub use v1::user_service_server::UserServiceServer;

/// The `FileDescriptorSet` of `user.v1` and `auth.v1`, imports and source positions included.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/users.bin"));

/// The full names of both services.
pub const SERVICES: [&str; 2] = ["user.v1.UserService", "auth.v1.AuthService"];

/// Microseconds since the Unix epoch.
fn micros(at: SystemTime) -> i64 {
    let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}
