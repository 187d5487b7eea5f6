//! `transom version`.

pub(super) fn text() -> String {
    format!("transom {}\n", env!("CARGO_PKG_VERSION"))
}
