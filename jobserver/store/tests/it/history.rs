//! Long random histories: a store and the model (`model.rs`) live through the same steps and must agree on every answer.
//!
//! Hand-ins, claims (several jobs at once, too) by workers that remember or forget what they hold, heartbeats, whole and
//! broken submissions early, late and several at once, give-backs, suspended, edited, retried and deleted jobs and
//! batches, drained workers, clock jumps, leases that run out, servers that restart or are away. At the end everything is
//! worked off, and each record must have exactly one result, all of a job's from one attempt. A failure names the seed
//! that shows it again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::ops::Range;

use nightshift_store::{JobChange, NewBatch, Refusal, Store};
use nightshift_testbed::database::Make;
use nightshift_wire::{
    AttemptId, BatchId, BatchState, ClaimRequest, GiveBackCause, JobAction, JobEdit, JobFilter, JobId, JobState,
    Moment, Outcome, Reason, RecordId, RecordResult, Requirements, WorkerChange,
};

use crate::{
    hands::{self, LEASE, PLUGIN, Seen, job_records, new_batch, refusal, report, request, see},
    model::{Answer, Fate, Model, ModelJob, TAG},
    place::{MysqlPlace, Place, SqlitePlace},
};

const STEPS: usize = 250;
const WORKERS: [&str; 4] = ["a", "b", "c", "d"];
/// The worker that works everything off in the end.
const LAST: &str = "last";
const PLUGINS: [&str; 2] = [PLUGIN, "name-count"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn randomized_histories_lose_nothing_double_nothing_and_make_no_illegal_move_on_sqlite() {
    randomized(|seed| async move { live_through(&SqlitePlace::fresh(), seed).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn randomized_histories_lose_nothing_double_nothing_and_make_no_illegal_move_on_mariadb() {
    randomized(|seed| on_server(Make::MariaDb, seed)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn randomized_histories_lose_nothing_double_nothing_and_make_no_illegal_move_on_mysql() {
    randomized(|seed| on_server(Make::MySql, seed)).await;
}

/// A history in a schema of its own.
async fn on_server(make: Make, seed: u64) {
    if let Some(place) = MysqlPlace::fresh(make).await {
        live_through(&place, seed).await;
        place.remove().await;
    }
}

/// Several histories at a time: a store spends most of a history waiting for its disk.
async fn randomized<F: Future<Output = ()> + Send + 'static>(live: impl Fn(u64) -> F) {
    const AT_ONCE: usize = 5;
    const BETWEEN_WORDS: u64 = 100;
    let seeds = seeds();
    for some in seeds.clone().collect::<Vec<_>>().chunks(AT_ONCE) {
        let histories: Vec<_> = some.iter().map(|&seed| (seed, tokio::spawn(live(seed)))).collect();
        for (seed, history) in histories {
            history.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            if (seed + 1).is_multiple_of(BETWEEN_WORDS) {
                // Past the test harness, which would swallow it.
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                writeln!(std::io::stderr(), "{name}: seeds {} to {seed} are lived through", seeds.start)
                    .expect("stderr");
            }
        }
    }
}

/// The seeds that `make soak` asks for, `1000` for so many or `400..1000` to go on where a run was ended; else a few.
#[expect(clippy::disallowed_methods, reason = "`make soak` asks for more seeds")]
fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("NIGHTSHIFT_SEEDS") else { return 0..50 };
    let (first, end) = asked.split_once("..").unwrap_or(("0", &asked));
    let number =
        |text: &str| text.parse().unwrap_or_else(|_| panic!("NIGHTSHIFT_SEEDS={asked}: not 1000 or 400..1000"));
    number(first)..number(end)
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
    history.begin().await;
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

    /// The workers report; two of them get the tag that some jobs ask for.
    async fn begin(&mut self) {
        self.alive().await;
        for worker in WORKERS.iter().chain(&[LAST]) {
            self.store().report(&report(worker), "10.0.0.1", self.now).await.expect("report");
        }
        for worker in [WORKERS[0], LAST] {
            let tags = WorkerChange::Tags([TAG.to_owned()].into());
            self.store().change_worker(worker, &tags, self.now).await.expect("a known worker");
            self.model.workers.entry(worker.to_owned()).or_default().tagged = true;
        }
    }

    async fn step(&mut self) {
        match self.dice.u32(0..100) {
            0..8 => self.hand_in().await,
            8..32 => self.claim().await,
            32..42 => self.beat().await,
            42..60 => self.submit().await,
            60..64 => self.submit_several().await,
            64..72 => self.give_back().await,
            72..82 => self.act().await,
            82..85 => self.suspend_or_resume_batch().await,
            85..86 => self.delete_batch().await,
            86..89 => self.drain_or_resume_worker().await,
            89..96 => self.time_passes().await,
            96..98 => self.restart().await,
            _ => {
                self.now -= self.dice.i64(0..120_000);
                self.alive().await;
            }
        }
    }

    async fn alive(&mut self) {
        let expected = self.model.alive(self.now);
        let gap = self.store().alive(self.now).await.expect("alive");
        assert_eq!(gap, expected, "the time without a server");
    }

    async fn hand_in(&mut self) {
        let plugin = *self.dice.choice(&PLUGINS).expect("plugins");
        let priority = self.dice.i32(-1..=1);
        let tagged = self.dice.u32(0..4) == 0;
        let requirements = requirements(tagged);
        let new = NewBatch { plugin: plugin.to_owned(), priority, requirements, ..new_batch() };
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
                seq: job.seq,
                plugin: plugin.to_owned(),
                priority,
                tagged,
                records,
                state: JobState::Waiting,
                revision: 1,
                pickups: 0,
                failures: 0,
                losses: 0,
                not_before: 0,
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
        let max = *self.dice.choice(&[1, 1, 1, 2, 5]).expect("numbers");
        let behind = self.dice.choice(&holding).copied().filter(|_| max == 1);
        let asked = ClaimRequest { holding, plugins, max, behind, ..request(worker) };
        self.claim_as(&asked).await;
    }

    async fn claim_as(&mut self, request: &ClaimRequest) -> Vec<AttemptId> {
        self.model.holds_only(&request.worker, &request.holding);
        let expected = self.model.next(request, self.now);
        let claims = self.store().claim(request, self.now).await.expect("claim");
        let jobs: Vec<JobId> = claims.iter().map(|claim| claim.job).collect();
        assert_eq!(jobs, expected, "the jobs handed out");
        // What is in hand counts with its own length, whatever came before it.
        let mut before = request.behind.map_or(0, |_| LEASE);
        let mut attempts = Vec::new();
        for claim in claims {
            assert!(claim.lease_ms >= before + LEASE, "a lease includes that of the attempt before it");
            before = claim.lease_ms;
            attempts.push(claim.attempt);
            self.model.claimed(claim, &request.worker, self.now);
        }
        attempts
    }

    async fn beat(&mut self) {
        let Some(attempt) = self.any_attempt() else { return };
        let expected = self.model.beat(attempt, self.now);
        let lease = hands::beat(self.store(), &self.model.attempts[&attempt].claim, self.now).await;
        assert_eq!(lease.lease_ms.is_some(), expected, "the heartbeat of attempt {attempt}: {}", lease.reason);
        assert_eq!(lease.reason.is_empty(), expected);
    }

    /// Results of an attempt, most often whole.
    fn results_of(&mut self, attempt: AttemptId) -> Vec<RecordId> {
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
        results
    }

    async fn submit(&mut self) {
        let Some(attempt) = self.any_attempt() else { return };
        let results = self.results_of(attempt);
        self.submit_as(attempt, &results).await;
    }

    async fn submit_as(&mut self, attempt: AttemptId, results: &[RecordId]) {
        let expected = self.model.submit(attempt, results, self.now);
        let claim = &self.model.attempts[&attempt].claim;
        let answer = hands::submit(self.store(), claim, computed(attempt, results), self.now).await;
        assert_eq!(judged(answer), expected, "the submission of attempt {attempt}");
    }

    /// Several submissions at once, also the same one twice: each is judged by itself, in their order.
    async fn submit_several(&mut self) {
        let attempts: Vec<AttemptId> = (0..self.dice.usize(2..6)).filter_map(|_| self.any_attempt()).collect();
        let (mut expected, mut submissions) = (Vec::new(), Vec::new());
        for attempt in attempts {
            let results = self.results_of(attempt);
            expected.push(self.model.submit(attempt, &results, self.now));
            let claim = &self.model.attempts[&attempt].claim;
            submissions.push((attempt, hands::submission(claim, computed(attempt, &results))));
        }
        let answers = self.store().submit_many(submissions, self.now).await;
        let answers: Vec<Answer> = answers.into_iter().map(judged).collect();
        assert_eq!(answers, expected, "several submissions at once");
    }

    async fn give_back(&mut self) {
        let Some(attempt) = self.any_attempt() else { return };
        let cause = if self.dice.bool() { GiveBackCause::Stopped } else { GiveBackCause::Failed };
        self.model.give_back(attempt, cause, self.now);
        hands::give_back(self.store(), &self.model.attempts[&attempt].claim, cause, "dice", self.now).await;
    }

    /// An admin does something to some jobs, or only asks what it would do.
    async fn act(&mut self) {
        let ids: Vec<JobId> = self.model.jobs.keys().copied().collect();
        let Some(one) = self.dice.choice(&ids).copied() else { return };
        let edit = JobEdit {
            priority: Some(self.dice.i32(-1..=2)).filter(|_| self.dice.bool()),
            requirements: Some(requirements(self.dice.bool())).filter(|_| self.dice.bool()),
            plugin: self.dice.choice(&PLUGINS).map(|plugin| (*plugin).to_owned()).filter(|_| self.dice.bool()),
        };
        let actions =
            [JobAction::Suspend, JobAction::Resume, JobAction::Retry, JobAction::Delete, JobAction::Edit(edit)];
        let action = actions[*self.dice.choice(&[0, 1, 1, 2, 3, 4, 4]).expect("actions")].clone();
        let (batch, state) = (self.model.jobs[&one].batch, self.model.jobs[&one].state);
        let filter = match self.dice.u32(0..4) {
            0 => JobFilter { batch: Some(batch), ..JobFilter::default() },
            1 => JobFilter { batch: Some(batch), state: Some(state), ..JobFilter::default() },
            2 => JobFilter { ids: vec![one, one + 1], state: Some(state), ..JobFilter::default() },
            _ => JobFilter { ids: vec![one], ..JobFilter::default() },
        };
        let dry_run = self.dice.u32(0..8) == 0;
        let chosen = |job: &JobId| {
            let row = &self.model.jobs[job];
            filter.batch.is_none_or(|batch| batch == row.batch)
                && filter.state.is_none_or(|state| state == row.state)
                && (filter.ids.is_empty() || filter.ids.contains(job))
        };
        let matched: Vec<JobId> = ids.into_iter().filter(chosen).collect();
        let change = JobChange { action, filter, reason: "dice".to_owned(), dry_run };
        let changed = self.store().change_jobs(&change, 0, self.now).await.expect("change");
        assert_eq!(changed.matched, matched.len() as u64, "{change:?}");
        assert_eq!(changed.matched, changed.changed + changed.unchanged.len() as u64);
        if !dry_run {
            let expected = matched.iter().filter(|job| self.model.act(**job, &change.action)).count();
            assert_eq!(changed.changed, expected as u64, "{change:?}");
        }
    }

    async fn suspend_or_resume_batch(&mut self) {
        let batches: Vec<BatchId> = self.batches.keys().copied().collect();
        let Some(batch) = self.dice.choice(&batches).copied() else { return };
        if self.model.suspended.remove(&batch) {
            self.store().resume_batch(batch, None, self.now).await.expect("resume");
        } else {
            self.store().suspend_batch(batch, "dice", self.now).await.expect("suspend");
            self.model.suspended.insert(batch);
        }
    }

    async fn delete_batch(&mut self) {
        let batches: Vec<BatchId> = self.batches.keys().copied().collect();
        let Some(batch) = self.dice.choice(&batches).copied() else { return };
        self.store().delete_batch(batch, self.now).await.expect("delete");
        self.store().tidy().await.expect("tidy");
        self.batches.remove(&batch);
        for gone in self.model.delete(batch) {
            let submission = hands::submission(&gone.claim, Vec::new());
            let attempt = gone.claim.attempt;
            let answer = self.store().submit(attempt, submission, self.now).await;
            assert_eq!(refusal(answer), Refusal::NoSuchAttempt(attempt));
        }
    }

    async fn drain_or_resume_worker(&mut self) {
        let worker = *self.dice.choice(&WORKERS).expect("workers");
        let drained = self.model.workers.entry(worker.to_owned()).or_default().drained;
        let change = if drained {
            self.model.resume_worker(worker);
            WorkerChange::Resume
        } else {
            self.model.workers.entry(worker.to_owned()).or_default().drained = true;
            WorkerChange::Drain(Reason { reason: "dice".to_owned() })
        };
        let seen = self.store().change_worker(worker, &change, self.now).await.expect("a known worker");
        assert_eq!(seen.drained.is_some(), !drained);
    }

    /// Time passes, while the server runs or while it is away.
    async fn time_passes(&mut self) {
        let end = self.now + self.dice.i64(0..2 * i64::try_from(LEASE).expect("a lease that fits"));
        if self.dice.u32(0..4) > 0 {
            while self.now + 9_000 < end {
                self.now += 9_000;
                self.alive().await;
            }
        }
        self.now = end;
        self.alive().await;
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

    /// Everything that still waits or runs, is suspended or quarantined is done; what is deleted stays so.
    async fn work_off(&mut self) {
        self.now += 1_000_000_000;
        self.model.expire(self.now);
        while !self.store().expire(self.now).await.expect("expire").is_empty() {}
        for batch in std::mem::take(&mut self.model.suspended) {
            self.store().resume_batch(batch, None, self.now).await.expect("resume");
        }
        for (state, action) in [(JobState::Suspended, JobAction::Resume), (JobState::Quarantined, JobAction::Retry)] {
            let filter = JobFilter { state: Some(state), ..JobFilter::default() };
            let change = JobChange { action, filter, reason: String::new(), dry_run: false };
            let changed = self.store().change_jobs(&change, 0, self.now).await.expect("change");
            let jobs = self.model.jobs.iter().filter(|(_, job)| job.state == state).map(|(id, _)| *id);
            let jobs: Vec<JobId> = jobs.collect();
            assert_eq!((changed.changed, changed.next), (jobs.len() as u64, None));
            jobs.into_iter().for_each(|job| assert!(self.model.act(job, &change.action)));
        }
        let plugins = PLUGINS.map(str::to_owned).to_vec();
        loop {
            let holding = self.model.held_by(LAST);
            let asked = ClaimRequest { plugins: plugins.clone(), max: 3, holding, ..request(LAST) };
            let attempts = self.claim_as(&asked).await;
            if attempts.is_empty() {
                break;
            }
            for attempt in attempts {
                let job = self.model.attempts[&attempt].claim.job;
                let records = self.model.jobs[&job].records.clone();
                self.submit_as(attempt, &records).await;
            }
        }
        for (id, job) in &self.model.jobs {
            assert!(matches!(job.state, JobState::Done | JobState::Deleted), "job {id} is left {:?}", job.state);
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
        assert_eq!(batch.jobs_waiting, count(JobState::Waiting));
        assert_eq!(batch.jobs_quarantined, count(JobState::Quarantined));
        assert_eq!(batch.jobs_suspended, count(JobState::Suspended));
        assert_eq!(batch.jobs_deleted, count(JobState::Deleted));
        assert_eq!(batch.suspended.is_some(), self.model.suspended.contains(&batch.id));
        let over = batch.jobs_done + batch.jobs_quarantined + batch.jobs_deleted == batch.jobs;
        let state = match over {
            true if batch.jobs_done < batch.jobs => BatchState::Incomplete,
            true => BatchState::Done,
            false => BatchState::Open,
        };
        assert_eq!((batch.state, batch.finished_at.is_some()), (state, over));

        let (mut results, mut errors) = (0, 0);
        for (((id, job), shown), kept) in jobs.iter().zip(&seen.jobs).zip(&seen.results) {
            assert_eq!((shown.id, shown.state), (**id, job.state));
            assert_eq!((shown.pickups, shown.failures, shown.losses), (job.pickups, job.failures, job.losses));
            assert_eq!((shown.revision, shown.priority, &shown.plugin), (job.revision, job.priority, &job.plugin));
            assert_eq!(shown.requirements, requirements(job.tagged));
            assert_eq!(shown.not_before.unwrap_or(0), job.not_before, "the back-off of job {id}");
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

/// What jobs ask for.
fn requirements(tagged: bool) -> Requirements {
    Requirements { tags: tagged.then(|| TAG.to_owned()).into_iter().collect(), ..Requirements::default() }
}

/// What an attempt computed.
fn computed(attempt: AttemptId, records: &[RecordId]) -> Vec<RecordResult> {
    records.iter().map(|&id| RecordResult { id, outcome: outcome(id, attempt) }).collect()
}

/// An answer as the model gives it.
fn judged(answer: Result<nightshift_wire::Receipt, nightshift_store::StoreError>) -> Answer {
    match answer {
        Ok(receipt) if receipt.repeated => Answer::Acknowledged,
        Ok(_) => Answer::Accepted,
        Err(error) => {
            assert!(error.refusal().is_some(), "{error:?}");
            Answer::Refused
        }
    }
}

/// A result that tells which attempt computed it.
fn outcome(record: RecordId, attempt: AttemptId) -> Outcome {
    match record % 5 {
        0 => Outcome::Error(format!("attempt {attempt} found nothing")),
        _ => Outcome::Ok(BTreeMap::from([("person".to_owned(), attempt.into())])),
    }
}
