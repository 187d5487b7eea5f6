//! Whether new work is welcome.

use std::sync::Arc;

use tokio::sync::watch;

/// What `/readyz` tells: ready while the server accepts and nothing holds it back. Clones share
/// one state.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    is_accepting: bool,
    holds: usize,
}

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }
}

impl Readiness {
    /// Not ready, until the server accepts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether the server accepts.
    pub fn set(&self, is_accepting: bool) {
        self.0.send_modify(|state| state.is_accepting = is_accepting);
    }

    /// Whether new work is welcome.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_ready()
    }

    /// Not ready for as long as the answer lives: something is still missing.
    pub fn hold(&self) -> Hold {
        self.0.send_modify(|state| state.holds += 1);
        Hold(self.clone())
    }

    /// Waits until it is `ready`, or not.
    pub async fn becomes(&self, ready: bool) {
        // The sender is ours: it cannot be gone.
        let _ = self.0.subscribe().wait_for(|state| state.is_ready() == ready).await;
    }
}

impl State {
    fn is_ready(&self) -> bool {
        self.is_accepting && self.holds == 0
    }
}

/// A reason not to be ready, until it is dropped.
#[derive(Debug)]
pub struct Hold(Readiness);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.holds -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_is_accepting_with_nothing_missing() {
        let readiness = Readiness::new();
        assert!(!readiness.is_ready());
        let hold = readiness.hold();
        readiness.set(true);
        assert!(!readiness.is_ready());
        drop(hold);
        readiness.becomes(true).await;
        readiness.set(false);
        readiness.becomes(false).await;
    }
}
