//! What became of the rows of an import.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Tally {
    pub(super) created: u64,
    pub(super) not_created: u64,
    pub(super) malformed: u64,
}

impl Tally {
    /// Adds what became of a call's `rows`.
    pub(super) fn add(&mut self, rows: usize, created: i32, malformed: u64) {
        let rows = rows as u64;
        let created = u64::try_from(created).unwrap_or_default().min(rows);
        self.created += created;
        self.not_created += rows - created;
        self.malformed += malformed;
    }

    pub(super) fn is_clean(&self) -> bool {
        self.not_created == 0 && self.malformed == 0
    }

    /// For programs.
    pub(super) fn json(&self, is_finished: bool) -> String {
        let Self { created, not_created, malformed } = self;
        format!(
            "{{\"created\":{created},\"not_created\":{not_created},\"malformed\":{malformed},\
             \"finished\":{is_finished}}}"
        )
    }
}

/// For people.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, not_created, malformed } = self;
        let why = match not_created {
            0 => "",
            _ => " (already there or invalid; the service's log says why)",
        };
        let s = if *malformed == 1 { "" } else { "s" };
        write!(
            f,
            "{created} created, {not_created} not created{why}, {malformed} line{s} malformed"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_told_and_adds_up() {
        let mut tally = Tally::default();
        tally.add(10, 10, 0);
        assert!(tally.is_clean());
        assert_eq!(tally.to_string(), "10 created, 0 not created, 0 lines malformed");
        tally.add(10, 7, 1);
        // A service that counts what it was not sent.
        tally.add(1, 5, 0);
        tally.add(1, -1, 0);
        assert_eq!(
            tally.to_string(),
            "18 created, 4 not created (already there or invalid; the service's log says why), \
             1 line malformed"
        );
        assert!(!tally.is_clean());
        let json = r#"{"created":18,"not_created":4,"malformed":1,"finished":true}"#;
        assert_eq!(tally.json(true), json);
    }
}
