//! x
pub mod protocol;
pub mod routing;
pub mod schema;
pub mod status;
pub mod transcoding;
