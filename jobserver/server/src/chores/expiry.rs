//! Notes that a server is alive, takes back jobs whose lease is over, and rings the bell for those who wait for work.
//!
//! The note comes first: after a time without any server all leases are extended by it before one is looked at.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use nightshift_store::LostAttempt;
use nightshift_wire::JobState;

use crate::app::App;
use crate::refused::chain;

pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = tokio::time::interval(app.limits.expire_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match expire(&app).await {
            Ok(()) => app.keeps_nothing.store(false, Relaxed),
            Err(error) => {
                if !app.keeps_nothing.swap(true, Relaxed) {
                    tracing::warn!("taking back jobs whose lease is over: {}; trying on", chain(&error));
                }
            }
        }
    }
}

async fn expire(app: &App) -> Result<(), nightshift_store::StoreError> {
    // One moment for both: a machine that sleeps between them wakes to a time that nobody has noted as one without a server.
    let now = app.clock.now();
    if let Some(gap) = app.store.alive(now).await? {
        tracing::warn!("no job server was there for {} s: every running lease is extended by that", gap / 1000);
    }
    loop {
        let lost = app.store.expire(now).await?;
        if lost.is_empty() {
            return Ok(());
        }
        lost.iter().for_each(tell);
        app.work.notify_waiters();
    }
}

fn tell(lost: &LostAttempt) {
    let LostAttempt { attempt, job, worker, state, reason } = lost;
    if *state == JobState::Quarantined {
        tracing::warn!(
            job,
            attempt,
            worker,
            "job {job} is quarantined: worker {worker} let the lease of attempt {attempt} run out: {reason}"
        );
    } else {
        tracing::info!(
            job,
            attempt,
            worker,
            "job {job} waits again: worker {worker} let the lease of attempt {attempt} run out"
        );
    }
}
