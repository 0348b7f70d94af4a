//! A server that is killed while it writes: what it had acknowledged is there, what it had not is whole or absent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nightshift_store::{Store, sqlite::SqliteStore};
use nightshift_wire::{BatchId, BatchState, JobId, JobState, RecordId};
use rusqlite::Connection;

use crate::{
    hands::{Seen, claim, compute, finish, job_records, new_batch, see, submit, try_claim},
    place::{Place as _, SqlitePlace},
    process::{self, Doomed},
};

const RECORDS: usize = 20;
const JOBS: usize = 3;

#[tokio::test]
async fn a_killed_server_keeps_what_it_acknowledged_and_nothing_by_halves() {
    let place = SqlitePlace::fresh();
    let mut acknowledged = Acknowledged::default();
    for lines in [1, 4, 9, 23, 40, 61] {
        let mut server = Doomed::start("crash::serves_until_it_is_killed", &place.database());
        for _ in 0..lines {
            acknowledged.note(&server.line().expect("the child serves until it is killed"));
        }
        for line in server.kill() {
            acknowledged.note(&line);
        }
        look_through(&*place.open().await, &acknowledged).await;
    }
    assert!(acknowledged.jobs.len() > 10 && acknowledged.batches.len() > 3, "{acknowledged:?}");

    let store = place.open().await;
    while !store.expire(i64::MAX).await.expect("expire").is_empty() {}
    while let Some(claim) = try_claim(&*store, "last", 0).await {
        finish(&*store, &claim, 0).await;
    }
    look_through(&*store, &acknowledged).await;
    let batches = store.batches(u32::MAX).await.expect("batches");
    for batch in &batches {
        assert_eq!((batch.state, batch.results), (BatchState::Done, batch.records));
    }
    store.tidy().await.expect("tidied");
    let rows = Connection::open(place.database()).expect("another connection");
    let left: u64 = rows.query_row("SELECT count(*) FROM job_records", [], |row| row.get(0)).expect("counted");
    assert_eq!(
        left,
        batches.iter().map(|batch| batch.records).sum::<u64>(),
        "of hand-ins that broke off nothing is left"
    );
}

/// Played by a process of its own: hands batches in and works them off, saying what was acknowledged.
#[test]
#[ignore = "the part of a process that is killed; the test above starts it"]
fn serves_until_it_is_killed() {
    let Some(database) = process::database() else { return };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&database).expect("open the store"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let tasks = (0..3).map(|task| tokio::spawn(serve(Arc::clone(&store), format!("w{task}"))));
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("only a kill ends it");
        }
    });
}

#[expect(clippy::print_stdout, reason = "the parent hears what was acknowledged")]
async fn serve(store: Arc<dyn Store>, worker: String) {
    loop {
        let batch = store.open_batch(new_batch(), 0).await.expect("open");
        for job in 0..JOBS {
            store.append_job(batch, job_records(job, RECORDS)).await.expect("append");
        }
        store.seal_batch(batch).await.expect("seal");
        println!("\nbatch {batch}");
        for _ in 0..JOBS {
            let claim = claim(&*store, &worker, 0).await;
            let results = compute(&*store, &claim).await;
            submit(&*store, &claim, results, 1).await.expect("accepted");
            println!("\njob {}", claim.job);
        }
    }
}

/// What the killed servers had acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    batches: BTreeSet<BatchId>,
    jobs: BTreeSet<JobId>,
}

impl Acknowledged {
    fn note(&mut self, line: &str) {
        // The last line may be cut anywhere: then its answer was not heard.
        let Some(line) = line.strip_suffix('\n') else { return };
        if let Some(batch) = line.strip_prefix("batch ") {
            self.batches.insert(batch.parse().expect("a number"));
        } else if let Some(job) = line.strip_prefix("job ") {
            self.jobs.insert(job.parse().expect("a number"));
        }
    }
}

async fn look_through(store: &dyn Store, acknowledged: &Acknowledged) {
    let mut states = BTreeMap::new();
    let mut records: BTreeSet<RecordId> = BTreeSet::new();
    for batch in store.batches(u32::MAX).await.expect("batches") {
        let seen = see(store, batch.id).await;
        whole(&seen);
        states.extend(seen.jobs.iter().map(|job| (job.id, job.state)));
        for row in seen.results.iter().flat_map(|job| &job.records) {
            assert!(records.insert(row.record.id), "record {} is in two jobs", row.record.id);
        }
    }
    for &batch in &acknowledged.batches {
        store.batch(batch).await.expect("an acknowledged batch");
    }
    for job in &acknowledged.jobs {
        assert_eq!(states.get(job), Some(&JobState::Done), "job {job} was acknowledged");
    }
}

/// A batch without halves: sealed and complete, its counters those of its jobs, results for all records of a job or none.
fn whole(seen: &Seen) {
    let batch = &seen.batch;
    assert_ne!(batch.state, BatchState::Receiving, "a hand-in the server did not survive");
    assert_eq!((batch.jobs, batch.records), (JOBS as u64, (JOBS * RECORDS) as u64));
    let count = |state: JobState| seen.jobs.iter().filter(|job| job.state == state).count() as u64;
    assert_eq!(batch.jobs_done, count(JobState::Done));
    assert_eq!(batch.jobs_running, count(JobState::Running));
    let mut results = 0;
    for job in &seen.results {
        let found = job.records.iter().filter(|row| row.outcome.is_some()).count();
        assert_eq!(job.records.len(), RECORDS);
        assert_eq!(found, if job.state == JobState::Done { RECORDS } else { 0 });
        results += found as u64;
    }
    assert_eq!(batch.results, results);
}
