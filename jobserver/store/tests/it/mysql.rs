//! What holds for the stores on MariaDB and MySQL alone: several servers on one schema, databases that crash, freeze and
//! come back, their constraints, other programs that look at them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use mysql_async::prelude::Queryable as _;
use nightshift_store::{
    Input, Ledger as _, Noted, Store, StoreError,
    mysql::{Address, Limits, MysqlStore, OpenError},
};
use nightshift_testbed::database::Make;
use nightshift_wire::{BatchState, JobId};

use crate::{
    hands::{claim, compute, finish, hand_in, job_records, new_batch, request, see, submit, try_claim},
    makes::on_both,
    place::{MysqlPlace, open, own, shell},
};

/// Repeats a verb while the store is away, as workers and owners do.
macro_rules! persist {
    ($verb:expr) => {
        loop {
            match $verb {
                Ok(answer) => break answer,
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
    };
}

on_both!(
    two_servers_on_one_store_hand_out_every_job_once,
    of_hand_ins_with_one_key_on_two_servers_one_is_first,
    a_hand_in_of_a_server_that_lives_is_left_alone_by_another_that_starts,
    a_batch_that_was_sealed_just_before_its_server_ended_is_left_alone_by_one_that_starts,
    a_claim_passes_over_a_batch_that_another_server_suspended_just_now,
    of_two_servers_that_open_an_empty_schema_at_once_both_find_the_tables,
    a_database_that_crashes_under_load_loses_and_doubles_nothing,
    a_database_that_is_silent_is_a_time_out_and_not_a_hang,
    what_cannot_be_opened_is_refused_with_advice_and_without_the_password,
    tables_of_a_later_version_are_left_alone,
    rows_that_break_a_rule_cannot_be_written,
    anyone_can_follow_a_record_to_its_result_with_plain_sql,
);

async fn of_hand_ins_with_one_key_on_two_servers_one_is_first(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let stores = [place.store().await, place.store().await];
    for round in 0..20 {
        let key = Some(format!("round {round}"));
        let input = Input { digest: "0".repeat(64), bytes: 1, parameters: "{}".to_owned(), key };
        let mut batches = Vec::new();
        for store in &stores {
            let batch = store.open_batch(new_batch(), 0).await.expect("open");
            store.append_job(batch, job_records(0, 2)).await.expect("append");
            batches.push(batch);
        }
        let (one, two) =
            tokio::join!(stores[0].note_input(batches[0], &input), stores[1].note_input(batches[1], &input));
        let noted = [one.expect("noted"), two.expect("noted")];
        let first = noted.iter().position(|noted| *noted == Noted::First).expect("one is the first");
        let other = &noted[1 - first];
        assert_eq!(*other, Noted::Before { batch: batches[first], input: input.clone() }, "round {round}");
        // Whoever finds it may seal it; the other one hears that it is sealed.
        let (sealed, again) = tokio::join!(stores[0].seal_batch(batches[first]), stores[1].seal_batch(batches[first]));
        assert_eq!([&sealed, &again].iter().filter(|sealed| sealed.is_ok()).count(), 1, "{sealed:?} {again:?}");
        stores[1 - first].abandon_batch(batches[1 - first]).await.expect("abandoned");
    }
    assert_eq!(stores[0].batches(100).await.expect("listed").len(), 20);
}

async fn two_servers_on_one_store_hand_out_every_job_once(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let stores: [Arc<dyn Store>; 2] = [Arc::new(place.store().await), Arc::new(place.store().await)];
    let batch = hand_in(&*stores[0], &[3; 24]).await;
    let workers: Vec<_> = (0..6)
        .map(|worker| {
            // Each request of a worker goes to the other server than the one before.
            let stores = stores.clone();
            tokio::spawn(async move {
                let name = format!("w{worker}");
                let mut jobs = Vec::new();
                while let Some(claim) = try_claim(&*stores[jobs.len() % 2], &name, 0).await {
                    let receipt = finish(&*stores[(jobs.len() + 1) % 2], &claim, 1).await;
                    assert!(!receipt.repeated);
                    jobs.push(claim.job);
                }
                jobs
            })
        })
        .collect();
    let mut done: BTreeSet<JobId> = BTreeSet::new();
    for worker in workers {
        for job in worker.await.expect("a worker ends well") {
            assert!(done.insert(job), "job {job} was done twice");
        }
    }
    assert_eq!(done.len(), 24);
    for store in &stores {
        let seen = see(&**store, batch).await;
        assert_eq!((seen.batch.state, seen.batch.results), (BatchState::Done, 72));
        assert!(seen.jobs.iter().all(|job| job.pickups == 1));
    }
}

async fn a_hand_in_of_a_server_that_lives_is_left_alone_by_another_that_starts(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let first = place.store().await;
    let batch = first.open_batch(new_batch(), 0).await.expect("open");
    first.append_job(batch, job_records(0, 2)).await.expect("append");
    let second = place.store().await;
    first.append_job(batch, job_records(1, 2)).await.expect("append");
    assert_eq!(first.seal_batch(batch).await.expect("sealed").jobs, 2);
    assert_eq!(claim(&second, "w", 0).await.batch, batch);
}

async fn a_batch_that_was_sealed_just_before_its_server_ended_is_left_alone_by_one_that_starts(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let first = place.store().await;
    let batch = first.open_batch(new_batch(), 0).await.expect("open");
    first.append_job(batch, job_records(0, 2)).await.expect("append");
    let url = place.url().to_owned();
    let starts = tokio::spawn(async move { open(&url, Limits::default()).await });
    // It has seen the hand-in, and waits whether the server of it is gone.
    let waits =
        "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%GET_LOCK%' AND state = 'User lock'";
    let mut shell = place.shell().await;
    loop {
        let waiting: Option<u64> = shell.query_first(waits).await.expect("asked");
        if waiting == Some(1) {
            break;
        }
    }
    first.seal_batch(batch).await.expect("sealed");
    drop(first);
    let second = starts.await.expect("started");
    assert_eq!(claim(&second, "w", 0).await.batch, batch);
}

async fn a_claim_passes_over_a_batch_that_another_server_suspended_just_now(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (first, second) = (place.store().await, place.store().await);
    // More jobs than a claim could look at one by one.
    let batch = first.open_batch(new_batch(), 0).await.expect("open");
    for _ in 0..12 {
        first.append_jobs(batch, vec![job_records(0, 1); 1_000]).await.expect("append");
    }
    first.seal_batch(batch).await.expect("sealed");
    let other = hand_in(&first, &[1]).await;
    for _ in 0..3 {
        claim(&second, "w", 0).await;
        first.suspend_batch(batch, "too hot", 0).await.expect("suspended");
        // The second server has read what waits within the last second, and does not know of it; nor does this worker.
        let next = second.claim(&request("another"), 0).await.expect("claimed");
        assert!(next.iter().all(|claim| claim.batch == other), "{next:?}");
        first.resume_batch(batch, None, 0).await.expect("resumed");
    }
}

async fn of_two_servers_that_open_an_empty_schema_at_once_both_find_the_tables(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let (one, two) = tokio::join!(place.store(), place.store());
    let batch = hand_in(&one, &[1]).await;
    assert_eq!(two.batch(batch).await.expect("batch").jobs, 1);
}

async fn a_database_that_crashes_under_load_loses_and_doubles_nothing(make: Make) {
    const JOBS: usize = 40;
    let Some(mut server) = own(make) else { return };
    let url = MysqlPlace::fresh_on(&server).await;
    let stores: [Arc<dyn Store>; 2] =
        [Arc::new(open(&url, Limits::default()).await), Arc::new(open(&url, Limits::default()).await)];
    let batch = hand_in(&*stores[0], &[5; JOBS]).await;
    let (said, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (store, said) = (Arc::clone(&stores[worker % 2]), said.clone());
            tokio::spawn(work_through(store, format!("w{worker}"), said))
        })
        .collect();
    drop(said);
    let mut acknowledged: Vec<JobId> = Vec::new();
    while let Some(job) = hear.recv().await {
        acknowledged.push(job);
        if [5, 15].contains(&acknowledged.len()) {
            server = tokio::task::spawn_blocking(move || {
                server.crash();
                server.restart().expect("it comes back");
                server
            })
            .await
            .expect("no panic");
        }
    }
    for worker in workers {
        worker.await.expect("a worker ends well");
    }
    let distinct: BTreeSet<JobId> = acknowledged.iter().copied().collect();
    assert_eq!((distinct.len(), acknowledged.len()), (JOBS, JOBS), "each job was acknowledged once");
    let seen = see(&*stores[0], batch).await;
    assert_eq!((seen.batch.state, seen.batch.results), (BatchState::Done, 5 * JOBS as u64));
    assert!(seen.results.iter().flat_map(|job| &job.records).all(|row| row.outcome.is_some()));
}

/// Works off what there is, asking again while the store is away; says which jobs were acknowledged as done.
async fn work_through(store: Arc<dyn Store>, name: String, said: tokio::sync::mpsc::UnboundedSender<JobId>) {
    loop {
        let claimed = persist!(store.claim(&request(&name), 0).await);
        let Some(claim) = claimed.into_iter().next() else {
            // Nothing waits: done, unless another worker's claim is undone by a crash.
            let batches = persist!(store.batches(1).await);
            if batches[0].state == BatchState::Done {
                return;
            }
            tokio::task::yield_now().await;
            continue;
        };
        let records = persist!(store.records(claim.attempt, &claim.secret, &[]).await);
        let results: Vec<nightshift_wire::RecordResult> = records
            .records
            .iter()
            .map(|record| nightshift_wire::RecordResult {
                id: record.id,
                outcome: nightshift_wire::Outcome::Error(name.clone()),
            })
            .collect();
        let receipt = persist!(submit(&*store, &claim, results.clone(), 1).await);
        let _ = said.send(receipt.job);
    }
}

async fn a_database_that_is_silent_is_a_time_out_and_not_a_hang(make: Make) {
    let Some(server) = own(make) else { return };
    let url = MysqlPlace::fresh_on(&server).await;
    let limits = Limits { connect: Duration::from_millis(500), statement: Duration::from_millis(500) };
    let store = open(&url, Limits { statement: Duration::from_secs(10), ..limits }).await;
    let batch = hand_in(&store, &[2]).await;
    let impatient = open(&url, limits).await;
    let claimed = claim(&impatient, "w", 0).await;
    let results = compute(&impatient, &claimed).await;

    server.freeze();
    let (one, two) = tokio::join!(submit(&impatient, &claimed, results.clone(), 1), impatient.batch(batch));
    for error in [one.expect_err("silent"), two.map(drop).expect_err("silent")] {
        assert!(matches!(error, StoreError::Away { .. }), "{error:?}");
    }
    server.thaw();
    let done = persist!(submit(&store, &claimed, results.clone(), 2).await);
    assert_eq!(done.job, claimed.job);
    assert_eq!(store.batch(batch).await.expect("batch").results, 2);
}

async fn what_cannot_be_opened_is_refused_with_advice_and_without_the_password(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let url = place.url().replace("nightshift@", "nightshift:s3cret@");
    let error = refused(&url).await;
    assert!(matches!(error, OpenError::Database { .. }), "{error:?}");
    let error = refused(&format!("{}_missing", place.url())).await.to_string();
    assert!(error.contains("its server must run, and have that schema and user"), "{error}");
    assert!(!refused(&url).await.to_string().contains("s3cret"));
}

async fn refused(url: &str) -> OpenError {
    MysqlStore::open(&Address::parse(url).expect("an address"), Limits::default()).await.expect_err("refused")
}

async fn tables_of_a_later_version_are_left_alone(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    drop(place.store().await);
    let newer = "INSERT INTO refinery_schema_history SELECT 99, 'later', applied_on, checksum FROM (SELECT * FROM \
                 refinery_schema_history) AS before_it WHERE version = 1";
    place.shell().await.query_drop(newer).await.expect("a later version was here");
    let error = refused(place.url()).await;
    assert!(matches!(error, OpenError::Tables { .. }), "{error:?}");
}

/// What no program may write, the job server included: each statement breaks one rule of the tables.
async fn rows_that_break_a_rule_cannot_be_written(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let store = place.store().await;
    hand_in(&store, &[2, 2, 2]).await;
    finish(&store, &claim(&store, "a", 0).await, 1).await;
    claim(&store, "b", 0).await;
    let mut shell = shell(place.url()).await;
    let forbidden = [
        ("a state that does not exist", "UPDATE jobs SET state = 'lost' WHERE id = 3"),
        ("a running job without an attempt", "UPDATE jobs SET attempt_id = NULL, worker = NULL WHERE id = 2"),
        ("a waiting job in somebody's hands", "UPDATE jobs SET attempt_id = 1, worker = 'a' WHERE id = 3"),
        ("a done job without a moment", "UPDATE jobs SET finished_at = NULL WHERE id = 1"),
        ("a quarantined job without a reason", "UPDATE jobs SET state = 'quarantined' WHERE id = 3"),
        ("two jobs at one place of a batch", "UPDATE jobs SET seq = 0 WHERE id = 3"),
        ("more failures than pick-ups", "UPDATE jobs SET failures = 1 WHERE id = 3"),
        ("a second result for a record", "INSERT INTO job_results VALUES (1, 1, 1, NULL, 'x')"),
        ("a result that is value and error", "UPDATE job_results SET result = '{}', error = 'x'"),
        ("a result that is neither", "UPDATE job_results SET result = NULL, error = NULL"),
        ("a result for no record", "UPDATE job_results SET job_record_id = 999999 WHERE job_record_id = 1"),
        (
            "a second running attempt",
            "INSERT INTO attempts (id, job_id, secret, worker, revision, `release`, release_commit, state, lease_ms, \
             lease_until, started_at) VALUES (999, 2, 's', 'w', 1, 'v', 'c', 'running', 1, 1, 1)",
        ),
        (
            "a second accepted attempt",
            "UPDATE attempts SET job_id = 1, state = 'accepted', lease_until = NULL, ended_at = 1, work_ms = 1 \
             WHERE id = 2",
        ),
        ("a running attempt without a lease", "UPDATE attempts SET lease_until = NULL WHERE id = 2"),
        ("a batch done before its records are", "UPDATE batches SET state = 'done', finished_at = 1"),
        ("more results than records", "UPDATE batches SET results = 7"),
        ("more errors than results", "UPDATE batches SET errors = 3"),
    ];
    for (what, sql) in forbidden {
        match shell.query_drop(sql).await {
            // A CHECK (MySQL, MariaDB), a key, a foreign key.
            Err(mysql_async::Error::Server(error)) if [3819, 4025, 1062, 1451, 1452].contains(&error.code) => {}
            outcome => panic!("{what}: {outcome:?}"),
        }
    }
}

async fn anyone_can_follow_a_record_to_its_result_with_plain_sql(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let store = place.store().await;
    hand_in(&store, &[3, 3]).await;
    for worker in ["a", "b"] {
        finish(&store, &claim(&store, worker, 0).await, 1).await;
    }
    let sql = "SELECT jobs.worker, JSON_VALUE(job_records.data, '$[0]'), JSON_VALUE(job_results.result, '$.person'),
                      attempts.release
               FROM jobs
               JOIN job_records ON job_records.job_id = jobs.id
               JOIN job_results ON job_results.job_record_id = job_records.id
               JOIN attempts ON attempts.id = job_results.attempt_id
               WHERE jobs.id = 2 AND job_results.error IS NULL
               ORDER BY job_records.id";
    let rows: Vec<(String, String, String, String)> = place.shell().await.query(sql).await.expect("rows");
    let row = |place: &str| ("b".to_owned(), place.to_owned(), place.to_owned(), "v1.0.0".to_owned());
    assert_eq!(rows, [row("name 1/1"), row("name 1/2")]);
}
