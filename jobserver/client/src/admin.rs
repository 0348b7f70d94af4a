//! The verbs of admins: find, explain and change jobs, batches and workers.
//!
//! Every error is as at [`Client::claim`]: the server is away, breaks off or refuses.

use std::time::Duration;

use nightshift_wire::{
    ActionReport, ActionRequest, Batch, BatchId, ErrorRate, Explanation, JobHistory, JobId, JobPage, JobQuery,
    OwnStops, Reason, ResumeBatch, StopRequest, Worker, WorkerChange,
};

use crate::ask::Ask;
use crate::{Client, ClientError};

/// How long a server may be at changing a million jobs.
const CHANGING: Duration = Duration::from_secs(15 * 60);

impl Client {
    /// Raises a stop at the job servers; all that stand there afterwards.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn raise_stop(&self, stop: &StopRequest) -> Result<OwnStops, ClientError> {
        self.ask(Ask::post("stopping", "v1/stop", stop)).await?.json().await
    }

    /// Takes every stop of the job servers away; those there were.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn clear_stops(&self) -> Result<OwnStops, ClientError> {
        self.ask(Ask::delete("taking the stops away", "v1/stop")).await?.json().await
    }

    /// Jobs of any batch, by number; [`JobPage::next`] says where to go on.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn find_jobs(&self, query: &JobQuery) -> Result<JobPage, ClientError> {
        let JobQuery { batch, state, plugin, release, worker, owner, from, limit } = query;
        let parts = [
            ("batch", batch.map(|batch| batch.to_string())),
            ("state", state.map(|state| state.word().to_owned())),
            ("plugin", plugin.clone()),
            ("release", release.clone()),
            ("worker", worker.clone()),
            ("owner", owner.clone()),
            ("from", from.map(|from| from.to_string())),
            ("limit", limit.map(|limit| limit.to_string())),
        ];
        let given = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let ask = given.fold(Ask::get("listing jobs", "v1/jobs"), |ask, (name, value)| ask.query(name, value));
        self.ask(ask).await?.json().await
    }

    /// One job with every attempt at it.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn job(&self, job: JobId) -> Result<JobHistory, ClientError> {
        self.ask(Ask::get(format!("looking at job {job}"), format!("v1/jobs/{job}"))).await?.json().await
    }

    /// Why a job stands where it stands.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn explain(&self, job: JobId) -> Result<Explanation, ClientError> {
        self.ask(Ask::get(format!("explaining job {job}"), format!("v1/jobs/{job}/explain"))).await?.json().await
    }

    /// Does something to every job a filter chooses, or says what it would do. After an answer that never came some of
    /// the jobs may have been changed; doing it again changes the rest.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn change_jobs(&self, request: &ActionRequest) -> Result<ActionReport, ClientError> {
        let ask = Ask::post("changing jobs", "v1/jobs/actions", request).server_waits(CHANGING);
        self.ask(ask).await?.json().await
    }

    /// Hands out none of a batch's jobs until it is resumed.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn suspend_batch(&self, batch: BatchId, reason: &str) -> Result<Batch, ClientError> {
        let doing = format!("suspending batch {batch}");
        let reason = Reason { reason: reason.to_owned() };
        self.ask(Ask::post(doing, format!("v1/batches/{batch}/suspend"), &reason)).await?.json().await
    }

    /// Hands out a batch's jobs again, from now on with another part of errors allowed if one is given.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn resume_batch(&self, batch: BatchId, error_rate: Option<ErrorRate>) -> Result<Batch, ClientError> {
        let doing = format!("resuming batch {batch}");
        let resume = ResumeBatch { error_rate, ..ResumeBatch::default() };
        self.ask(Ask::post(doing, format!("v1/batches/{batch}/resume"), &resume)).await?.json().await
    }

    /// Removes a batch with its records and results.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn delete_batch(&self, batch: BatchId) -> Result<(), ClientError> {
        let ask = Ask::delete(format!("deleting batch {batch}"), format!("v1/batches/{batch}")).server_waits(CHANGING);
        self.ask(ask).await?;
        Ok(())
    }

    /// One worker.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn worker(&self, worker: &str) -> Result<Worker, ClientError> {
        let ask = Ask::get(format!("looking at worker {worker}"), "v1/workers").below(worker);
        self.ask(ask).await?.json().await
    }

    /// Drains, resumes, tags or names a worker.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn change_worker(&self, worker: &str, change: &WorkerChange) -> Result<Worker, ClientError> {
        let ask = Ask::post(format!("changing worker {worker}"), "v1/workers", change).below(worker);
        self.ask(ask).await?.json().await
    }
}
