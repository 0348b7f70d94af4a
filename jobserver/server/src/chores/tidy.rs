//! Removes the rows of batches that were deleted, and of those whose hand-in broke off while the store was away or full, or with
//! its server: the first time as soon as the server listens.
//!
//! The store knows which; most often there is none. That some cannot be removed yet is complained of once. A deletion rings, so
//! that the space is free soon.

use std::sync::Arc;

use crate::app::App;
use crate::refused::chain;

pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = tokio::time::interval(app.limits.tidy_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut complained = false;
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = ticks.tick() => {}
            () = app.untidy.notified() => {}
        }
        // A server that ends leaves the rest to its next start.
        let tidied = tokio::select! {
            () = app.stopping.cancelled() => return,
            tidied = app.store.tidy() => tidied,
        };
        match &tidied {
            Err(error) if complained => tracing::debug!("tidying up: {}; trying on", chain(error)),
            Err(error) => tracing::warn!("rows of batches that are gone are still there: {}; trying on", chain(error)),
            Ok(()) => {}
        }
        complained = tidied.is_err();
    }
}
