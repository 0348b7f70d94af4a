//! `nightshift-worker doctor` on a replica that is a service of the machine: each mistake of whoever set it up has its sentence,
//! with the command that cures it.

use anyhow::{Context as _, Result};
use nightshift_testbed::database::{Make, Pair, Server};
use nightshift_testbed::grid::Worker;
use nightshift_testbed::wait::SOON;

use crate::replica::{pair, run, scene, table};

/// What doctor prints of a worker's replica; and whether it is content with everything.
fn doctor(worker: &Worker) -> Result<(String, bool)> {
    let ended = worker.command(&["doctor"])?;
    Ok((format!("{}{}", ended.stdout, ended.stderr), ended.code == Some(0)))
}

fn says(worker: &Worker, words: &str) -> Result<()> {
    let (said, is_content) = doctor(worker)?;
    anyhow::ensure!(said.contains(words), "doctor does not say {words:?}:\n{said}");
    anyhow::ensure!(!is_content, "it is no fault:\n{said}");
    Ok(())
}

/// Statements in the words of the make.
fn by_make(server: &Server, mariadb: &[&str], mysql: &[&str]) -> Result<()> {
    run(server, if server.make() == Make::MariaDb { mariadb } else { mysql })
}

/// Runs statements that the replica's log does not hold.
fn behind_its_back(pair: &Pair, statements: &[&str]) -> Result<()> {
    run(&pair.replica, &[&["SET sql_log_bin = 0"], statements].concat())
}

fn each_mistake(make: Make) -> Result<()> {
    let Some(mut pair) = pair(make)? else { return Ok(()) };
    let scene = scene(&pair)?;
    let worker = scene.grid.worker("w1", &table(&pair.replica))?;
    // With a release in force it is known which tables are needed.
    let cycle = worker.start_cycle()?;
    worker.core_runs(None)?;
    cycle.terminate()?;
    cycle.ended_within(SOON)?;
    let (said, is_content) = doctor(&worker)?;
    anyhow::ensure!(is_content && said.contains("the replica is current"), "{said}");
    anyhow::ensure!(said.contains("copies m") && said.contains("applied: "), "each fact: {said}");

    run(&pair.replica, &["SET GLOBAL read_only = OFF"])?;
    let maria = make == Make::MariaDb;
    says(&worker, if maria { "SET GLOBAL read_only=ON" } else { "SET PERSIST super_read_only=ON" })?;
    run(&pair.replica, &["SET GLOBAL read_only = ON"])?;

    by_make(
        &pair.replica,
        &["STOP SLAVE SQL_THREAD", "SET GLOBAL replicate_ignore_table = 'company.people'", "START SLAVE SQL_THREAD"],
        &[
            "STOP REPLICA SQL_THREAD",
            "CHANGE REPLICATION FILTER REPLICATE_IGNORE_TABLE = (company.people)",
            "START REPLICA SQL_THREAD",
        ],
    )?;
    says(&worker, "take replicate_ignore_table=company.people out of the server's configuration")?;
    by_make(
        &pair.replica,
        &["STOP SLAVE SQL_THREAD", "SET GLOBAL replicate_ignore_table = ''", "START SLAVE SQL_THREAD"],
        &[
            "STOP REPLICA SQL_THREAD",
            "CHANGE REPLICATION FILTER REPLICATE_IGNORE_TABLE = ()",
            "START REPLICA SQL_THREAD",
        ],
    )?;

    behind_its_back(&pair, &["RENAME TABLE company.people TO company.gone"])?;
    says(&worker, "has no table company.people; create them on the primary")?;
    behind_its_back(&pair, &["RENAME TABLE company.gone TO company.people"])?;

    let right = if maria { "SLAVE MONITOR" } else { "REPLICATION CLIENT" };
    behind_its_back(&pair, &[&format!("REVOKE {right} ON *.* FROM reader@'127.0.0.1'")])?;
    says(&worker, &format!("GRANT {right} ON *.* TO 'reader'@'127.0.0.1'"))?;
    behind_its_back(&pair, &[&format!("GRANT {right} ON *.* TO reader@'127.0.0.1'")])?;

    let stranger = scene.grid.worker("w2", &table(&pair.replica).replace("reader@", "nobody@"))?;
    says(&stranger, "set user and password under [replica] in worker.toml right")?;

    by_make(&pair.replica, &["STOP SLAVE"], &["STOP REPLICA"])?;
    says(&worker, if maria { "run there: START SLAVE" } else { "run there: START REPLICA" })?;
    by_make(&pair.replica, &["RESET SLAVE ALL"], &["RESET REPLICA ALL"])?;
    says(&worker, if maria { "CHANGE MASTER TO MASTER_HOST=" } else { "CHANGE REPLICATION SOURCE TO SOURCE_HOST=" })?;

    pair.replica.crash();
    says(&worker, "the replica's server cannot be reached").context("it is gone")
}

#[test]
fn doctor_names_each_mistake_of_a_mariadb_with_the_command_that_cures_it() -> Result<()> {
    each_mistake(Make::MariaDb)
}

#[test]
fn doctor_names_each_mistake_of_a_mysql_with_the_command_that_cures_it() -> Result<()> {
    each_mistake(Make::MySql)
}
