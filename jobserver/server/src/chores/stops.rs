//! Reads the stops that operators raised, at this server or at another that shares the store.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::refused::chain;

/// How late a stop raised at another server may be heard.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match app.stops.refresh().await {
            Ok(_) => away = false,
            Err(error) if !away => {
                away = true;
                tracing::warn!("{}; the stops read last go on counting", chain(&error));
            }
            Err(_) => {}
        }
    }
}
