//! Who wants to hear of changes hears of them, whoever made them: in order, each once.
//!
//! The store numbers changes without gaps, and numbers are what a [`Subscription`] goes by: it has
//! seen everything up to one, and the next is the one behind. So it does not matter how it is told
//! that there is more: late, twice or, for a while, not at all. One task for the process looks into
//! the store when there is reason to, and now and then without, and keeps the last changes in
//! memory; who falls behind those reads the store itself.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{Change, Store, StoreError};

/// How often the store is looked into although nobody said that there is more: what SQLite writes
/// by other processes takes, and how late a change is whose notification was lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many changes are kept in memory.
const RECENT: usize = 1_024;

/// How many changes are read at a time.
const PAGE: u32 = 256;

/// The changes of a store. Clones are the same feed.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn Store>,
    /// Without a gap, and the last is `head`.
    recent: Mutex<VecDeque<Arc<Change>>>,
    /// The number of the last change that is known of.
    head: watch::Sender<i64>,
    look: Notify,
}

/// Why a subscription cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeedError {
    /// It fell so far behind that the store has forgotten what is next.
    #[error("changes were missed")]
    Missed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Feed {
    /// The feed of a store; somebody has to [`run`](Self::run) it.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Arc::new(Shared {
            store,
            recent: Mutex::default(),
            head: watch::Sender::new(0),
            look: Notify::new(),
        }))
    }

    /// Looks for changes for as long as it is polled.
    pub async fn run(&self) {
        let listen = async {
            loop {
                self.0.store.another_changed().await;
                self.look();
            }
        };
        tokio::select! {
            () = listen => {}
            () = self.follow() => {}
        }
    }

    /// Says that there may be more.
    pub(super) fn look(&self) {
        self.0.look.notify_one();
    }

    /// Every change from now on.
    pub(super) async fn subscribe(&self) -> Result<Subscription, StoreError> {
        let heads = self.0.head.subscribe();
        let cursor = self.0.store.last_change().await?;
        self.look();
        Ok(Subscription { feed: self.clone(), heads, cursor, ready: VecDeque::new() })
    }

    /// The number of the last change there is.
    pub(super) async fn last(&self) -> Result<i64, StoreError> {
        self.0.store.last_change().await
    }

    async fn follow(&self) {
        let mut was_listened_to = false;
        loop {
            let has_listeners = self.0.head.receiver_count() > 0;
            if !has_listeners {
                was_listened_to = false;
                self.0.look.notified().await;
                continue;
            }
            if !was_listened_to {
                self.recent(VecDeque::clear);
            }
            match self.catch_up(was_listened_to).await {
                Ok(()) => {
                    was_listened_to = true;
                    drop(timeout(LOOK_EVERY, self.0.look.notified()).await);
                }
                Err(error) => {
                    tracing::warn!(%error, "changes cannot be read now");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Reads what is behind the last that is known; or, where nobody listened, begins at the end.
    async fn catch_up(&self, was_listened_to: bool) -> Result<(), StoreError> {
        let last = self.0.store.last_change().await?;
        let mut known = *self.0.head.borrow();
        if !was_listened_to {
            self.0.head.send_replace(last);
            return Ok(());
        }
        while known < last {
            let page = self.0.store.changes(known, PAGE).await?;
            match page.first() {
                Some(first) if first.seq == known + 1 => {}
                // Forgotten meanwhile: whoever needed it is told.
                _ => {
                    self.recent(VecDeque::clear);
                    self.0.head.send_replace(last);
                    return Ok(());
                }
            }
            known += page.len() as i64;
            self.recent(|recent| {
                recent.extend(page.into_iter().map(Arc::new));
                let surplus = recent.len().saturating_sub(RECENT);
                recent.drain(..surplus);
            });
            self.0.head.send_replace(known);
        }
        Ok(())
    }

    fn recent<T>(&self, with: impl FnOnce(&mut VecDeque<Arc<Change>>) -> T) -> T {
        // Whatever panicked, changes are whole.
        with(&mut self.0.recent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Changes, one after the other.
#[derive(Debug)]
pub(super) struct Subscription {
    feed: Feed,
    heads: watch::Receiver<i64>,
    /// The last change that was told.
    cursor: i64,
    /// The changes behind it.
    ready: VecDeque<Arc<Change>>,
}

impl Subscription {
    /// The next change. Nothing is lost if nobody waits for it any more.
    pub(super) async fn next(&mut self) -> Result<Arc<Change>, FeedError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                self.cursor = change.seq;
                return Ok(change);
            }
            let cursor = self.cursor;
            // The sender is in the feed, which is kept here.
            let _ = self.heads.wait_for(|head| *head > cursor).await;
            self.ready = self.behind(cursor).await?;
        }
    }

    async fn behind(&self, cursor: i64) -> Result<VecDeque<Arc<Change>>, FeedError> {
        let remembered = self.feed.recent(|recent| {
            let oldest = recent.front()?.seq;
            let passed = usize::try_from(cursor + 1 - oldest).ok()?;
            let ready = recent.iter().skip(passed).take(PAGE as usize).cloned();
            Some(ready.collect::<VecDeque<_>>())
        });
        if let Some(ready) = remembered.filter(|ready| !ready.is_empty()) {
            return Ok(ready);
        }
        let page = self.feed.0.store.changes(cursor, PAGE).await?;
        match page.first() {
            Some(first) if first.seq == cursor + 1 => Ok(page.into_iter().map(Arc::new).collect()),
            _ => Err(FeedError::Missed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{super::store::stub::StubStore, *};
    use crate::users::{NewUser, UserPatch, UserRecord};

    async fn running() -> (Arc<StubStore>, Feed, tokio::task::JoinHandle<()>) {
        let store = Arc::new(StubStore::with_users(1));
        let feed = Feed::new(store.clone());
        let running = feed.clone();
        (store, feed, tokio::spawn(async move { running.run().await }))
    }

    fn new_user(number: u32) -> NewUser {
        let record = UserRecord {
            id: format!("n{number:05}"),
            email: format!("n{number}@x"),
            name: String::new(),
            status: 1,
            created_at_micros: 0,
        };
        NewUser { record, password_hash: String::new() }
    }

    #[tokio::test]
    async fn only_what_comes_after_the_subscription_is_told_and_each_once() {
        let (store, feed, _run) = running().await;
        let mut first = feed.subscribe().await.unwrap();
        store.insert(new_user(1)).await.unwrap();
        feed.look();
        assert_eq!(first.next().await.unwrap().user.id, "n00001");
        let mut second = feed.subscribe().await.unwrap();
        store.insert(new_user(2)).await.unwrap();
        // Told twice, it is still one change.
        feed.look();
        feed.look();
        for subscription in [&mut first, &mut second] {
            assert_eq!(subscription.next().await.unwrap().user.id, "n00002");
            assert!(futures_util::poll!(Box::pin(subscription.next())).is_pending());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_nobody_spoke_of_is_found_all_the_same() {
        let (store, feed, _run) = running().await;
        let mut subscription = feed.subscribe().await.unwrap();
        tokio::time::sleep(10 * LOOK_EVERY).await;
        store.insert(new_user(1)).await.unwrap();
        assert_eq!(subscription.next().await.unwrap().seq, 2);
    }

    #[tokio::test]
    async fn who_falls_behind_what_is_kept_in_memory_reads_the_store() {
        let (store, feed, _run) = running().await;
        let mut slow = feed.subscribe().await.unwrap();
        for batch in 0..3 {
            let users = (batch * 1_000..(batch + 1) * 1_000).map(new_user).collect();
            store.insert_all(users).await.unwrap();
            feed.look();
        }
        for seq in 2..=3_001 {
            assert_eq!(slow.next().await.unwrap().seq, seq);
        }
    }

    #[tokio::test]
    async fn who_falls_behind_what_the_store_keeps_is_told() {
        let (store, feed, _run) = running().await;
        let mut slow = feed.subscribe().await.unwrap();
        let users = (0..3_000).map(new_user).collect();
        store.insert_all(users).await.unwrap();
        store.forget_changes(i64::MAX, 10).await.unwrap();
        feed.look();
        assert!(matches!(slow.next().await, Err(FeedError::Missed)));
        // Whoever subscribes anew goes on from here.
        let mut anew = feed.subscribe().await.unwrap();
        let patch = UserPatch { name: Some("N".into()), ..UserPatch::default() };
        store.update("n00001", patch, 0).await.unwrap();
        feed.look();
        assert_eq!(anew.next().await.unwrap().user.name, "N");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_down_for_a_while_loses_nothing() {
        let (store, feed, _run) = running().await;
        let mut subscription = feed.subscribe().await.unwrap();
        store.insert(new_user(1)).await.unwrap();
        store.is_down.store(true, Ordering::SeqCst);
        feed.look();
        tokio::time::sleep(3 * LOOK_EVERY).await;
        store.is_down.store(false, Ordering::SeqCst);
        assert_eq!(subscription.next().await.unwrap().seq, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_store_is_left_alone_while_nobody_listens() {
        let (store, feed, _run) = running().await;
        drop(feed.subscribe().await.unwrap());
        tokio::time::sleep(10 * LOOK_EVERY).await;
        let before = store.changes_read.load(Ordering::SeqCst);
        store.insert(new_user(1)).await.unwrap();
        feed.look();
        tokio::time::sleep(10 * LOOK_EVERY).await;
        assert_eq!(store.changes_read.load(Ordering::SeqCst), before);
    }
}
