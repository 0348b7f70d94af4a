//! Data from a replica of the primary that was named for it, so that the primary is spared.

use anyhow::{Context as _, Result};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, Row};
use nightshift_replica::rebuild::{Unwatched, rebuild, under_way};
use nightshift_testbed::database::{Company, Founding, Make, Server, Wishes};
use nightshift_wire::{Donor, Replication};

use crate::own::building::check;
use crate::own::site::{STALL, Site, ask, on_each};

/// The way to the primary, with a donor.
fn from(site: &Site, donor: &Server) -> Replication {
    let donor = Some(Donor { host: "127.0.0.1".into(), port: donor.port() });
    Replication { donor, ..site.replication() }
}

async fn on(server: &Server, statements: &[&str]) -> Result<Vec<Row>> {
    let mut connection = Conn::new(Opts::from_url(&server.url("nightshift"))?).await?;
    let mut rows = Vec::new();
    for statement in statements {
        rows = connection.query(*statement).await.with_context(|| (*statement).to_owned())?;
    }
    connection.disconnect().await?;
    Ok(rows)
}

/// Waits until a donor has a person.
async fn has(donor: &Server, id: u32) -> Result<()> {
    let query = format!("SELECT 1 FROM company.people WHERE id = {id}");
    // Bounded by what a busy machine may need.
    for _ in 0..6_000 {
        if on(donor, &[&query]).await.is_ok_and(|rows| !rows.is_empty()) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    anyhow::bail!("person {id} does not arrive")
}

/// Nothing is built from that, which says so; what is there is left alone.
async fn is_refused(site: &Site, from: &Replication, says: &str) -> Result<()> {
    let server = site.server()?;
    let error = rebuild(&server, from, "a test", STALL, &Unwatched).await.expect_err(says);
    let words = format!("{:#}", anyhow::Error::from(error));
    assert!(words.contains(says), "{words}");
    assert!(server.copied().is_some() && under_way(server.place()).is_none());
    Ok(())
}

#[test]
fn a_replica_is_built_from_the_donor_that_was_named_and_follows_the_primary() -> Result<()> {
    on_each(async |site: Site| {
        let donor = site.company.replica(Wishes::default())?;
        site.write("INSERT INTO people VALUES (500, 'before')").await?;
        has(&donor, 500).await?;
        if site.make() == Make::MariaDb {
            let error = site.build_from(&from(&site, &donor)).await.expect_err("it may not see whom the donor copies");
            assert!(error.to_string().contains("GRANT SLAVE MONITOR ON *.*"), "{error}");
            site.write("GRANT SLAVE MONITOR ON *.* TO copier@'127.0.0.1'").await?;
            site.write("INSERT INTO people VALUES (501, 'and that')").await?;
            has(&donor, 501).await?;
        }
        // What only the donor has shows where the data came from.
        on(&donor, &["SET sql_log_bin = 0", "INSERT INTO company.people VALUES (700, 'of the donor')"]).await?;
        site.build_from(&from(&site, &donor)).await?;
        let server = site.server()?;
        let marks: Vec<u32> = ask(&server, "SELECT id FROM company.people WHERE id = 700").await?;
        assert_eq!(marks, [700]);
        drop(donor);
        check(&site).await
    })
}

#[test]
fn a_donor_that_lacks_the_position_or_is_of_another_primary_is_refused_and_costs_nothing() -> Result<()> {
    on_each(async |site: Site| {
        if site.make() == Make::MariaDb {
            site.write("GRANT SLAVE MONITOR ON *.* TO copier@'127.0.0.1'").await?;
        }
        site.build().await?;
        let donor = site.company.replica(Wishes::default())?;
        site.write("INSERT INTO people VALUES (500, 'before')").await?;
        has(&donor, 500).await?;
        let word = if site.make() == Make::MariaDb { "SLAVE" } else { "REPLICA" };
        on(&donor, &[&format!("STOP {word}")]).await?;
        let primary = &site.company.primary;
        site.write("INSERT INTO people VALUES (501, 'what the donor lacks')").await?;
        site.arrives(501).await?;
        on(primary, &["FLUSH BINARY LOGS"]).await?;
        site.write("INSERT INTO people VALUES (502, 'what is left')").await?;
        site.arrives(502).await?;
        // A connection that just ended may read a log for a moment longer.
        for _ in 0..6_000 {
            let logs = on(primary, &["SHOW BINARY LOGS"]).await?;
            if logs.len() == 1 {
                break;
            }
            let last: String = logs.last().and_then(|log| log.get(0)).context("a log")?;
            on(primary, &[&format!("PURGE BINARY LOGS TO '{last}'")]).await?;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        is_refused(&site, &from(&site, &donor), "lacks what the primary no longer has").await?;

        on(&donor, &["INSERT INTO company.people VALUES (701, 'of its own')"]).await?;
        is_refused(&site, &from(&site, &donor), "has what the primary never had").await?;

        let other = Company::found(site.make(), Founding::default())?.context("it was there just now")?;
        if site.make() == Make::MariaDb {
            on(&other.primary, &["GRANT SLAVE MONITOR ON *.* TO copier@'127.0.0.1'"]).await?;
        }
        on(&other.primary, &["CREATE TABLE company.people AS SELECT 500 AS id"]).await?;
        let stranger = other.replica(Wishes::default())?;
        has(&stranger, 500).await?;
        is_refused(&site, &from(&site, &stranger), "and the data are those of").await?;
        is_refused(&site, &from(&site, &other.primary), "copies no primary").await?;
        let nobody = Donor { host: "127.0.0.1".into(), port: 1 };
        is_refused(&site, &Replication { donor: Some(nobody), ..site.replication() }, "asking the donor at").await?;
        check(&site).await
    })
}
