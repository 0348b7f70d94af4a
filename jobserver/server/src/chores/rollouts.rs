//! Counts what was done for the release that did it, and judges releases now and then also when nobody asks: a ring that
//! does worse is sent back for those who ask next.

use std::sync::Arc;

use crate::app::App;
use crate::refused::chain;

/// After so many countings releases are judged.
const COUNTINGS: u32 = 5;

pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = tokio::time::interval(app.limits.count_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut countings, mut away) = (0, false);
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => break,
            _ = ticks.tick() => {}
        }
        countings += 1;
        let done = match countings % COUNTINGS {
            0 => app.rollouts.view(&app).await.map(drop),
            _ => app.rollouts.write_down(&app).await,
        };
        match done {
            Ok(()) => away = false,
            Err(error) if !away => {
                away = true;
                tracing::warn!("judging how releases do: {}; trying on", chain(&error));
            }
            Err(_) => {}
        }
    }
    if let Err(error) = app.rollouts.write_down(&app).await {
        tracing::warn!("counting what releases did: {}", chain(&error));
    }
}
