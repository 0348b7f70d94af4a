//! Long random histories: a store and the model (`model.rs`) live through the same steps and must agree on every answer.
//!
//! Hand-ins, claims by workers that remember or forget what they hold, heartbeats, whole and broken submissions early and
//! late, give-backs, clock jumps, leases that run out, servers that restart. At the end everything is worked off, and each
//! record must have exactly one result, all of a job's from one attempt. A failure names the seed that shows it again.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_store::{NewBatch, Store};
use nightshift_testbed::database::Make;
use nightshift_wire::{
    AttemptId, BatchId, BatchState, ClaimRequest, GiveBackCause, JobState, Moment, Outcome, RecordId, RecordResult,
};

use crate::{
    hands::{self, LEASE, PLUGIN, Seen, job_records, new_batch, request, see},
    model::{Answer, Fate, Model, ModelJob},
    place::{MysqlPlace, Place, SqlitePlace},
};

const STEPS: usize = 200;
const WORKERS: [&str; 4] = ["a", "b", "c", "d"];
const PLUGINS: [&str; 2] = [PLUGIN, "name-count"];

#[tokio::test]
async fn randomized_histories_lose_nothing_double_nothing_and_make_no_illegal_move_on_sqlite() {
    for seed in 0..seeds() {
        println!("seed {seed}");
        live_through(&SqlitePlace::fresh(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn randomized_histories_lose_nothing_double_nothing_and_make_no_illegal_move_on_mariadb() {
    randomized_on(Make::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn randomized_histories_lose_nothing_double_nothing_and_make_no_illegal_move_on_mysql() {
    randomized_on(Make::MySql).await;
}

/// Several histories at a time, each in a schema of its own: a server spends most of a history waiting for its disk.
async fn randomized_on(make: Make) {
    const AT_ONCE: u64 = 5;
    for first in (0..seeds()).step_by(AT_ONCE as usize) {
        let histories = (first..seeds().min(first + AT_ONCE)).map(|seed| {
            let history = tokio::spawn(async move {
                if let Some(place) = MysqlPlace::fresh(make).await {
                    live_through(&place, seed).await;
                }
            });
            (seed, history)
        });
        for (seed, history) in histories.collect::<Vec<_>>() {
            history.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "`make soak` asks for more seeds")]
fn seeds() -> u64 {
    std::env::var("NIGHTSHIFT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(20)
}

async fn live_through(place: &dyn Place, seed: u64) {
    let mut history = History {
        place,
        store: Some(place.open().await),
        dice: fastrand::Rng::with_seed(seed),
        now: 1_000_000,
        model: Model::default(),
        batches: BTreeMap::new(),
    };
    for step in 0..STEPS {
        history.step().await;
        if step % 20 == 0 {
            history.compare().await;
        }
    }
    history.work_off().await;
    history.compare().await;
}

struct History<'a> {
    place: &'a dyn Place,
    /// `None` only while the server restarts.
    store: Option<Box<dyn Store>>,
    dice: fastrand::Rng,
    now: Moment,
    model: Model,
    /// Sealed batches and their numbers of records.
    batches: BTreeMap<BatchId, u64>,
}

impl History<'_> {
    fn store(&self) -> &dyn Store {
        self.store.as_deref().expect("the server runs")
    }

    async fn step(&mut self) {
        match self.dice.u32(0..100) {
            0..8 => self.hand_in().await,
            8..35 => self.claim().await,
            35..50 => self.beat().await,
            50..75 => self.submit().await,
            75..85 => self.give_back().await,
            85..95 => self.time_passes().await,
            95..98 => self.restart().await,
            _ => self.now -= self.dice.i64(0..120_000),
        }
    }

    async fn hand_in(&mut self) {
        let plugin = *self.dice.choice(&PLUGINS).expect("plugins");
        let priority = self.dice.i32(-1..=1);
        let new = NewBatch { plugin: plugin.to_owned(), priority, ..new_batch() };
        let batch = self.store().open_batch(new, self.now).await.expect("open");
        for job in 0..self.dice.usize(1..6) {
            let records = job_records(job, self.dice.usize(1..6));
            self.store().append_job(batch, records).await.expect("append");
        }
        match self.dice.u32(0..10) {
            0 => return self.store().abandon_batch(batch).await.expect("abandon"),
            1 => return self.restart().await,
            _ => {}
        }
        let sealed = self.store().seal_batch(batch).await.expect("seal");
        self.batches.insert(batch, sealed.records);
        let seen = see(self.store(), batch).await;
        for (job, results) in seen.jobs.iter().zip(seen.results) {
            let records = results.records.into_iter().map(|row| row.record.id).collect();
            let job_of_batch = ModelJob {
                batch,
                plugin: plugin.to_owned(),
                priority,
                records,
                state: JobState::Waiting,
                pickups: 0,
                failures: 0,
                attempt: None,
            };
            self.model.jobs.insert(job.id, job_of_batch);
        }
    }

    async fn claim(&mut self) {
        let worker = *self.dice.choice(&WORKERS).expect("workers");
        let mut holding = self.model.held_by(worker);
        holding.retain(|_| self.dice.u32(0..10) > 0);
        let mut plugins: Vec<String> = PLUGINS.map(str::to_owned).to_vec();
        plugins.truncate(self.dice.usize(1..=PLUGINS.len()));
        self.claim_as(worker, holding, plugins).await;
    }

    async fn claim_as(&mut self, worker: &str, holding: Vec<AttemptId>, plugins: Vec<String>) -> Option<AttemptId> {
        self.model.holds_only(worker, &holding);
        let expected = self.model.next(&plugins);
        let request = ClaimRequest { holding, plugins, ..request(worker) };
        let claim = self.store().claim(&request, self.now).await.expect("claim");
        assert_eq!(claim.as_ref().map(|claim| claim.job), expected, "the job handed out");
        let claim = claim?;
        let attempt = claim.attempt;
        self.model.claimed(claim, worker, self.now);
        Some(attempt)
    }

    async fn beat(&mut self) {
        let Some(attempt) = self.any_attempt() else { return };
        let expected = self.model.beat(attempt, self.now);
        let lease = hands::beat(self.store(), &self.model.attempts[&attempt].claim, self.now).await;
        assert_eq!(lease.lease_ms.is_some(), expected, "the heartbeat of attempt {attempt}: {}", lease.reason);
        assert_eq!(lease.reason.is_empty(), expected);
    }

    async fn submit(&mut self) {
        let Some(attempt) = self.any_attempt() else { return };
        let job = self.model.attempts[&attempt].claim.job;
        let mut results = self.model.jobs[&job].records.clone();
        self.dice.shuffle(&mut results);
        match self.dice.u32(0..10) {
            0 => drop(results.pop()),
            1 => results.push(results[0]),
            2 => results[0] = results.iter().max().expect("records") + 1,
            3 => results.clear(),
            _ => {}
        }
        self.submit_as(attempt, &results).await;
    }

    async fn submit_as(&mut self, attempt: AttemptId, results: &[RecordId]) {
        let expected = self.model.submit(attempt, results);
        let claim = &self.model.attempts[&attempt].claim;
        let results = results.iter().map(|&id| RecordResult { id, outcome: outcome(id, attempt) }).collect();
        let answer = match hands::submit(self.store(), claim, results, self.now).await {
            Ok(receipt) if receipt.repeated => Answer::Acknowledged,
            Ok(_) => Answer::Accepted,
            Err(error) => {
                assert!(error.refusal().is_some(), "{error:?}");
                Answer::Refused
            }
        };
        assert_eq!(answer, expected, "the submission of attempt {attempt}");
    }

    async fn give_back(&mut self) {
        let Some(attempt) = self.any_attempt() else { return };
        let cause = if self.dice.bool() { GiveBackCause::Stopped } else { GiveBackCause::Failed };
        self.model.give_back(attempt, cause);
        hands::give_back(self.store(), &self.model.attempts[&attempt].claim, cause, "dice", self.now).await;
    }

    async fn time_passes(&mut self) {
        self.now += self.dice.i64(0..2 * i64::try_from(LEASE).expect("a lease that fits"));
        let expected = self.model.expire(self.now);
        let lost = self.store().expire(self.now).await.expect("expire");
        let lost: BTreeSet<AttemptId> = lost.into_iter().map(|lost| lost.attempt).collect();
        assert_eq!(lost, expected, "the leases that ran out");
    }

    async fn restart(&mut self) {
        drop(self.store.take());
        self.store = Some(self.place.open().await);
    }

    /// One of the newest attempts, whatever became of it.
    fn any_attempt(&mut self) -> Option<AttemptId> {
        let newest: Vec<AttemptId> = self.model.attempts.keys().rev().take(12).copied().collect();
        self.dice.choice(&newest).copied()
    }

    /// Everything that still waits or runs is done; quarantined jobs stay.
    async fn work_off(&mut self) {
        self.now += 1_000_000_000;
        self.model.expire(self.now);
        while !self.store().expire(self.now).await.expect("expire").is_empty() {}
        let plugins = PLUGINS.map(str::to_owned).to_vec();
        while let Some(attempt) = self.claim_as("last", Vec::new(), plugins.clone()).await {
            let job = self.model.attempts[&attempt].claim.job;
            let records = self.model.jobs[&job].records.clone();
            self.submit_as(attempt, &records).await;
        }
        for (id, job) in &self.model.jobs {
            assert!(matches!(job.state, JobState::Done | JobState::Quarantined), "job {id} is left {:?}", job.state);
        }
    }

    /// What the store shows is what the model has.
    async fn compare(&self) {
        let batches = self.store().batches(u32::MAX).await.expect("batches");
        let listed: BTreeSet<BatchId> = batches.iter().map(|batch| batch.id).collect();
        assert_eq!(listed, self.batches.keys().copied().collect(), "the batches there are");
        for (&batch, &records) in &self.batches {
            let seen = see(self.store(), batch).await;
            assert_eq!(seen.batch.records, records);
            self.compare_batch(&seen);
        }
    }

    fn compare_batch(&self, seen: &Seen) {
        let batch = &seen.batch;
        let jobs: Vec<(&i64, &ModelJob)> = self.model.jobs.iter().filter(|(_, job)| job.batch == batch.id).collect();
        let count = |state: JobState| jobs.iter().filter(|(_, job)| job.state == state).count() as u64;
        assert_eq!(batch.jobs, jobs.len() as u64);
        assert_eq!(batch.jobs_running, count(JobState::Running));
        assert_eq!(batch.jobs_done, count(JobState::Done));
        assert_eq!(batch.jobs_quarantined, count(JobState::Quarantined));
        let over = batch.jobs_done + batch.jobs_quarantined == batch.jobs;
        let state = match over {
            true if batch.jobs_quarantined > 0 => BatchState::Incomplete,
            true => BatchState::Done,
            false => BatchState::Open,
        };
        assert_eq!((batch.state, batch.finished_at.is_some()), (state, over));

        let (mut results, mut errors) = (0, 0);
        for (((id, job), shown), kept) in jobs.iter().zip(&seen.jobs).zip(&seen.results) {
            assert_eq!((shown.id, shown.state), (**id, job.state));
            assert_eq!((shown.pickups, shown.failures), (job.pickups, job.failures));
            let accepted = job.attempt.filter(|_| job.state == JobState::Done);
            let expected: Vec<(RecordId, Option<Outcome>)> =
                job.records.iter().map(|&id| (id, accepted.map(|attempt| outcome(id, attempt)))).collect();
            let found: Vec<(RecordId, Option<Outcome>)> =
                kept.records.iter().map(|row| (row.record.id, row.outcome.clone())).collect();
            assert_eq!(found, expected, "the results of job {id}");
            results += found.iter().filter(|(_, outcome)| outcome.is_some()).count() as u64;
            errors += found.iter().filter(|(_, outcome)| matches!(outcome, Some(Outcome::Error(_)))).count() as u64;
        }
        assert_eq!((batch.results, batch.errors), (results, errors));
        let running = self.model.attempts.values().filter(|attempt| attempt.fate == Fate::Running).count() as u64;
        let counted: u64 = self.model.jobs.values().filter(|job| job.state == JobState::Running).count() as u64;
        assert_eq!(running, counted, "each running job has one running attempt");
    }
}

/// A result that tells which attempt computed it.
fn outcome(record: RecordId, attempt: AttemptId) -> Outcome {
    match record % 5 {
        0 => Outcome::Error(format!("attempt {attempt} found nothing")),
        _ => Outcome::Ok(BTreeMap::from([("person".to_owned(), attempt.into())])),
    }
}
