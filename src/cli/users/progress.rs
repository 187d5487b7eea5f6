//! How far a command is, on standard error, and what it has to say meanwhile. Nothing moves where
//! that is no terminal; nothing is coloured anywhere.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

const BYTES: &str =
    "{bar:24} {percent:>3}%  {bytes} of {total_bytes}  {msg}  {bytes_per_sec}, {eta} to go";
const COUNT: &str = "{spinner} {msg}  {elapsed}";

pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of a file, from `done_bytes` of `total_bytes` on.
    pub(super) fn of_bytes(done_bytes: u64, total_bytes: u64) -> Self {
        let bar = ProgressBar::new(total_bytes).with_position(done_bytes);
        bar.reset_eta();
        Self::begin(bar, BYTES)
    }

    /// Of what has no known end.
    pub(super) fn of_count() -> Self {
        let progress = Self::begin(ProgressBar::new_spinner(), COUNT);
        progress.0.enable_steady_tick(Duration::from_millis(200));
        progress
    }

    pub(super) fn none() -> Self {
        Self(ProgressBar::hidden())
    }

    fn begin(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    pub(super) fn at(&self, bytes: u64, message: String) {
        self.0.set_position(bytes);
        self.0.set_message(message);
    }

    /// Whether somebody sees it.
    pub(super) fn is_seen(&self) -> bool {
        !self.0.is_hidden()
    }

    /// A line of its own.
    pub(super) fn note(&self, line: &str) {
        self.0.suspend(|| {
            let _ = writeln!(io::stderr(), "transom: {line}");
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
