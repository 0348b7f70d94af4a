//! Removes the rows of batches that were deleted, and of those whose hand-in broke off while the store was away or full.
//!
//! The store knows which; most often there is none. One that cannot be removed yet was complained of when it broke off. A
//! deletion rings, so that the space is free soon.

use std::sync::Arc;

use crate::app::App;
use crate::refused::chain;

pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = tokio::time::interval(app.limits.tidy_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = ticks.tick() => {}
            () = app.untidy.notified() => {}
        }
        if let Err(error) = app.store.tidy().await {
            tracing::debug!("tidying up: {}; trying on", chain(&error));
        }
    }
}
