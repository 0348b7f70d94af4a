//! Simulated workers: each claims a job, or several at once, hands in the results and does so again, over a connection of
//! its own. All of them in one thread.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use nightshift_wire::{Answer, Answers, Claim, ClaimRequest, Claims, Machine, Records};
use serde_json::json;

use super::http::{Connection, get, post};

/// The plugin whose jobs the simulated workers do; nothing runs it.
pub(super) const PLUGIN: &str = "twice";

/// How long a claim may wait for work, in milliseconds. There is always some.
const WAIT_MS: u64 = 10_000;

/// Simulated workers, connected.
pub(super) struct Fleet {
    workers: Vec<Worker>,
    /// Jobs of a request.
    at_once: u32,
    /// The number of a job's first record, less the job's own. The same for all jobs of a store whose jobs have one
    /// record each, and so no request is needed to learn the numbers of a job's records.
    offset: i64,
}

struct Worker {
    connection: Connection,
    claim: Vec<u8>,
    submit: Vec<u8>,
}

impl Fleet {
    /// Connects so many workers, each taking so many jobs at once, to a server on which jobs of one record wait; one more
    /// does a job to learn how records are numbered.
    pub(super) async fn connect(url: &str, workers: usize, at_once: u32) -> Result<Fleet> {
        let address = url.trim_start_matches("http://");
        let mut first = Worker::connect(address, workers, 1).await?;
        let workers = try_join_all((0..workers).map(|number| Worker::connect(address, number, at_once))).await?;
        let mut fleet = Fleet { workers, at_once, offset: 0 };
        let claim = first.claim_one().await?;
        let records = first.records(&claim).await?;
        fleet.offset = records.records.first().context("a job has records")?.id - claim.job;
        let results = results(&claim, fleet.offset);
        first.submit(&claim, &results).await?;
        Ok(fleet)
    }

    /// Does so many jobs as fast as the server lets it.
    pub(super) async fn drain(&mut self, jobs: u64) -> Result<()> {
        self.work(&Cell::new(jobs), &Cell::new(0)).await
    }

    /// Works for `warm_up` and then `measured`; what `look` sees of the jobs done by then, at both ends of `measured`.
    /// And how many jobs were done in all.
    pub(super) async fn measure<T>(
        &mut self,
        warm_up: Duration,
        measured: Duration,
        look: impl Fn(u64) -> Result<T>,
    ) -> Result<(T, T, u64)> {
        let (left, done) = (Cell::new(u64::MAX), Cell::new(0));
        let watch = async {
            tokio::time::sleep(warm_up).await;
            let begin = look(done.get())?;
            tokio::time::sleep(measured).await;
            let end = look(done.get())?;
            left.set(0);
            Ok((begin, end))
        };
        let ((), (begin, end)) = tokio::try_join!(self.work(&left, &done), watch)?;
        Ok((begin, end, done.get()))
    }

    /// Every worker does jobs until none is `left` to claim.
    async fn work(&mut self, left: &Cell<u64>, done: &Cell<u64>) -> Result<()> {
        let (offset, at_once) = (self.offset, self.at_once);
        let working = self.workers.iter_mut().map(async |worker| {
            while let Some(less) = left.get().checked_sub(at_once.into()) {
                left.set(less);
                if at_once == 1 {
                    let claim = worker.claim_one().await?;
                    worker.submit(&claim, &results(&claim, offset)).await?;
                    done.set(done.get() + 1);
                } else {
                    let claims = worker.claim().await?;
                    worker.submit_all(&claims, offset).await?;
                    done.set(done.get() + claims.len() as u64);
                }
            }
            anyhow::Ok(())
        });
        try_join_all(working).await?;
        Ok(())
    }
}

/// The results of a job whose records are numbered with `offset`, as they stand in a submission.
fn results(claim: &Claim, offset: i64) -> String {
    format!(r#"[{{"id":{},"ok":{{"twice":2}}}}]"#, claim.job + offset)
}

impl Worker {
    async fn connect(address: &str, number: usize, at_once: u32) -> Result<Worker> {
        let request = ClaimRequest {
            worker: format!("w{number:05}"),
            release: "v1.0.0".to_owned(),
            commit: "c".repeat(40),
            plugins: vec![PLUGIN.to_owned()],
            holding: Vec::new(),
            wait_ms: WAIT_MS,
            max: at_once,
            behind: None,
            machine: Machine { memory_mb: 8_192, disk_mb: 51_200 },
        };
        let mut claim = Vec::new();
        post(&mut claim, "/v1/claims", &serde_json::to_vec(&request)?);
        Ok(Worker { connection: Connection::open(address).await?, claim, submit: Vec::new() })
    }

    async fn claim(&mut self) -> Result<Vec<Claim>> {
        let (status, body) = self.connection.ask(&self.claim).await?;
        ensure!(status == 200, "a claim was answered with {status}: {}", String::from_utf8_lossy(body));
        Ok(serde_json::from_slice::<Claims>(body)?.claims)
    }

    async fn claim_one(&mut self) -> Result<Claim> {
        self.claim().await?.pop().context("a claim was answered without a job")
    }

    async fn records(&mut self, claim: &Claim) -> Result<Records> {
        get(&mut self.submit, format_args!("/v1/attempts/{}/records?secret={}", claim.attempt, claim.secret));
        let (status, body) = self.connection.ask(&self.submit).await?;
        ensure!(status == 200, "records were answered with {status}: {}", String::from_utf8_lossy(body));
        Ok(serde_json::from_slice(body)?)
    }

    async fn submit(&mut self, claim: &Claim, results: &str) -> Result<()> {
        let body = format!(r#"{{{}}}"#, submission(claim, results));
        post(&mut self.submit, format_args!("/v1/attempts/{}/results", claim.attempt), body.as_bytes());
        let (status, body) = self.connection.ask(&self.submit).await?;
        ensure!(status == 200, "results were answered with {status}: {}", String::from_utf8_lossy(body));
        Ok(())
    }

    /// The results of several jobs in one request.
    async fn submit_all(&mut self, claims: &[Claim], offset: i64) -> Result<()> {
        let mut body = String::from(r#"{"submissions":["#);
        for claim in claims {
            let comma = if body.ends_with('[') { "" } else { "," };
            let submission = submission(claim, &results(claim, offset));
            let _ = write!(body, r#"{comma}{{"attempt":{},{submission}}}"#, claim.attempt);
        }
        body += "]}";
        post(&mut self.submit, "/v1/results", body.as_bytes());
        let (status, body) = self.connection.ask(&self.submit).await?;
        ensure!(status == 200, "results were answered with {status}: {}", String::from_utf8_lossy(body));
        let answers: Answers = serde_json::from_slice(body)?;
        let taken = answers.answers.iter().filter(|answer| matches!(answer, Answer::Receipt(_))).count();
        ensure!(taken == claims.len(), "of {} submissions {taken} were taken: {answers:?}", claims.len());
        Ok(())
    }
}

/// What a submission says but for its attempt, without the braces.
fn submission(claim: &Claim, results: &str) -> String {
    let provenance = json!({ "release": "v1.0.0", "commit": "c".repeat(40), "work_ms": 1 });
    format!(r#""secret":"{}","provenance":{provenance},"results":{results}"#, claim.secret)
}

/// Does every job of a batch with so many workers, each record coming back as it was in the output `twice`; as many
/// jobs as there are.
pub(super) async fn echo(url: &str, workers: usize, jobs: u64) -> Result<()> {
    let address = url.trim_start_matches("http://");
    let mut workers = try_join_all((0..workers).map(|number| Worker::connect(address, number, 1))).await?;
    let left = Cell::new(jobs);
    let working = workers.iter_mut().map(async |worker| {
        while let Some(less) = left.get().checked_sub(1) {
            left.set(less);
            let claim = worker.claim_one().await?;
            let records = worker.records(&claim).await?;
            let mut results = String::from("[");
            for record in &records.records {
                let comma = if results.len() > 1 { "," } else { "" };
                let value = serde_json::to_string(record.values.first().context("a record has a field")?)?;
                results += &format!(r#"{comma}{{"id":{},"ok":{{"twice":{value}}}}}"#, record.id);
            }
            results.push(']');
            worker.submit(&claim, &results).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(working).await?;
    Ok(())
}
