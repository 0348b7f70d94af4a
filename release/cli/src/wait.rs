//! Waiting for what nobody announces: the job server has no event for a batch, a process none for what it writes. So it
//! is looked at again and again; nothing else in this program sleeps.
#![allow(clippy::disallowed_methods, reason = "this file is where the program waits")]

use std::time::Duration;

use anyhow::{Context, ensure};
use indicatif::ProgressBar;
use nightshift_client::Client;
use nightshift_wire::{Batch, BatchId};

use crate::clock::Stopwatch;
use crate::demo::Interrupt;
use crate::output::Screen;
use crate::server::is_over;

/// How often a batch is asked about.
const BATCH: Duration = Duration::from_secs(1);
/// How often something on this machine is looked at.
const LOCAL: Duration = Duration::from_millis(50);

/// Waits until nothing more will happen to the batch; `bar` shows its results. A job server that is away is waited for.
pub(crate) async fn until_over(
    client: &Client,
    batch: BatchId,
    bar: &ProgressBar,
    screen: &Screen,
) -> anyhow::Result<Batch> {
    let mut away = false;
    loop {
        match client.batch(batch).await {
            Ok(batch) => {
                if std::mem::take(&mut away) {
                    screen.say("the job server is back");
                }
                bar.set_position(batch.results);
                bar.set_message(if batch.errors > 0 { format!("{} errors", batch.errors) } else { String::new() });
                if is_over(&batch) {
                    bar.finish();
                    return Ok(batch);
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
