//! Waiting for what nobody announces: the job server has no event for a batch, a process none for what it writes. So it
//! is looked at again and again; nothing else in this program sleeps.
#![allow(clippy::disallowed_methods, reason = "this file is where the program waits")]

use std::time::Duration;

use anyhow::{Context, ensure};
use indicatif::ProgressBar;
use nightshift_client::Client;
use nightshift_wire::{Batch, BatchId, Status};

use crate::clock::Stopwatch;
use crate::demo::Interrupt;
use crate::figures::counted;
use crate::output::Screen;
use crate::server::is_over;

/// How often a batch is asked about.
const BATCH: Duration = Duration::from_secs(1);
/// So many looks without a new result, and the person is told why.
const PATIENCE: u32 = 5;
/// How often the rollouts are looked at.
const ROLLOUTS: Duration = Duration::from_secs(2);
/// How often something on this machine is looked at.
const LOCAL: Duration = Duration::from_millis(50);

/// Waits until it is worth looking at rollouts again.
pub(crate) async fn until_the_next_look() {
    tokio::time::sleep(ROLLOUTS).await;
}

/// Waits until nothing more will happen to the batch; `bar` shows its results. A job server that is away is waited for;
/// where nothing moves, the person is told why, once for each reason.
pub(crate) async fn until_over(
    client: &Client,
    batch: BatchId,
    bar: &ProgressBar,
    screen: &Screen,
) -> anyhow::Result<Batch> {
    let mut away = false;
    let (mut results, mut still, mut told) = (0, 0, None);
    loop {
        match client.batch(batch).await {
            Ok(batch) => {
                if std::mem::take(&mut away) {
                    screen.say("the job server is back");
                }
                bar.set_position(batch.results);
                bar.set_message(if batch.errors > 0 { counted(batch.errors, "error") } else { String::new() });
                if is_over(&batch) {
                    bar.finish();
                    return Ok(batch);
                }
                still = if batch.results == results { still + 1 } else { 0 };
                results = batch.results;
                if still >= PATIENCE {
                    // A server that cannot say it now is asked again at the next look.
                    let why = client.status().await.ok().and_then(|status| why_nothing_moves(&status, &batch));
                    if let Some(why) = why.filter(|why| told.as_ref() != Some(why)) {
                        screen.warn(format!("{why}; still waiting"));
                        told = Some(why);
                    }
                }
            }
            Err(error) if error.is_retryable() => {
                if !std::mem::replace(&mut away, true) {
                    screen.warn(format!("{:#}; still waiting", anyhow::Error::new(error)));
                }
            }
            Err(error) => return Err(error).context("waiting for the batch"),
        }
        tokio::time::sleep(BATCH).await;
    }
}

/// Waits before workers are counted again.
pub(crate) async fn between_counts() {
    tokio::time::sleep(BATCH).await;
}

/// Why a batch gets no results, and what to do; `None` when a worker is at it.
fn why_nothing_moves(status: &Status, batch: &Batch) -> Option<String> {
    if let Some(reason) = &status.stopped {
        return Some(format!("the grid is stopped: {reason}; `nightshift start` removes the flag"));
    }
    if let Some(reason) = &batch.suspended {
        let id = batch.id;
        return Some(format!("the batch is suspended: {reason}; `nightshift batch resume {id}` lets its jobs go out"));
    }
    if status.workers == 0 {
        return Some(
            "no worker has been heard of in the last two minutes; start one with `nightshift-worker run`".into(),
        );
    }
    if batch.jobs_running == 0 && status.jobs_running > 0 {
        return Some(format!(
            "workers are at {} of other batches; `nightshift job list --batch {}` says what waits, `nightshift job explain \
             JOB` for what",
            counted(status.jobs_running, "job"),
            batch.id
        ));
    }
    (batch.jobs_running == 0).then(|| {
        "no worker is at this batch yet (a new release reaches a worker within a minute); \
         `nightshift worker list` says what each one does and why"
            .into()
    })
}

/// Looks until `look` answers; an error when it does not for `limit`, when it fails, or when somebody interrupts.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    interrupt: &Interrupt,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Stopwatch::start();
    loop {
        interrupt.check()?;
        // What fails because of an interruption is not the story.
        let looked = look();
        interrupt.check()?;
        if let Some(answer) = looked.with_context(|| format!("waiting for {what}"))? {
            return Ok(answer);
        }
        ensure!(begun.elapsed() < limit, "waited {} s for {what}; it did not happen", limit.as_secs());
        std::thread::sleep(LOCAL);
    }
}

/// Waits as long as `it_is_so`.
pub(crate) fn while_it(mut is_so: impl FnMut() -> bool) {
    while is_so() {
        std::thread::sleep(LOCAL);
    }
}

/// Waits for `limit`, or less when `over` says so.
pub(crate) fn at_most(limit: Duration, over: impl Fn() -> bool) {
    let begun = Stopwatch::start();
    while begun.elapsed() < limit && !over() {
        std::thread::sleep(LOCAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_batch(running: u64) -> Batch {
        let batch = serde_json::json!({
            "id": 1, "name": "people", "plugin": "shout", "state": "open", "columns": ["name"], "outputs": ["shouted"],
            "priority": 0, "created_at": 0, "finished_at": null, "records": 2, "results": 0, "errors": 0, "jobs": 1,
            "jobs_done": 0, "jobs_running": running, "jobs_quarantined": 0, "error_rate": "50 %",
        });
        serde_json::from_value(batch).expect("a batch")
    }

    fn grid(stopped: Option<&str>, workers: u64) -> Status {
        let status = serde_json::json!({
            "version": "0.1.0", "now": 0, "release": "v1.0.0", "release_problem": "", "stopped": stopped,
            "jobs_waiting": 1, "jobs_running": 0, "jobs_done": 0, "jobs_quarantined": 0, "workers": workers,
        });
        serde_json::from_value(status).expect("a status")
    }

    #[test]
    fn a_batch_that_does_not_move_says_why() {
        let why = |stopped, workers, running| why_nothing_moves(&grid(stopped, workers), &open_batch(running));
        assert!(why(Some("trying it"), 3, 0).is_some_and(|why| why.contains("stopped: trying it; `nightshift start`")));
        assert!(why(None, 0, 0).is_some_and(|why| why.contains("no worker has been heard of")));
        assert!(why(None, 3, 0).is_some_and(|why| why.contains("no worker is at this batch yet")));
        assert_eq!(why(None, 3, 1), None);
    }
}
