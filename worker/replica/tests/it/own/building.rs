//! A replica is built from its primary: by CLONE or by a dump, and from nothing that does not fit.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mysql_async::prelude::Queryable as _;
use nightshift_replica::rebuild::{RebuildError, Unwatched, Way, rebuild, under_way};
use nightshift_testbed::database::{Make, Server};
use nightshift_testbed::faults::Proxy;

use crate::own::site::{STALL, Site, ask, on_each, reader};

/// What every replica that was built is like, however it was built.
pub(crate) async fn check(site: &Site) -> Result<()> {
    let server = site.server()?;
    assert!(under_way(server.place()).is_none());
    assert_eq!(server.copied().context("whole data")?.schemas, ["company"]);
    let mut plugin = reader(&server).await?;
    let names: Vec<(i64, String)> = plugin.query("SELECT id, name FROM people ORDER BY id LIMIT 3").await?;
    let expected = [(1, "Ann O'Hara"), (2, "Bj\u{f6}rn"), (3, "C\\D")].map(|(id, name)| (id, name.to_owned()));
    assert_eq!(names, expected);
    let view: Option<u64> = plugin.query_first("SELECT COUNT(*) FROM names").await?;
    assert!(view.is_some_and(|count| count >= 3));
    plugin.query_drop("CREATE TEMPORARY TABLE nightshift_scratch.t AS SELECT id FROM people").await?;
    plugin.query_drop("INSERT INTO people VALUES (99, 'x')").await.expect_err("plugins only read");
    let schemas: Vec<String> = ask(&server, "SHOW DATABASES").await?;
    assert!(schemas.contains(&"company".into()) && schemas.contains(&"nightshift_scratch".into()), "{schemas:?}");
    let jobs: Vec<String> = ask(&server, "SHOW TABLES IN nightshift").await?;
    assert_eq!(jobs, ["heartbeat"], "the job tables are not copied");
    let users: Vec<String> =
        ask(&server, "SELECT user FROM mysql.user WHERE user NOT LIKE 'm%.%' ORDER BY user").await?;
    assert_eq!(users, ["nightshift_keeper", "nightshift_reader"], "nobody else gets in");
    site.write("INSERT INTO people VALUES (1000, 'later') ON DUPLICATE KEY UPDATE name = 'later'").await?;
    site.write("UPDATE nightshift.heartbeat SET ts = 'now'").await?;
    site.write("INSERT INTO people VALUES (1001, 'behind it') ON DUPLICATE KEY UPDATE name = 'behind it'").await?;
    site.arrives(1001).await?;
    let beat: Vec<String> = ask(&server, "SELECT ts FROM nightshift.heartbeat").await?;
    assert_eq!(beat, ["now"], "the heartbeat is copied");
    Ok(())
}

#[test]
fn a_replica_is_built_from_a_primary_and_follows_it() -> Result<()> {
    on_each(async |site: Site| {
        let built = site.build().await?;
        assert_eq!(built.way, if site.make() == Make::MySql { Way::Clone } else { Way::Dump });
        check(&site).await?;
        // And once more, over one that runs.
        site.build().await?;
        check(&site).await?;
        Ok(())
    })
}

#[tokio::test]
async fn mysql_is_dumped_where_it_cannot_be_cloned() -> Result<()> {
    let Some(site) = Site::set(Make::MySql).await? else { return Ok(()) };
    site.write("REVOKE BACKUP_ADMIN ON *.* FROM copier@'127.0.0.1'").await?;
    assert_eq!(site.build().await?.way, Way::Dump);
    check(&site).await
}

#[tokio::test]
async fn a_clone_that_fails_is_followed_by_a_dump() -> Result<()> {
    let Some(site) = Site::set(Make::MySql).await? else { return Ok(()) };
    // CLONE refuses a donor whose packets are so small.
    site.write("SET GLOBAL max_allowed_packet = 1024 * 1024").await?;
    assert_eq!(site.build().await?.way, Way::Dump);
    check(&site).await
}

#[test]
fn what_cannot_be_asked_or_followed_costs_the_replica_nothing_and_says_why() -> Result<()> {
    on_each(async |site: Site| {
        site.build().await?;
        let server = site.server()?;
        let good = site.replication();
        for (from, says) in [
            (nightshift_wire::Replication { password: "wrong".into(), ..good.clone() }, "Access denied"),
            (nightshift_wire::Replication { schemas: vec!["other".into()], ..good.clone() }, "no schema other"),
            (
                nightshift_wire::Replication { primary: Some("mysql:x".into()), ..good.clone() },
                "lead to different servers",
            ),
        ] {
            let error = rebuild(&server, &from, "a test", STALL, &Unwatched).await.expect_err(says);
            let words = format!("{:#}", anyhow::Error::from(error));
            assert!(words.contains(says), "{words}");
            assert!(server.copied().is_some() && under_way(server.place()).is_none());
        }
        check(&site).await?;
        Ok(())
    })
}

#[tokio::test]
async fn a_right_that_is_missing_in_the_middle_of_a_dump_leaves_no_data_that_look_whole() -> Result<()> {
    let Some(site) = Site::set(Make::MariaDb).await? else { return Ok(()) };
    site.write("REVOKE EVENT ON company.* FROM copier@'127.0.0.1'").await?;
    let error = site.build().await.expect_err("no EVENT right").to_string();
    assert!(error.contains("mariadb-dump") && error.contains("EVENT on the schemas"), "{error}");
    let server = site.server()?;
    assert!(server.copied().is_none() && under_way(server.place()).is_some());
    server.follow().await.expect_err("these are no data");
    site.write("GRANT EVENT ON company.* TO copier@'127.0.0.1'").await?;
    site.build().await?;
    check(&site).await
}

#[tokio::test]
async fn a_dump_that_nothing_comes_from_any_more_is_given_up() -> Result<()> {
    let Some(site) = Site::set(Make::MariaDb).await? else { return Ok(()) };
    let rows = "INSERT INTO people SELECT seq, REPEAT('x', 90) FROM seq_2000_to_120000";
    site.write(rows).await?;
    let proxy = Proxy::before(site.company.primary.port())?;
    let from = nightshift_wire::Replication { port: proxy.port(), ..site.replication() };
    struct Freezes<'a>(&'a Proxy);
    impl nightshift_replica::rebuild::Watcher for Freezes<'_> {
        fn copied(&self, _: u64) {
            self.0.freeze();
        }
    }
    let server = site.server()?;
    let stall = Duration::from_secs(3);
    let error = rebuild(&server, &from, "a test", stall, &Freezes(&proxy)).await.expect_err("frozen");
    assert!(matches!(error, RebuildError::Stalled { .. }), "{error}");
    proxy.heal();
    assert!(server.copied().is_none());
    rebuild(&server, &from, "a test", STALL, &Unwatched).await?;
    check(&site).await
}

#[test]
fn a_primary_that_dies_in_the_middle_of_a_copy_leaves_nothing_that_looks_whole_and_is_copied_when_it_is_back()
-> Result<()> {
    /// Kills the primary at the first word that data come.
    struct Kills<'a>(Mutex<&'a mut Server>);
    impl nightshift_replica::rebuild::Watcher for Kills<'_> {
        fn copied(&self, _: u64) {
            self.0.lock().expect("nobody panics").crash();
        }
    }
    on_each(async |mut site: Site| {
        site.write("CREATE TABLE padding (id BIGINT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(1000) NOT NULL)").await?;
        site.write("INSERT INTO padding (text) VALUES (REPEAT('x', 1000))").await?;
        for _ in 0..15 {
            site.write("INSERT INTO padding (text) SELECT text FROM padding").await?;
        }
        let (server, from) = (site.server()?, site.replication());
        let kills = Kills(Mutex::new(&mut site.company.primary));
        rebuild(&server, &from, "a test", STALL, &kills).await.expect_err("its primary is dead");
        assert!(server.copied().is_none() && under_way(server.place()).is_some());
        let data = server.place().data();
        assert!(server.pid().is_none() && !data.join("company").exists(), "{} keeps half of the data", data.display());
        server.follow().await.expect_err("these are no data");
        site.company.primary.restart()?;
        rebuild(&server, &from, "a test", STALL, &Unwatched).await?;
        check(&site).await
    })
}
