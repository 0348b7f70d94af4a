//! Asking the job server: which one, and the runtime that waits for its answers.

use anyhow::Context;
use nightshift_client::{Client, Timeouts};
use nightshift_wire::{Batch, BatchState, JobState, WorkerState};

use crate::surroundings::Surroundings;

/// Which job server a command talks to.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ServerArgs {
    /// The job server [default: jobserver in config.toml, or the one of the last login]
    #[arg(long, value_name = "URL", env = "NIGHTSHIFT_JOBSERVER", hide_env_values = true)]
    jobserver: Option<String>,
}

impl ServerArgs {
    /// The job server's URL.
    pub(crate) fn url<'a>(&'a self, around: &'a Surroundings) -> &'a str {
        let named = self.jobserver.as_deref().or(around.config.jobserver_named.as_deref());
        named.or(around.credentials.last.as_deref()).unwrap_or(&around.config.jobserver)
    }

    /// Whether this very command names the job server.
    pub(crate) fn is_given(&self) -> bool {
        self.jobserver.is_some()
    }

    /// Whether somebody named the job server; otherwise the default one is tried.
    pub(crate) fn is_named(&self, around: &Surroundings) -> bool {
        self.jobserver.is_some() || around.config.jobserver_named.is_some() || around.credentials.last.is_some()
    }

    /// A client of the job server, with the token of the person's login there.
    pub(crate) fn client(&self, around: &Surroundings) -> anyhow::Result<Client> {
        let url = self.url(around);
        Ok(Client::with_access([url.to_owned()], Timeouts::default(), &around.credentials.access(url)?)?)
    }
}

/// Runs a command that waits for answers.
pub(crate) fn wait_for<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting the runtime that waits for answers")?;
    let done = runtime.block_on(command);
    // A read from a standard input that nobody ends would be waited for without end.
    runtime.shutdown_background();
    done
}

/// The number of a batch or a job, as a person writes it.
pub(crate) fn number(text: &str) -> Result<i64, String> {
    let plain = text.trim_start_matches('#').replace(',', "");
    plain.parse().map_err(|_| {
        "batches and jobs go by numbers, such as 12; `nightshift batch list` and `nightshift job list` show them"
            .to_owned()
    })
}

/// A batch's state in the words of the glossary.
pub(crate) fn batch_state(batch: &Batch) -> &'static str {
    match batch.state {
        BatchState::Open if batch.suspended.is_some() => "suspended",
        BatchState::Receiving => "receiving",
        BatchState::Open => "open",
        BatchState::Done => "done",
        BatchState::Incomplete => "incomplete",
    }
}

/// Nothing more will happen to the batch by itself.
pub(crate) fn is_over(batch: &Batch) -> bool {
    matches!(batch.state, BatchState::Done | BatchState::Incomplete)
}

/// Some records of the batch come back with an error instead of a value.
pub(crate) fn has_errors(batch: &Batch) -> bool {
    batch.errors > 0 || batch.state == BatchState::Incomplete
}

/// A job's state in the words of the glossary.
pub(crate) fn job_state(state: JobState) -> &'static str {
    state.word()
}

/// A job's state as a person writes it.
pub(crate) fn parse_job_state(word: &str) -> Result<JobState, String> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|_| "a job is receiving, waiting, running, done, quarantined, suspended or deleted".to_owned())
}

/// A worker's state in the words of the glossary.
pub(crate) fn worker_state(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Working => "working",
        WorkerState::Waiting => "waiting",
        WorkerState::Resting => "resting",
        WorkerState::Stopped => "stopped",
        WorkerState::Blocked => "blocked",
    }
}
