//! What both directions know of `google.protobuf.Any`.

/// How deep `Any` may nest in `Any`. Protobuf's own limit does not see these levels, because each
/// is bytes to the one around it.
pub(super) const DEPTH_LIMIT: usize = 32;

/// The full name of the type that `type_url` leads to: what is behind its last slash.
pub(super) fn type_name(type_url: &str) -> Option<&str> {
    let (_, name) = type_url.rsplit_once('/')?;
    (!name.is_empty()).then_some(name)
}

pub(super) fn too_deep() -> String {
    format!("google.protobuf.Any is nested more than {DEPTH_LIMIT} levels deep")
}
