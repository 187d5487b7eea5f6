//! The bundled user service: `user.v1.UserService` over a store.
//!
//! A tonic service like any other; it does not know that a gateway exists.

mod password;
mod redacted;
mod service;
mod store;

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
