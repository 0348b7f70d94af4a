//! A company, and a place for a worker's own server.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, Opts, OptsBuilder};
use nightshift_replica::make::Make;
use nightshift_replica::rebuild::{Rebuilt, Unwatched, rebuild};
use nightshift_replica::server::{self, MEMORY_MIB, OwnServer, Place, Programs, USUAL_FOLDERS};
use nightshift_testbed::database::{self, Company, Founding, Way};
use nightshift_wire::Replication;
use tempfile::TempDir;

/// Long enough for a busy machine; nothing waits for it to pass.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// People to copy, and job tables that are not.
const PEOPLE: [&str; 7] = [
    "CREATE TABLE company.people (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL)",
    "INSERT INTO company.people VALUES (1, 'Ann O''Hara'), (2, 'Bjorn'), (3, 'C\\\\D')",
    "CREATE DEFINER = nightshift@'127.0.0.1' SQL SECURITY INVOKER VIEW company.names AS SELECT name FROM company.people",
    "INSERT INTO nightshift.heartbeat (ts, server_id) VALUES ('2026-01-01T00:00:00.000000', 1)",
    "CREATE TABLE nightshift.jobs (id INT PRIMARY KEY)",
    "CREATE TABLE nightshift.job_records (id INT PRIMARY KEY)",
    "CREATE TABLE nightshift.job_results (id INT PRIMARY KEY)",
];

pub(crate) struct Site {
    pub(crate) company: Company,
    pub(crate) programs: Programs,
    pub(crate) folder: TempDir,
}

/// Plays a story at a site of each make of server there is, side by side.
pub(crate) fn on_each(story: impl AsyncFn(Site) -> Result<()> + Sync) -> Result<()> {
    on_each_with(Way::Plain, story)
}

/// The same, with a way to copy the primary.
pub(crate) fn on_each_with(way: Way, story: impl AsyncFn(Site) -> Result<()> + Sync) -> Result<()> {
    let play = |make| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match Site::set_with(make, way).await? {
                Some(site) => story(site).await.with_context(|| format!("on {make}")),
                None => Ok(()),
            }
        })
    };
    std::thread::scope(|scope| {
        let [maria, my] = [database::Make::MariaDb, database::Make::MySql].map(|make| scope.spawn(move || play(make)));
        [maria, my]
            .into_iter()
            .try_for_each(|playing| playing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

impl Site {
    /// A primary of a make; `None`, and said so, where this machine has no such server.
    pub(crate) async fn set(make: database::Make) -> Result<Option<Site>> {
        Site::set_with(make, Way::Plain).await
    }

    /// The same, with a way to copy it.
    pub(crate) async fn set_with(make: database::Make, way: Way) -> Result<Option<Site>> {
        let at_first = PEOPLE.map(str::to_owned).into();
        let Some(company) = Company::found(make, Founding { at_first, way, ..Founding::default() })? else {
            // Past the test harness, which would swallow it.
            writeln!(std::io::stderr(), "\nNOT RUN: a test on {make}: {}", make.advice())?;
            return Ok(None);
        };
        let program = make.program().context("it runs")?;
        let own = match make {
            database::Make::MariaDb => Make::MariaDb,
            database::Make::MySql => Make::MySql,
        };
        let folders = USUAL_FOLDERS.map(PathBuf::from);
        let programs = Programs::find(own, Some(&program), &folders).await?;
        let site = Site { company, programs, folder: tempfile::Builder::new().prefix("ns-").tempdir()? };
        // What a server does before it answers it reads as Latin 1.
        site.write("UPDATE people SET name = 'Bj\u{f6}rn' WHERE id = 2").await?;
        Ok(Some(site))
    }

    pub(crate) fn make(&self) -> database::Make {
        self.company.primary.make()
    }

    pub(crate) fn place(&self) -> Place {
        Place::new(self.folder.path().join("replica"))
    }

    pub(crate) fn server(&self) -> Result<OwnServer> {
        Ok(OwnServer::new(self.place(), self.programs.clone(), "worker", MEMORY_MIB)?)
    }

    pub(crate) fn replication(&self) -> Replication {
        self.company.replication()
    }

    pub(crate) async fn build(&self) -> Result<Rebuilt> {
        self.build_from(&self.replication()).await
    }

    pub(crate) async fn build_from(&self, from: &Replication) -> Result<Rebuilt> {
        Ok(rebuild(&self.server()?, from, "a test", STALL, &Unwatched).await?)
    }

    /// Runs a statement on the primary.
    pub(crate) async fn write(&self, statement: &str) -> Result<()> {
        let mut connection = Conn::new(Opts::from_url(&self.company.primary.url("company"))?).await?;
        connection.query_drop(statement).await?;
        Ok(connection.disconnect().await?)
    }

    /// Waits until the replica has a person, as plugins read them.
    pub(crate) async fn arrives(&self, id: i64) -> Result<()> {
        let mut reader = reader(&self.server()?).await?;
        // Bounded by what a busy machine may need.
        for _ in 0..6_000 {
            let found: Option<i64> = reader.exec_first("SELECT id FROM people WHERE id = ?", (id,)).await?;
            if found.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("person {id} does not arrive")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let place = self.place();
        let end = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(server::stop(&place, Duration::ZERO)))
        };
        // On a thread of its own: this one may be within a runtime.
        let _ = std::thread::spawn(end).join();
    }
}

/// A connection as plugins make them.
pub(crate) async fn reader(server: &OwnServer) -> Result<Conn> {
    let opts = Opts::from_url(&server.reader_address("company"))?;
    let password = std::fs::read_to_string(server.place().reader_password())?;
    Ok(Conn::new(OptsBuilder::from_opts(opts).pass(Some(password.trim()))).await?)
}

/// The rows of a query by the keeper.
pub(crate) async fn ask<T: FromRow + Send + 'static>(server: &OwnServer, query: &str) -> Result<Vec<T>> {
    let mut keeper = server.connect().await?;
    Ok(keeper.query(query).await?)
}
