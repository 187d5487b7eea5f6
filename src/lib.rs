//! x
pub mod routing;
pub mod schema;
pub mod status;
pub mod transcoding;
