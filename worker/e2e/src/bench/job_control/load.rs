//! Simulated workers: each claims a job, hands in its results and does so again, one job per request, over a connection
//! of its own. All of them in one thread.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use nightshift_wire::{Claim, ClaimRequest, Records};
use serde_json::json;

use super::http::{Connection, get, post};

/// The plugin whose jobs the simulated workers do; nothing runs it.
pub(super) const PLUGIN: &str = "twice";

/// How long a claim may wait for work, in milliseconds. There is always some.
const WAIT_MS: u64 = 10_000;

/// Simulated workers, connected.
pub(super) struct Fleet {
    workers: Vec<Worker>,
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
    /// Connects so many workers to a server on which jobs of one record wait; the first does a job to learn how records
    /// are numbered.
    pub(super) async fn connect(url: &str, workers: usize) -> Result<Fleet> {
        let address = url.trim_start_matches("http://");
        let workers = try_join_all((0..workers).map(|number| Worker::connect(address, number))).await?;
        let mut fleet = Fleet { workers, offset: 0 };
        let first = fleet.workers.first_mut().context("a fleet has workers")?;
        let claim = first.claim().await?;
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
        let offset = self.offset;
        let working = self.workers.iter_mut().map(async |worker| {
            while let Some(less) = left.get().checked_sub(1) {
                left.set(less);
                let claim = worker.claim().await?;
                let results = results(&claim, offset);
                worker.submit(&claim, &results).await?;
                done.set(done.get() + 1);
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
    async fn connect(address: &str, number: usize) -> Result<Worker> {
        let request = ClaimRequest {
            worker: format!("w{number:05}"),
            release: "v1.0.0".to_owned(),
            commit: "c".repeat(40),
            plugins: vec![PLUGIN.to_owned()],
            holding: Vec::new(),
            wait_ms: WAIT_MS,
            behind: None,
        };
        let mut claim = Vec::new();
        post(&mut claim, "/v1/claims", &serde_json::to_vec(&request)?);
        Ok(Worker { connection: Connection::open(address).await?, claim, submit: Vec::new() })
    }

    async fn claim(&mut self) -> Result<Claim> {
        let (status, body) = self.connection.ask(&self.claim).await?;
        ensure!(status == 200, "a claim was answered with {status}: {}", String::from_utf8_lossy(body));
        Ok(serde_json::from_slice(body)?)
    }

    async fn records(&mut self, claim: &Claim) -> Result<Records> {
        get(&mut self.submit, format_args!("/v1/attempts/{}/records?secret={}", claim.attempt, claim.secret));
        let (status, body) = self.connection.ask(&self.submit).await?;
        ensure!(status == 200, "records were answered with {status}: {}", String::from_utf8_lossy(body));
        Ok(serde_json::from_slice(body)?)
    }

    async fn submit(&mut self, claim: &Claim, results: &str) -> Result<()> {
        let provenance = json!({ "release": "v1.0.0", "commit": "c".repeat(40), "work_ms": 1 });
        let body = format!(r#"{{"secret":"{}","provenance":{provenance},"results":{results}}}"#, claim.secret);
        post(&mut self.submit, format_args!("/v1/attempts/{}/results", claim.attempt), body.as_bytes());
        let (status, body) = self.connection.ask(&self.submit).await?;
        ensure!(status == 200, "results were answered with {status}: {}", String::from_utf8_lossy(body));
        Ok(())
    }
}

/// Does every job of a batch with so many workers, each record coming back as it was in the output `twice`; as many
/// jobs as there are.
pub(super) async fn echo(url: &str, workers: usize, jobs: u64) -> Result<()> {
    let address = url.trim_start_matches("http://");
    let mut workers = try_join_all((0..workers).map(|number| Worker::connect(address, number))).await?;
    let left = Cell::new(jobs);
    let working = workers.iter_mut().map(async |worker| {
        while let Some(less) = left.get().checked_sub(1) {
            left.set(less);
            let claim = worker.claim().await?;
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
