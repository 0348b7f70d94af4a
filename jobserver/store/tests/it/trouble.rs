//! Databases that ask for a password, want TLS, or have no room.

use std::io::Write as _;

use mysql_async::prelude::Queryable as _;
use nightshift_store::{
    Store,
    mysql::{Address, Limits, MysqlStore, OpenError},
};
use nightshift_testbed::database::{Make, SCHEMA, Server, Wishes};
use nightshift_wire::{BatchState, Outcome};

use crate::{
    hands::{claim, compute, finish, hand_in, see, submit},
    makes::on_both,
    place::{MysqlPlace, open, shell},
    process::make_certificate,
};

on_both!(
    a_database_that_insists_on_tls_gets_it_and_its_certificate_is_checked,
    a_password_opens_the_store_and_a_wrong_one_does_not,
    a_database_without_room_is_away_and_what_it_acknowledged_is_there,
);

async fn a_password_opens_the_store_and_a_wrong_one_does_not(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let user = format!("u{}", uuid::Uuid::new_v4().simple()).chars().take(20).collect::<String>();
    let mut admin = place.shell().await;
    for sql in [
        format!("CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY 'open: s3same/?'"),
        format!("GRANT ALL PRIVILEGES ON *.* TO '{user}'@'127.0.0.1'"),
    ] {
        admin.query_drop(sql).await.expect("a user with a password");
    }
    let bare = Address::parse(&place.url().replace("nightshift@", &format!("{user}@"))).expect("an address");
    let store = MysqlStore::open(&bare.with_password("open: s3same/?"), Limits::default()).await.expect("let in");
    let batch = hand_in(&store, &[2]).await;
    finish(&store, &claim(&store, "w", 0).await, 1).await;
    assert_eq!(store.batch(batch).await.expect("batch").state, BatchState::Done);

    for wrong in [bare.with_password("open: s3same"), bare] {
        let error = MysqlStore::open(&wrong, Limits::default()).await.expect_err("not let in");
        assert!(matches!(error, OpenError::Database { .. }), "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains("its server must run, and have that schema and user") && !said.contains("s3same"),
            "{said}"
        );
    }
    admin.query_drop(format!("DROP USER '{user}'@'127.0.0.1'")).await.expect("gone");
}

async fn a_database_that_insists_on_tls_gets_it_and_its_certificate_is_checked(make: Make) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if !make_certificate(folder.path()) {
        writeln!(std::io::stderr(), "\nNOT RUN: TLS to {make}: install openssl").expect("standard error");
        return;
    }
    let at = |file: &str| folder.path().join(file).display().to_string();
    let settings = vec![
        format!("--ssl-cert={}", at("cert.pem")),
        format!("--ssl-key={}", at("key.pem")),
        "--require-secure-transport=ON".to_owned(),
    ];
    let Some(server) = Server::start(make, Wishes { settings, ..Wishes::default() }).expect("a server") else { return };
    let url = server.url(SCHEMA);
    // Without TLS, and with a certificate that nobody known has signed.
    for refused in [url.clone(), format!("{url}?require_ssl=true")] {
        let address = Address::parse(&refused).expect("an address");
        let error = MysqlStore::open(&address, Limits::default()).await.expect_err("not let in");
        assert!(matches!(error, OpenError::Database { .. }), "{error:?}");
    }
    let store = open(&format!("{url}?require_ssl=true&verify_ca=false"), Limits::default()).await;
    let batch = hand_in(&store, &[2]).await;
    finish(&store, &claim(&store, "w", 0).await, 1).await;
    assert_eq!(store.batch(batch).await.expect("batch").state, BatchState::Done);
}

async fn a_database_without_room_is_away_and_what_it_acknowledged_is_there(make: Make) {
    // Everything is in one file, which may not grow beyond this.
    let small = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M"];
    let wishes = Wishes { settings: small.map(str::to_owned).to_vec(), ..Wishes::default() };
    let Some(server) = Server::start(make, wishes).expect("a server") else { return };
    let url = server.url(SCHEMA);
    let store = open(&url, Limits::default()).await;
    let batch = hand_in(&store, &[100; 40]).await;
    let mut accepted = 0;
    let (claimed, results) = loop {
        let claimed = claim(&store, "w", 0).await;
        let mut results = compute(&store, &claimed).await;
        for result in &mut results {
            result.outcome = Outcome::Error("no room ".repeat(1000));
        }
        match submit(&store, &claimed, results.clone(), 1).await {
            Ok(_) => accepted += 1,
            Err(error) => {
                assert!(error.is_retryable(), "{error:?}");
                break (claimed, results);
            }
        }
    };
    let seen = see(&store, batch).await;
    assert_eq!((seen.batch.jobs_done, seen.batch.results), (accepted, 100 * accepted), "and no more");

    // A person makes room.
    let mut person = shell(&url).await;
    person.query_drop("SET GLOBAL innodb_file_per_table = 1").await.expect("a setting");
    let out = match make {
        Make::MariaDb => "ALTER TABLE job_results FORCE",
        Make::MySql => "ALTER TABLE job_results TABLESPACE = innodb_file_per_table",
    };
    person.query_drop(out).await.expect("the table moves out");
    assert!(!submit(&store, &claimed, results, 2).await.expect("accepted").repeated);
    assert_eq!(store.batch(batch).await.expect("batch").jobs_done, accepted + 1);
}
