//! What a store of users promises, asked of each that there is. PostgreSQL's is
//! `tests/it/postgres.rs`.

use std::collections::BTreeSet;

use transom::users::{
    Change, KeyRecord, NewUser, RefreshToken, Refreshed, SqliteStore, Store, StoreError, UserPatch,
    UserRecord,
};

const CREATED: i64 = 1_700_000_000_000_001;

pub(crate) fn record(number: u32, email: &str) -> UserRecord {
    UserRecord {
        id: format!("0197a000-0000-7000-8000-{number:012}"),
        email: email.into(),
        name: "Ünï \"quoted\" 💡".into(),
        status: 1,
        created_at_micros: CREATED,
    }
}

pub(crate) fn user(number: u32, email: &str) -> NewUser {
    NewUser { record: record(number, email), password_hash: format!("hash-{number}") }
}

fn id(number: u32) -> String {
    record(number, "").id
}

fn emails(page: &[UserRecord]) -> Vec<&str> {
    page.iter().map(|user| user.email.as_str()).collect()
}

/// Every promise, of an empty store.
pub(crate) async fn keeps_its_promises(store: &dyn Store) {
    users(store).await;
    changes(store).await;
    batches(store).await;
    passwords(store).await;
    refresh_tokens(store).await;
    signing_keys(store).await;
    store.probe().await.unwrap();
}

async fn users(store: &dyn Store) {
    assert_eq!(store.page("", 10).await.unwrap(), []);
    for (number, email) in [(3, "c@x"), (1, "a@x"), (2, "b@x")] {
        store.insert(user(number, email)).await.unwrap();
    }
    let taken = store.insert(user(4, "A@X")).await.unwrap_err();
    assert!(matches!(taken, StoreError::EmailTaken), "{taken}");
    assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1, "a@x")));
    for unknown in [&id(4), "", "nobody", "' OR 1=1 --", "a\0b"] {
        assert_eq!(store.find(unknown).await.unwrap(), None);
    }
    assert_eq!(emails(&store.page("", 2).await.unwrap()), ["a@x", "b@x"]);
    assert_eq!(emails(&store.page(&id(2), 2).await.unwrap()), ["c@x"]);
    assert_eq!(store.page(&id(3), 2).await.unwrap(), []);
    assert_eq!(emails(&store.page(&format!("{}\0", id(2)), 2).await.unwrap()), ["c@x"]);

    let patch = UserPatch { email: Some("B2@x".into()), name: None, status: Some(2) };
    let change = store.update(&id(2), patch, CREATED + 1).await.unwrap().unwrap();
    let changed = UserRecord { email: "B2@x".into(), status: 2, ..record(2, "") };
    assert_eq!((&change.user, change.is_deletion), (&changed, false));
    assert_eq!(store.find(&id(2)).await.unwrap(), Some(changed));
    // The old email is free again, the new one is not, in any case.
    store.insert(user(4, "b@x")).await.unwrap();
    let patch = UserPatch { email: Some("b2@X".into()), ..UserPatch::default() };
    let taken = store.update(&id(1), patch.clone(), CREATED).await.unwrap_err();
    assert!(matches!(taken, StoreError::EmailTaken), "{taken}");
    // Its own email in another case is no conflict.
    store.update(&id(2), patch.clone(), CREATED + 2).await.unwrap().unwrap();
    assert_eq!(store.update(&id(9), patch, CREATED).await.unwrap(), None);

    assert!(store.delete(&id(4), CREATED + 3).await.unwrap());
    assert!(!store.delete(&id(4), CREATED + 3).await.unwrap());
    assert_eq!(store.find(&id(4)).await.unwrap(), None);
}

/// What [`users`] did is told in its order, and nothing that failed.
async fn changes(store: &dyn Store) {
    let all = store.changes(0, 100).await.unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|Change { seq, user, is_deletion }| (*seq, user.email.as_str(), *is_deletion))
        .collect();
    assert_eq!(
        told,
        [
            (1, "c@x", false),
            (2, "a@x", false),
            (3, "b@x", false),
            (4, "B2@x", false),
            (5, "b@x", false),
            (6, "b2@X", false),
            (7, "b@x", true),
        ]
    );
    assert_eq!(all[2].user, record(2, "b@x"), "as it was then");
    assert_eq!(store.last_change().await.unwrap(), 7);
    assert_eq!(store.changes(2, 2).await.unwrap(), all[2..4]);
    assert_eq!(store.changes(7, 2).await.unwrap(), []);

    // 4 and 6 are from later than the rest: what is kept has no gap.
    store.forget_changes(CREATED + 1, 2).await.unwrap();
    assert_eq!(store.changes(0, 100).await.unwrap(), all[3..]);
    store.forget_changes(CREATED + 100, 2).await.unwrap();
    assert_eq!(store.changes(0, 100).await.unwrap(), all[5..]);
    assert_eq!(store.last_change().await.unwrap(), 7);
}

async fn batches(store: &dyn Store) {
    let before = store.last_change().await.unwrap();
    let batch =
        [(13, "m@x"), (11, "k@x"), (12, "A@x"), (14, "K@X"), (15, "o@x")].map(|(n, e)| user(n, e));
    let kept = store.insert_all(batch.into()).await.unwrap();
    assert_eq!(kept, [true, true, false, false, true]);
    let told = store.changes(before, 100).await.unwrap();
    let told: Vec<_> = told.iter().map(|change| (change.seq, change.user.id.clone())).collect();
    assert_eq!(told, [(before + 1, id(13)), (before + 2, id(11)), (before + 3, id(15))]);
    assert!(store.insert_all(Vec::new()).await.unwrap().is_empty());
    assert_eq!(store.insert_all(vec![user(16, "k@x")]).await.unwrap(), [false]);
    assert_eq!(store.last_change().await.unwrap(), before + 3);
}

async fn passwords(store: &dyn Store) {
    let credentials = store.credentials("A@x").await.unwrap().unwrap();
    assert_eq!((credentials.user.id, credentials.password_hash.as_str()), (id(1), "hash-1"));
    for unknown in ["nobody@x", "a@x\0"] {
        assert!(store.credentials(unknown).await.unwrap().is_none());
    }
    // Somebody else was quicker.
    store.rehash(&id(1), "another", "new".into()).await.unwrap();
    assert_eq!(store.credentials("a@x").await.unwrap().unwrap().password_hash, "hash-1");
    let before = store.last_change().await.unwrap();
    store.rehash(&id(1), "hash-1", "new".into()).await.unwrap();
    assert_eq!(store.credentials("a@x").await.unwrap().unwrap().password_hash, "new");
    assert_eq!(store.last_change().await.unwrap(), before, "no change that anybody may see");
}

fn token(number: u8, family: &str, of: u32) -> RefreshToken {
    RefreshToken {
        hash: vec![number; 32],
        family: family.into(),
        user_id: id(of),
        expires_at_micros: CREATED + 1_000,
    }
}

async fn refresh_tokens(store: &dyn Store) {
    let refresh = async |number: u8, next: u8, now: i64| {
        store.use_refresh_token(&[number; 32], token(next, "", 9), now).await.unwrap()
    };
    store.add_refresh_token(token(1, "f", 1)).await.unwrap();
    assert_eq!(refresh(9, 8, CREATED).await, Refreshed::Unknown);
    assert_eq!(refresh(1, 2, CREATED + 1_000).await, Refreshed::Unknown, "expired");
    let renewed = refresh(1, 2, CREATED).await;
    assert!(matches!(&renewed, Refreshed::Renewed(user) if user.id == id(1)), "{renewed:?}");
    assert!(matches!(refresh(2, 3, CREATED).await, Refreshed::Renewed(_)));
    // A copy of the first: nothing of its login is good any more, another login is.
    store.add_refresh_token(token(5, "g", 1)).await.unwrap();
    assert_eq!(refresh(1, 4, CREATED).await, Refreshed::Reused);
    assert_eq!(refresh(3, 4, CREATED).await, Refreshed::Unknown);
    assert!(matches!(refresh(5, 6, CREATED).await, Refreshed::Renewed(_)));

    // Who may not log in may not go on either, and is not robbed of the token.
    let status = |status| UserPatch { status: Some(status), ..UserPatch::default() };
    store.update(&id(1), status(2), CREATED).await.unwrap();
    assert_eq!(refresh(6, 7, CREATED).await, Refreshed::Unknown);
    store.update(&id(1), status(1), CREATED).await.unwrap();
    assert!(matches!(refresh(6, 7, CREATED).await, Refreshed::Renewed(_)));

    store.add_refresh_token(token(20, "h", 3)).await.unwrap();
    store.delete(&id(3), CREATED).await.unwrap();
    assert_eq!(refresh(20, 21, CREATED).await, Refreshed::Unknown, "its user is gone");

    store.forget_refresh_tokens(CREATED + 1_000).await.unwrap();
    assert!(matches!(refresh(7, 8, CREATED).await, Refreshed::Renewed(_)), "not yet expired");
    store.forget_refresh_tokens(CREATED + 1_001).await.unwrap();
    assert_eq!(refresh(8, 9, CREATED).await, Refreshed::Unknown);
}

async fn signing_keys(store: &dyn Store) {
    let key = |number: u8| KeyRecord {
        kid: format!("k{number}"),
        private_key: vec![number; 3],
        created_at_micros: CREATED + i64::from(number),
    };
    let kids = async || {
        let keys = store.signing_keys().await.unwrap();
        keys.into_iter().map(|key| (key.kid, key.private_key)).collect::<Vec<_>>()
    };
    let expected =
        |numbers: &[u8]| numbers.iter().map(|&n| (format!("k{n}"), vec![n; 3])).collect::<Vec<_>>();
    assert_eq!(kids().await, []);
    store.add_signing_key(key(1), None).await.unwrap();
    store.add_signing_key(key(2), None).await.unwrap();
    assert_eq!(kids().await, expected(&[1]), "the second was too late");
    store.add_signing_key(key(2), Some("k1")).await.unwrap();
    store.add_signing_key(key(3), Some("k1")).await.unwrap();
    assert_eq!(kids().await, expected(&[2, 1]));
    store.add_signing_key(key(3), Some("k2")).await.unwrap();
    assert_eq!(kids().await, expected(&[3, 2]));
}

/// Writers at once: every change has a number, there are no gaps, and who follows sees each once.
pub(crate) async fn numbers_changes_in_the_order_of_commits(stores: &[&dyn Store]) {
    const EACH: u32 = 40;
    let total = (stores.len() as u32 * EACH) as usize;
    let before = stores[0].last_change().await.unwrap();
    let writing = stores.iter().enumerate().map(|(writer, store)| async move {
        for number in 0..EACH {
            let number = 1_000 * (writer as u32 + 1) + number;
            let users = vec![user(number, &format!("{number}@y"))];
            match number % 3 {
                0 => assert_eq!(store.insert_all(users).await.unwrap(), [true]),
                _ => store.insert(users.into_iter().next().unwrap()).await.unwrap(),
            }
        }
    });
    let following = async {
        let (mut seen, mut cursor) = (Vec::new(), before);
        while seen.len() < total {
            for change in stores[0].changes(cursor, 7).await.unwrap() {
                assert_eq!(change.seq, cursor + 1, "a later change was to be seen before");
                cursor = change.seq;
                seen.push(change.user.id);
            }
            tokio::task::yield_now().await;
        }
        seen
    };
    let (_, seen) = tokio::join!(futures_util::future::join_all(writing), following);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), total);
}

#[tokio::test]
async fn sqlite_in_memory_keeps_its_promises() {
    let store = SqliteStore::in_memory().await.unwrap();
    keeps_its_promises(&store).await;
    numbers_changes_in_the_order_of_commits(&[&store, &store]).await;
}

#[tokio::test]
async fn sqlite_in_a_file_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    let store = SqliteStore::open(&path).await.unwrap();
    keeps_its_promises(&store).await;
    let another = SqliteStore::open(&path).await.unwrap();
    numbers_changes_in_the_order_of_commits(&[&store, &another]).await;
}
