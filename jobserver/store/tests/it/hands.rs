//! What people and workers do with a store, step by step.

use std::collections::BTreeMap;

use nightshift_store::{JobResults, NewBatch, Refusal, Store, StoreError};
use nightshift_wire::{
    Batch, BatchId, Claim, ClaimRequest, ErrorRate, GiveBack, GiveBackCause, Heartbeat, Job, Lease, Machine, Moment,
    Outcome, Provenance, Receipt, RecordResult, Report, Requirements, StepReport, Submission, WorkerState,
};

/// The shortest lease of every batch here.
pub(crate) const LEASE: u64 = 60_000;
/// So long at most a job that failed is not handed out.
pub(crate) const BACK_OFF: Moment = 15 * 60_000;
/// A failure more quarantines a job.
pub(crate) const MAX_ATTEMPTS: u32 = 3;
/// The plugin of every batch here, where nothing else is said.
pub(crate) const PLUGIN: &str = "match-person";

pub(crate) fn new_batch() -> NewBatch {
    NewBatch {
        name: "customers".to_owned(),
        plugin: PLUGIN.to_owned(),
        priority: 0,
        columns: vec!["name".to_owned(), "born".to_owned()],
        outputs: vec!["person".to_owned(), "score".to_owned()],
        requirements: Requirements::default(),
        lease_ms: LEASE,
        sampled: None,
        max_attempts: MAX_ATTEMPTS,
        error_rate: ErrorRate::per_mille(1_000),
        position: None,
    }
}

/// Records of a job: each tells its place in the job and the job's place in the batch.
pub(crate) fn job_records(job: usize, records: usize) -> Vec<Vec<String>> {
    (0..records).map(|record| vec![format!("name {job}/{record}"), format!("{record}")]).collect()
}

/// Hands a batch in with a job of so many records each.
pub(crate) async fn hand_in_as(store: &dyn Store, batch: NewBatch, jobs: &[usize]) -> BatchId {
    let id = store.open_batch(batch, 0).await.expect("open a batch");
    for (job, &records) in jobs.iter().enumerate() {
        store.append_job(id, job_records(job, records)).await.expect("append a job");
    }
    store.seal_batch(id).await.expect("seal the batch");
    id
}

pub(crate) async fn hand_in(store: &dyn Store, jobs: &[usize]) -> BatchId {
    hand_in_as(store, new_batch(), jobs).await
}

pub(crate) fn request(worker: &str) -> ClaimRequest {
    ClaimRequest {
        worker: worker.to_owned(),
        release: "v1.0.0".to_owned(),
        commit: "c".repeat(40),
        plugins: vec![PLUGIN.to_owned()],
        holding: Vec::new(),
        wait_ms: 0,
        max: 1,
        behind: None,
        machine: Machine::default(),
    }
}

/// A claim by a worker that holds nothing.
pub(crate) async fn try_claim(store: &dyn Store, worker: &str, now: Moment) -> Option<Claim> {
    claim_as(store, &request(worker), now).await
}

/// A claim of at most one job.
pub(crate) async fn claim_as(store: &dyn Store, request: &ClaimRequest, now: Moment) -> Option<Claim> {
    let mut claims = store.claim(request, now).await.expect("claim");
    assert!(claims.len() <= 1, "{claims:?}");
    claims.pop()
}

pub(crate) async fn claim(store: &dyn Store, worker: &str, now: Moment) -> Claim {
    try_claim(store, worker, now).await.expect("a job waits")
}

/// A result for each record of the claimed job, as the plugin would compute them: every fourth is an error.
pub(crate) async fn compute(store: &dyn Store, claim: &Claim) -> Vec<RecordResult> {
    let records = store.records(claim.attempt, &claim.secret, &[]).await.expect("records of the job");
    let result = |record: nightshift_wire::Record| {
        let outcome = match record.id % 4 {
            0 => Outcome::Error(format!("nobody is called {}", record.values[0])),
            _ => Outcome::Ok(BTreeMap::from([
                ("person".to_owned(), serde_json::json!(record.values[0])),
                ("score".to_owned(), serde_json::json!(0.1)),
            ])),
        };
        RecordResult { id: record.id, outcome }
    };
    records.records.into_iter().map(result).collect()
}

pub(crate) fn submission(claim: &Claim, results: Vec<RecordResult>) -> Submission {
    let provenance = Provenance { release: "v1.0.0".to_owned(), commit: "c".repeat(40), work_ms: 10, position: None };
    Submission { secret: claim.secret.clone(), provenance, results }
}

pub(crate) async fn submit(
    store: &dyn Store,
    claim: &Claim,
    results: Vec<RecordResult>,
    now: Moment,
) -> Result<Receipt, StoreError> {
    store.submit(claim.attempt, submission(claim, results), now).await
}

/// Computes and submits a job.
pub(crate) async fn finish(store: &dyn Store, claim: &Claim, now: Moment) -> Receipt {
    let results = compute(store, claim).await;
    submit(store, claim, results, now).await.expect("results are accepted")
}

pub(crate) async fn beat(store: &dyn Store, claim: &Claim, now: Moment) -> Lease {
    let heartbeat = Heartbeat { secret: claim.secret.clone(), done: 1 };
    store.heartbeat(claim.attempt, &heartbeat, now).await.expect("a heartbeat is heard")
}

/// Gives a job back; whether its attempt ended by that.
pub(crate) async fn give_back(
    store: &dyn Store,
    claim: &Claim,
    cause: GiveBackCause,
    reason: &str,
    now: Moment,
) -> bool {
    let give_back = GiveBack { secret: claim.secret.clone(), cause, reason: reason.to_owned() };
    store.give_back(claim.attempt, &give_back, now).await.expect("a job is taken back")
}

/// A worker's report about itself.
pub(crate) fn report(worker: &str) -> Report {
    Report {
        worker: worker.to_owned(),
        host: "pc-17".to_owned(),
        state: WorkerState::Waiting,
        reason: "no job waits".to_owned(),
        release: "v1.0.0".to_owned(),
        refused: vec!["v1.1.0: not signed".to_owned()],
        trial: None,
        replica: None,
        spool: nightshift_wire::Spool::default(),
        steps: vec![StepReport {
            step: "look".to_owned(),
            ok: true,
            found: "nothing \"new\"".to_owned(),
            next: String::new(),
        }],
    }
}

/// The refusal a verb ended with.
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> Refusal {
    let error = outcome.expect_err("refused");
    assert!(!error.is_retryable(), "repeating a refused request does not help: {error}");
    error.refusal().cloned().unwrap_or_else(|| panic!("a refusal, not {error:?}"))
}

/// Everything a batch shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) batch: Batch,
    pub(crate) jobs: Vec<Job>,
    pub(crate) results: Vec<JobResults>,
}

pub(crate) async fn see(store: &dyn Store, batch: BatchId) -> Seen {
    let mut results = Vec::new();
    while let Some(job) = store.results(batch, results.len() as u64).await.expect("results") {
        results.push(job);
    }
    Seen {
        batch: store.batch(batch).await.expect("the batch"),
        jobs: store.jobs(batch, 0, u32::MAX).await.expect("the jobs"),
        results,
    }
}
