//! The demo with replicas: a primary of its own, one replica for each worker, which the workers build and run themselves; one of
//! them is broken on purpose and healed by its worker.

use std::time::Duration;

use anyhow::Context;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use nightshift_contract::exit::Exit;
use nightshift_replica::server::{self, Place};
use nightshift_testbed::database::{COMPANY, Company, Founding, Make};
use nightshift_testbed::grid::Worker;

use super::data::Data;
use super::interrupt::Interrupt;
use super::stage::Stage;
use crate::clock::Stopwatch;
use crate::figures::{count, duration};
use crate::output::Screen;
use crate::refusal::refusal;
use crate::wait;

const PUBLISH: &str = include_str!("replicated/publish.sql");
const IS_THERE: &str = include_str!("replicated/is_there.sql");
const LET_THE_KEEPER_WRITE: &str = include_str!("replicated/let_the_keeper_write.mysql.sql");
/// So long may building replicas take on a slow machine.
const BUILT_WITHIN: Duration = Duration::from_secs(300);

/// The make that this machine can show.
///
/// # Errors
/// Which package to install.
pub(crate) fn make() -> anyhow::Result<Make> {
    let named = Some(Make::MySql).filter(|make| make.program().is_some());
    let found = named.or(Some(Make::MariaDb).filter(|make| make.program().is_some()));
    found.ok_or_else(|| {
        let text = "no database server is here: apt install mariadb-server-core mariadb-client (no service is started), or \
                    name a mysqld in NIGHTSHIFT_TEST_MYSQLD";
        refusal(Exit::NotFound, text.to_owned())
    })
}

/// Starts the primary with the people of `data`.
pub(super) fn primary(make: Make, data: &Data, screen: &Screen) -> anyhow::Result<Company> {
    let founded = Company::found(make, Founding { people: &data.people, ..Founding::default() })?;
    let company = founded.context("the database server that was here is gone")?;
    screen.good(format!("a primary, {make}, with {} people in {COMPANY}.people", count(data.people.len() as u64)));
    Ok(company)
}

/// Waits until every worker has built its replica and copies what is written now.
pub(super) fn come_up(stage: &Stage, screen: &Screen, interrupt: &Interrupt) -> anyhow::Result<()> {
    let begun = Stopwatch::start();
    publish(stage, 1)?;
    for (index, worker) in stage.workers.iter().enumerate() {
        let what = format!("worker-{} to copy the primary", index + 1);
        wait::until(
            &what,
            BUILT_WITHIN,
            interrupt,
            || Ok((is_current(worker) && has(stage, worker, 1)).then_some(())),
        )?;
        screen.good(format!("worker-{} built its replica and follows, after {}", index + 1, duration(begun.elapsed())));
    }
    Ok(())
}

/// Gives the first worker's replica a row that its primary never had, and waits until the worker has built it anew.
pub(super) fn break_and_heal(stage: &Stage, screen: &Screen, interrupt: &Interrupt) -> anyhow::Result<()> {
    screen.heading("A replica breaks, while they work");
    let worker = stage.workers.first().context("a worker")?;
    stage.runtime.block_on(async {
        let mut replica = keeper(worker).await?;
        if stage.company.as_ref().is_some_and(|company| company.primary.make() == Make::MySql) {
            replica.query_drop(LET_THE_KEEPER_WRITE).await?;
        }
        anyhow::Ok(replica.exec_drop(PUBLISH, (2,)).await?)
    })?;
    let begun = Stopwatch::start();
    publish(stage, 2)?;
    publish(stage, 3)?;
    screen.good("worker-1's replica has a row that was not copied; now the primary writes the same: nothing more can be applied");
    wait::until("the replica to break", BUILT_WITHIN, interrupt, || Ok((!is_current(worker)).then_some(())))?;
    screen.good(format!("worker-1 saw it after {}, and takes no job for it", duration(begun.elapsed())));
    wait::until("the replica to be built anew", BUILT_WITHIN, interrupt, || {
        Ok((is_current(worker) && has(stage, worker, 3)).then_some(()))
    })?;
    screen.good(format!("worker-1 built it anew; it follows again after {}", duration(begun.elapsed())));
    Ok(())
}

fn is_current(worker: &Worker) -> bool {
    worker.status().is_some_and(|status| status["replica"]["state"] == "current")
}

/// Whether a worker's replica has a row of the news.
fn has(stage: &Stage, worker: &Worker, id: u32) -> bool {
    stage.runtime.block_on(async {
        let mut replica = keeper(worker).await.ok()?;
        replica.exec_first::<u32, _, _>(IS_THERE, (id,)).await.ok()?
    }) == Some(id)
}

async fn keeper(worker: &Worker) -> anyhow::Result<Conn> {
    let opts = server::keeper_opts(&Place::new(worker.state().replica())).context("reading the keeper's password")?;
    Conn::new(opts).await.context("connecting to a worker's replica")
}

/// Has the primary write news.
fn publish(stage: &Stage, id: u32) -> anyhow::Result<()> {
    let primary = &stage.company.as_ref().context("a primary")?.primary;
    stage.runtime.block_on(async {
        let mut connection = Conn::new(Opts::from_url(&primary.url(COMPANY))?).await?;
        connection.exec_drop(PUBLISH, (id,)).await?;
        Ok(connection.disconnect().await?)
    })
}
