//! Users in PostgreSQL: what every store promises, and what replicas that share one need. Each
//! test has a database of its own; `tests/run postgres` has a server for them.

use transom::users::{PostgresStore, Store, StoreError};

use crate::store_contract::{keeps_its_promises, user};

mod database;
mod failures;
#[cfg(feature = "cli")]
mod gateway;
mod proxy;
mod replicas;

use database::Database;

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn it_keeps_its_promises() {
    let database = Database::create("promises").await;
    let store = database.open().await;
    keeps_its_promises(&store).await;
    store.close().await;
    let closed = store.probe().await.unwrap_err();
    assert!(matches!(closed, StoreError::Unavailable(_)), "{closed}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn each_connection_has_limits_and_waits_for_the_disk_whatever_the_default_is() {
    let mut database = Database::create("session").await;
    for setting in ["synchronous_commit = off", "default_transaction_isolation = 'repeatable read'"]
    {
        let set = format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {}', current_database()); END $$",
            setting.replace('\'', "''")
        );
        database.execute(set).await;
    }
    let store = database.open().await;
    database.execute("CREATE TABLE told (setting TEXT)").await;
    let settings = [
        "synchronous_commit",
        "transaction_isolation",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "application_name",
    ];
    let tell = settings.map(|name| format!("(current_setting('{name}'))")).join(", ");
    database.before_each_insert(&format!("INSERT INTO told VALUES {tell}")).await;
    store.insert(user(1, "a@x")).await.unwrap();
    let told = database.texts("SELECT setting FROM told").await;
    assert_eq!(told, ["on", "read committed", "5s", "10s", "transom"]);
}

/// The gateway's workers have a runtime each; the store's sockets are another's.
#[test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
fn it_is_called_from_runtimes_that_come_and_go() {
    let current_thread =
        || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let own = current_thread();
    let (opened, store) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let main = std::thread::spawn(move || {
        own.block_on(async {
            let store = Database::create("runtimes").await.open().await;
            opened.send(std::sync::Arc::new(store)).unwrap();
            let _ = stopped.await;
        });
    });
    let store = store.recv().unwrap();
    let workers = (0..12).map(|number| {
        let store = std::sync::Arc::clone(&store);
        std::thread::spawn(move || {
            current_thread().block_on(async {
                store.insert(user(number, &format!("{number}@x"))).await.unwrap();
                // One that nobody waits for any more.
                let mut page = store.page("", 10);
                let _ = futures_util::poll!(&mut page);
            });
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.join().unwrap();
    }
    current_thread().block_on(async {
        assert_eq!(store.page("", 100).await.unwrap().len(), 12);
        store.close().await;
    });
    stop.send(()).unwrap();
    main.join().unwrap();
    let gone = current_thread().block_on(store.probe()).unwrap_err();
    assert!(matches!(gone, StoreError::Unavailable(_)), "{gone}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn no_error_and_no_debug_output_shows_the_password() {
    let database = Database::create("secret").await;
    let (credentials, rest) = database.url.rsplit_once('@').unwrap();
    let (user, password) = credentials.rsplit_once(':').unwrap();
    assert!(!password.is_empty());
    let (server, name) = rest.split_once('/').unwrap();
    let (host, _) = server.rsplit_once(':').unwrap();
    for wrong in [
        format!("{user}:s3cret-wrong@{rest}"),
        format!("{user}:s3cret-wrong@{host}:1/{name}"),
        format!("{user}:s3cret-wrong@{host}:no-port/{name}"),
        format!("{user}:s3cret-wrong@{rest}?sslmode=none"),
        format!("{user}:s3cret-wrong@{rest}?options=-c%20nothing%3D1"),
    ] {
        let error = PostgresStore::open(&wrong).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("s3cret"), "{told}");
    }
    let store = database.open().await;
    assert!(!format!("{store:?}").contains(password));
}
