//! Replicas of the service, that is several stores on one database.

use transom::users::{KeyRecord, RefreshToken, Refreshed, Store, StoreError};

use super::database::{Database, recovers, soon};
use crate::store_contract::{numbers_changes_in_the_order_of_commits, record, user};

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn replicas_number_changes_in_the_order_of_commits() {
    let database = Database::create("numbers").await;
    let (one, two) = (database.open().await, database.open().await);
    numbers_changes_in_the_order_of_commits(&[&one, &one, &two, &two]).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn replicas_that_start_at_once_make_the_tables_once() {
    let database = Database::create("starts").await;
    let opening = (0..4).map(|_| database.open());
    let stores = futures_util::future::join_all(opening).await;
    stores[0].insert(user(1, "a@x")).await.unwrap();
    assert_eq!(stores[3].find(&record(1, "").id).await.unwrap(), Some(record(1, "a@x")));
}

/// Those of one replica and of the other wait for each other, unless both take the emails in the
/// same order.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn batches_with_the_same_emails_in_opposite_order_are_all_kept_once() {
    let mut database = Database::create("batches").await;
    let (one, two) = (database.open().await, database.open().await);
    for round in 0..20 {
        let batch = |replica: u32| {
            let batch = (0..100)
                .map(|n| user(1_000_000 * replica + 1_000 * round + n, &format!("{n}@{round}.x")));
            batch.collect::<Vec<_>>()
        };
        let reversed = batch(2).into_iter().rev().collect();
        let (first, second) = tokio::join!(one.insert_all(batch(1)), two.insert_all(reversed));
        let (first, second) = (first.unwrap(), second.unwrap());
        let kept = first.iter().zip(second.iter().rev()).filter(|(a, b)| *a != *b).count();
        assert_eq!(kept, 100, "round {round}");
    }
    assert_eq!(one.last_change().await.unwrap(), 2_000);
    // Nor was there one that was tried again. A server counts it when its connection ends.
    tokio::join!(one.close(), two.close());
    database.has_no_connections().await;
    let deadlocks =
        "SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.texts(deadlocks).await, ["0"]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn replicas_hear_of_each_others_changes() {
    let mut database = Database::create("hear").await;
    let (one, two) = (database.open().await, database.open().await);
    database.listened_to_by(2).await;
    for number in 1..=5 {
        one.insert(user(number, &format!("{number}@x"))).await.unwrap();
        soon(async {
            while two.last_change().await.unwrap() < number.into() {
                two.another_changed().await;
            }
        })
        .await;
    }
    // A hint that nobody waited for is not lost, nor one that somebody gave up waiting for.
    let mut waiting = std::pin::pin!(two.another_changed());
    while futures_util::poll!(&mut waiting).is_ready() {
        waiting.set(two.another_changed());
    }
    waiting.set(two.another_changed());
    one.insert(user(6, "6@x")).await.unwrap();
    soon(waiting).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn who_follows_misses_nothing_when_connections_are_ended() {
    let mut database = Database::create("follow").await;
    let (one, two) = (database.open().await, database.open().await);
    let following = async {
        let (mut cursor, mut seen) = (0, Vec::new());
        while seen.len() < 60 {
            match two.changes(cursor, 10).await {
                Ok(changes) if changes.is_empty() => two.another_changed().await,
                Ok(changes) => {
                    for change in changes {
                        assert_eq!(change.seq, cursor + 1);
                        cursor = change.seq;
                        seen.push(change.user.email);
                    }
                }
                Err(StoreError::Unavailable(_)) => recovers(&two).await,
                Err(error) => panic!("{error}"),
            }
        }
        seen
    };
    let writing = async {
        for number in 0..60 {
            if number % 20 == 10 {
                assert!(database.terminate_all().await >= 2);
            }
            let email = format!("{number}@x");
            // Unavailable is no answer: it may have been kept.
            soon(async {
                loop {
                    match one.insert(user(number, &email)).await {
                        Ok(()) => break,
                        Err(StoreError::EmailTaken) => break,
                        Err(StoreError::Unavailable(_)) => recovers(&one).await,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
            .await;
        }
    };
    let (seen, ()) = soon(async { tokio::join!(following, writing) }).await;
    let expected: Vec<_> = (0..60).map(|number| format!("{number}@x")).collect();
    assert_eq!(seen, expected);
}

/// Of a token and its copy that are used at once: both wait for the user, and whoever comes second
/// takes what the first was given.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_refresh_token_used_twice_at_once_leaves_none_of_its_family() {
    let mut database = Database::create("tokens").await;
    let store = database.open().await;
    store.insert(user(1, "a@x")).await.unwrap();
    let token = |number: u8| RefreshToken {
        hash: vec![number; 32],
        family: "f".into(),
        user_id: record(1, "").id,
        expires_at_micros: 1_000,
    };
    for round in 0..20 {
        store.add_refresh_token(token(0)).await.unwrap();
        let (first, second) = tokio::join!(
            store.use_refresh_token(&[0; 32], token(1), 0),
            store.use_refresh_token(&[0; 32], token(2), 0)
        );
        let both = [first.unwrap(), second.unwrap()];
        assert!(both.contains(&Refreshed::Reused), "round {round}: {both:?}");
        assert!(both.iter().any(|one| matches!(one, Refreshed::Renewed(_))), "{round}: {both:?}");
        assert!(database.texts("SELECT family FROM refresh_tokens").await.is_empty());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn of_replicas_that_make_their_first_key_at_once_one_does() {
    let database = Database::create("keys").await;
    let (one, two) = (database.open().await, database.open().await);
    for round in 0..20 {
        let newest = one.signing_keys().await.unwrap().first().map(|key| key.kid.clone());
        let key = |replica: u8| KeyRecord {
            kid: format!("{round}-{replica}"),
            private_key: vec![replica],
            created_at_micros: round,
        };
        let (first, second) = tokio::join!(
            one.add_signing_key(key(1), newest.as_deref()),
            two.add_signing_key(key(2), newest.as_deref())
        );
        first.and(second).unwrap();
        let keys = one.signing_keys().await.unwrap();
        assert!(keys[0].kid.starts_with(&format!("{round}-")), "{keys:?}");
        assert_eq!(keys.get(1).map(|key| key.kid.clone()), newest, "{keys:?}");
    }
}
