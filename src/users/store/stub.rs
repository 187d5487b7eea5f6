//! A store for tests: in memory, without a thread of its own, so that it goes with a paused clock.
//! It counts what it is asked for, and fails when told to.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use super::{
    Change, Credentials, KeyRecord, NewUser, RefreshToken, Refreshed, Store, StoreError, UserPatch,
    UserRecord,
};

#[derive(Debug, Default)]
pub(in crate::users) struct StubStore {
    kept: Mutex<Kept>,
    pub(in crate::users) pages_read: AtomicU32,
    pub(in crate::users) changes_read: AtomicU32,
    pub(in crate::users) is_down: AtomicBool,
    pub(in crate::users) is_full: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    users: BTreeMap<String, NewUser>,
    changes: Vec<Change>,
    head: i64,
    keys: Vec<KeyRecord>,
}

impl Kept {
    fn append(&mut self, user: UserRecord, is_deletion: bool) -> Change {
        self.head += 1;
        let change = Change { seq: self.head, user, is_deletion };
        self.changes.push(change.clone());
        change
    }

    fn insert(&mut self, user: NewUser) -> bool {
        let is_taken = self.users.values().any(|kept| kept.record.email == user.record.email);
        if !is_taken {
            self.append(user.record.clone(), false);
            self.users.insert(user.record.id.clone(), user);
        }
        !is_taken
    }
}

impl StubStore {
    pub(in crate::users) fn with_users(count: u32) -> Self {
        let store = Self::default();
        for number in 1..=count {
            let record = UserRecord {
                id: uuid::Uuid::from_u128(u128::from(number)).to_string(),
                email: format!("{number}@x"),
                name: String::new(),
                status: 1,
                created_at_micros: 0,
            };
            store.kept.lock().unwrap().insert(NewUser { record, password_hash: String::new() });
        }
        store
    }

    fn reads(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("the disk of host db-7 is on fire".into())),
            false => Ok(self.kept.lock().unwrap()),
        }
    }

    fn writes(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        match self.is_full.load(Ordering::SeqCst) {
            true => Err(StoreError::Full),
            false => self.reads(),
        }
    }
}

#[tonic::async_trait]
impl Store for StubStore {
    async fn insert_all(&self, users: Vec<NewUser>) -> Result<Vec<bool>, StoreError> {
        let mut kept = self.writes()?;
        Ok(users.into_iter().map(|user| kept.insert(user)).collect())
    }

    async fn find(&self, id: &str) -> Result<Option<UserRecord>, StoreError> {
        Ok(self.reads()?.users.get(id).map(|user| user.record.clone()))
    }

    async fn page(&self, after: &str, limit: u32) -> Result<Vec<UserRecord>, StoreError> {
        self.pages_read.fetch_add(1, Ordering::SeqCst);
        let kept = self.reads()?;
        let behind = kept.users.values().filter(|user| user.record.id.as_str() > after);
        Ok(behind.take(limit as usize).map(|user| user.record.clone()).collect())
    }

    async fn update(
        &self,
        id: &str,
        patch: UserPatch,
        _: i64,
    ) -> Result<Option<Change>, StoreError> {
        let mut kept = self.writes()?;
        let Some(NewUser { record, .. }) = kept.users.get_mut(id) else { return Ok(None) };
        let UserPatch { email, name, status } = patch;
        record.email = email.unwrap_or_else(|| record.email.clone());
        record.name = name.unwrap_or_else(|| record.name.clone());
        record.status = status.unwrap_or(record.status);
        let changed = record.clone();
        Ok(Some(kept.append(changed, false)))
    }

    async fn delete(&self, id: &str, _: i64) -> Result<bool, StoreError> {
        let mut kept = self.writes()?;
        let Some(user) = kept.users.remove(id) else { return Ok(false) };
        kept.append(user.record, true);
        Ok(true)
    }

    async fn last_change(&self) -> Result<i64, StoreError> {
        Ok(self.reads()?.head)
    }

    async fn changes(&self, after: i64, limit: u32) -> Result<Vec<Change>, StoreError> {
        self.changes_read.fetch_add(1, Ordering::SeqCst);
        let kept = self.reads()?;
        let behind = kept.changes.iter().filter(|change| change.seq > after);
        Ok(behind.take(limit as usize).cloned().collect())
    }

    async fn another_changed(&self) {
        std::future::pending().await
    }

    async fn forget_changes(&self, _: i64, keep: u32) -> Result<(), StoreError> {
        let mut kept = self.writes()?;
        let last_forgotten = kept.head - i64::from(keep);
        kept.changes.retain(|change| change.seq > last_forgotten);
        Ok(())
    }

    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let kept = self.reads()?;
        let found = kept.users.values().find(|user| user.record.email == email);
        Ok(found.map(|user| Credentials {
            user: user.record.clone(),
            password_hash: user.password_hash.clone(),
        }))
    }

    async fn rehash(&self, id: &str, _: &str, new: String) -> Result<(), StoreError> {
        if let Some(user) = self.writes()?.users.get_mut(id) {
            user.password_hash = new;
        }
        Ok(())
    }

    async fn add_refresh_token(&self, _: RefreshToken) -> Result<(), StoreError> {
        self.writes().map(drop)
    }

    async fn use_refresh_token(
        &self,
        _: &[u8],
        _: RefreshToken,
        _: i64,
    ) -> Result<Refreshed, StoreError> {
        self.writes().map(|_| Refreshed::Unknown)
    }

    async fn forget_refresh_tokens(&self, _: i64) -> Result<(), StoreError> {
        self.writes().map(drop)
    }

    async fn signing_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.reads()?.keys.iter().rev().take(2).cloned().collect())
    }

    async fn add_signing_key(
        &self,
        key: KeyRecord,
        newest: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut kept = self.writes()?;
        if kept.keys.last().map(|key| key.kid.as_str()) == newest {
            kept.keys.push(key);
        }
        Ok(())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.reads().map(drop)
    }

    async fn close(&self) {}
}
