//! Several job servers on one MySQL store are right together: as processes, over HTTP, while one of them is killed in the
//! middle of a claim or a submission, and while their database is. Nobody leads: each does everything.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use nightshift_testbed::database::{Make, SCHEMA, Server};
use nightshift_wire::{BatchId, JobId, JobState};
use tokio::sync::mpsc;

use crate::running::claim_request;
use crate::site::{Served, Site, assert_whole, client, database, eventually, hand_in, persist, submission, work};

fn two_servers(site: &Site, database: &Server) -> [Served; 2] {
    let store = format!("store = {:?}", database.url(SCHEMA));
    [site.server("one", &store), site.server("two", &store)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_the_middle_of_a_claim_or_a_submission_loses_and_doubles_nothing() {
    let Some(database) = database(Make::MariaDb) else { return };
    let site = Site::new(10);
    let [mut one, two] = two_servers(&site, &database);
    let (by_one, by_two, by_both) = (client([&one]), client([&two]), client([&one, &two]));
    let batch = hand_in(&by_both, 30).await.id;
    let running = async || by_two.batch(batch).await.ok().map(|batch| batch.jobs_running);

    // The claim is in the store, and the server is killed before the worker hears of it.
    one.proxy.mute();
    let unheard = tokio::spawn(async move { by_one.claim(&claim_request("w")).await });
    eventually("the claim to be in the store", async || running().await.filter(|running| *running == 1)).await;
    one.process.kill();
    one.proxy.cut();
    unheard.await.expect("no panic").expect_err("its answer never came");
    let claim = by_both.claim(&claim_request("w")).await.expect("the other server answers").expect("a job");
    assert_eq!(running().await, Some(1), "one job for one worker");
    let jobs = by_two.jobs(batch).await.expect("listed");
    assert_eq!(jobs[0].id, claim.job, "it is the one that was claimed before");
    assert_eq!((jobs[0].state, jobs[0].worker.as_deref()), (JobState::Running, Some("w")));

    // The results are in the store, and the server is killed before the worker hears of it.
    one.process.restart().expect("it comes back");
    let records = by_both.records(claim.attempt, &claim.secret, &["name".to_owned()]).await.expect("its records");
    let results = submission(&claim, &records);
    let (by_one, unheard) = (client([&one]), results.clone());
    let unheard = tokio::spawn(async move { by_one.submit(claim.attempt, &unheard).await });
    let done = async || by_two.batch(batch).await.ok().filter(|batch| batch.jobs_done == 1);
    eventually("the results to be in the store", done).await;
    one.process.kill();
    one.proxy.cut();
    unheard.await.expect("no panic").expect_err("its answer never came");
    let receipt = persist!(by_both.submit(claim.attempt, &results).await).expect("acknowledged");
    assert!(receipt.repeated, "it was done before");

    // A part of the results is on its way when the server is killed.
    one.process.restart().expect("it comes back");
    one.proxy.heal();
    let claim = by_both.claim(&claim_request("w")).await.expect("an answer").expect("a job");
    let records = by_both.records(claim.attempt, &claim.secret, &["name".to_owned()]).await.expect("its records");
    let results = submission(&claim, &records);
    one.proxy.cut_after(250);
    client([&one]).submit(claim.attempt, &results).await.expect_err("a part of it");
    one.process.kill();
    let receipt = persist!(by_both.submit(claim.attempt, &results).await).expect("acknowledged");
    assert!(!receipt.repeated, "a part of it is nothing");

    let (said, _heard) = mpsc::unbounded_channel();
    work(by_both, "x".to_owned(), batch, said).await;
    assert_whole(&by_two, batch, 30).await;
    one.process.restart().expect("it comes back");
    persist!(client([&one]).batch(batch).await).expect("it serves what the other did");
    assert_whole(&client([&one]), batch, 30).await;
}

/// Lets four workers work a batch off at both servers, and does something to the grid at every tenth job.
async fn work_off(
    servers: &mut [Served; 2],
    batch: BatchId,
    jobs: usize,
    mut every_tenth: impl AsyncFnMut(&mut [Served; 2], usize),
) {
    let (said, mut heard) = mpsc::unbounded_channel();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let both = if worker % 2 == 0 { client(&*servers) } else { client(servers.iter().rev()) };
            tokio::spawn(work(both, format!("w-{worker}"), batch, said.clone()))
        })
        .collect();
    drop(said);
    let mut told: BTreeMap<JobId, u32> = BTreeMap::new();
    while let Some(job) = heard.recv().await {
        *told.entry(job).or_default() += 1;
        if told.len().is_multiple_of(10) && told[&job] == 1 {
            every_tenth(servers, told.len() / 10).await;
        }
    }
    for worker in workers {
        worker.await.expect("a worker ends well");
    }
    assert_eq!(told.len(), jobs, "each job was acknowledged");
    assert!(told.values().all(|times| *times == 1), "each to one worker: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_two_servers_go_on_while_each_of_them_is_killed_and_comes_back() {
    let Some(database) = database(Make::MariaDb) else { return };
    let site = Site::new(5);
    let mut servers = two_servers(&site, &database);
    let batch = hand_in(&client(&servers), 300).await.id;
    work_off(&mut servers, batch, 60, async |servers, tenth| match tenth {
        1 => servers[0].process.kill(),
        2 => servers[0].process.restart().expect("it comes back"),
        3 => servers[1].process.kill(),
        4 => servers[1].process.restart().expect("it comes back"),
        _ => {}
    })
    .await;
    for server in &servers {
        assert_whole(&client([server]), batch, 300).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_two_servers_go_on_while_their_mariadb_is_killed_and_comes_back() {
    while_their_database_is_killed_and_comes_back(Make::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_two_servers_go_on_while_their_mysql_is_killed_and_comes_back() {
    while_their_database_is_killed_and_comes_back(Make::MySql).await;
}

async fn while_their_database_is_killed_and_comes_back(make: Make) {
    let Some(mut database) = database(make) else { return };
    let site = Site::new(5);
    let mut servers = two_servers(&site, &database);
    let batch = hand_in(&client(&servers), 200).await.id;
    work_off(&mut servers, batch, 40, async |_, tenth| {
        if tenth < 3 {
            tokio::task::block_in_place(|| {
                database.crash();
                database.restart().expect("it comes back");
            });
        }
    })
    .await;
    for server in &servers {
        assert_whole(&client([server]), batch, 200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_server_takes_back_what_another_handed_out() {
    let Some(database) = database(Make::MariaDb) else { return };
    let site = Site::with_lease(5, "2s");
    let [mut one, two] = two_servers(&site, &database);
    let batch = hand_in(&client([&one]), 5).await.id;
    let gone = client([&one]).claim(&claim_request("gone")).await.expect("an answer").expect("a job");
    one.process.kill();
    let again = eventually("the other server to take the job back", async || {
        client([&two]).claim(&claim_request("other")).await.expect("an answer")
    })
    .await;
    assert_eq!((again.batch, again.job), (batch, gone.job));
    assert!(again.attempt > gone.attempt);
}

/// A job server that believes it is ten minutes later than it is: whatever compiles this test compiles that, too.
fn ten_minutes_later(site: &Site) -> PathBuf {
    let (script, source, library) =
        (site.folder().join("later"), site.folder().join("later.c"), site.folder().join("later.so"));
    fs::write(&source, include_str!("later.c")).expect("written");
    let text = format!(
        "#!/bin/sh\ncc -shared -fPIC -o {library} {source} -ldl && LD_PRELOAD={library} exec {program} \"$@\"\n",
        library = library.display(),
        source = source.display(),
        program = env!("CARGO_BIN_EXE_nightshift-jobserver"),
    );
    fs::write(&script, text).expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a program");
    script
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_workers_job_comes_back_although_the_clocks_of_two_servers_differ_by_minutes() {
    let Some(database) = database(Make::MariaDb) else { return };
    let site = Site::with_lease(10, "1s");
    let store = format!("store = {:?}", database.url(SCHEMA));
    let (one, later) = (site.server("one", &store), site.server_as(&ten_minutes_later(&site), "two", &store));
    let (by_one, by_later) = (client([&one]), client([&later]));
    let batch = hand_in(&by_one, 10).await.id;
    for (client, other) in [(&by_one, &by_later), (&by_later, &by_one)] {
        let dead = eventually("a job", async || client.claim(&claim_request("dead")).await.ok().flatten()).await;
        let history = async || other.job(dead.job).await.ok();
        let back = async || history().await.filter(|history| history.job.state == JobState::Waiting);
        let losses = eventually("its lease to be over", back).await.job.losses;
        assert!(losses > 0, "it was lost, and not given back");
    }
    let (said, _heard) = mpsc::unbounded_channel();
    work(client([&one, &later]), "x".to_owned(), batch, said).await;
    assert_whole(&by_one, batch, 10).await;
    let log = fs::read_to_string(later.process.log()).expect("its log");
    assert!(log.contains(" s ahead of the database's, which counts"), "{log}");
    assert!(!log.contains("no job server was there"), "it takes nobody's clock for a time without any server:\n{log}");
}
