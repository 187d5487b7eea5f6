//! What goes wrong in the server, on the way to it, or between two transactions.

use transom::users::{PostgresStore, Store, StoreError, UserPatch};

use super::{
    database::{Database, recovers, soon},
    proxy::{Proxy, Way},
};
use crate::store_contract::{record, user};

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_failure_is_unavailable_and_over_when_its_cause_is() {
    let mut database = Database::create("failure").await;
    let store = database.open().await;
    store.insert(user(1, "a@x")).await.unwrap();
    database.execute("ALTER TABLE users RENAME TO elsewhere").await;
    for _ in 0..20 {
        let failed = store.find(&record(1, "").id).await.unwrap_err();
        assert!(matches!(failed, StoreError::Unavailable(_)), "{failed}");
    }
    database.execute("ALTER TABLE elsewhere RENAME TO users").await;
    recovers(&store).await;
    assert_eq!(store.find(&record(1, "").id).await.unwrap(), Some(record(1, "a@x")));

    assert!(database.terminate_all().await >= 1);
    recovers(&store).await;
    store.insert(user(2, "b@x")).await.unwrap();

    database.before_each_insert("RAISE 'no room' USING ERRCODE = 'disk_full'").await;
    let full = store.insert(user(3, "c@x")).await.unwrap_err();
    assert!(matches!(full, StoreError::Full), "{full}");
    assert_eq!(store.last_change().await.unwrap(), 2, "a number was lost");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_transaction_that_another_was_in_the_way_of_is_tried_once_more() {
    let mut database = Database::create("again").await;
    let store = database.open().await;
    // A sequence does not go back when its transaction does.
    database.execute("CREATE SEQUENCE attempts").await;
    database
        .before_each_insert(
            "IF nextval('attempts') % 3 <> 0 AND NEW.name = 'twice' OR \
             nextval('attempts') % 4 = 2 AND NEW.name <> 'twice' \
             THEN RAISE 'in the way' USING ERRCODE = 'serialization_failure'; END IF",
        )
        .await;
    store.insert(user(1, "a@x")).await.unwrap();
    assert_eq!(database.texts("SELECT last_value::text FROM attempts").await, ["4"]);
    database.execute("ALTER SEQUENCE attempts RESTART").await;
    let mut unlucky = user(2, "b@x");
    unlucky.record.name = "twice".into();
    let failed = store.insert(unlucky).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed}");
    assert_eq!(store.last_change().await.unwrap(), 1);
}

/// What each has the other is to get, at once: nobody waits in vain for the other.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn users_that_swap_emails_are_told_that_they_are_taken() {
    let database = Database::create("swap").await;
    let store = database.open().await;
    store.insert_all(vec![user(1, "a@x"), user(2, "b@x")]).await.unwrap();
    let patch = |email: &str| UserPatch { email: Some(email.into()), ..UserPatch::default() };
    let (one, two) = (record(1, "").id, record(2, "").id);
    for round in 0..20 {
        let (first, second) = tokio::join!(
            store.update(&one, patch("b@x"), round),
            store.update(&two, patch("a@x"), round)
        );
        for done in [first, second] {
            let refused = done.unwrap_err();
            assert!(matches!(refused, StoreError::EmailTaken), "{refused}");
        }
    }
}

/// A server that is there and says nothing: its machine vanished, or the network in between.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_connection_that_falls_silent_is_given_up() {
    let database = Database::create("silent").await;
    let proxy = Proxy::start(&database.url).await;
    let store = PostgresStore::open(&proxy.url).await.unwrap();
    store.insert(user(1, "a@x")).await.unwrap();
    proxy.set(Way::Silent);
    let silent = soon(store.probe()).await.unwrap_err();
    assert!(matches!(silent, StoreError::Unavailable(_)), "{silent}");
    proxy.set(Way::Open);
    recovers(&store).await;
}
