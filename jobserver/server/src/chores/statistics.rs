//! Counts once a minute how workers spend the time, and now and then makes days of old hours.

use std::sync::Arc;

use nightshift_rules::gates::HEARD_OF_MS;
use nightshift_rules::rollout::FORGOTTEN_AFTER_MS;

use crate::app::App;
use crate::refused::chain;
use crate::statistics::{days_before, hours_before};

/// After so many minutes old hours are looked for.
const MINUTES: u32 = 30;

pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = tokio::time::interval(app.limits.statistics_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut minutes, mut away) = (0, false);
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = app.clock.now();
        let (away_before, known_since) =
            (now.saturating_sub_unsigned(HEARD_OF_MS), now.saturating_sub_unsigned(FORGOTTEN_AFTER_MS));
        let mut done = app.store.note_worker_time(away_before, known_since, now).await;
        if done.is_ok() && minutes % MINUTES == 0 {
            done = roll_up(&app).await;
        }
        minutes = minutes.wrapping_add(1);
        match done {
            Ok(()) => away = false,
            Err(error) if !away => {
                away = true;
                tracing::warn!("keeping statistics: {}; trying on", chain(&error));
            }
            Err(_) => {}
        }
    }
}

/// An hour at a time: whoever hands results in waits for one of them at most.
async fn roll_up(app: &App) -> Result<(), nightshift_store::StoreError> {
    let now = app.clock.now();
    while !app.stopping.is_cancelled() && app.store.roll_up(hours_before(now), days_before(now)).await? {}
    Ok(())
}
