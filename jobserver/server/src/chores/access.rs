//! Keeps what this server knows of tokens and workers new, whoever changed it, and writes down when tokens were used.

use std::sync::Arc;

use crate::access::Asks;
use crate::app::App;
use crate::refused::chain;

/// After so many readings the uses are written down.
const READINGS: u32 = 10;

pub(crate) async fn run(app: Arc<App>) {
    if app.gate.asks() == Asks::Nobody {
        return;
    }
    let mut ticks = tokio::time::interval(app.limits.access_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut readings, mut away) = (0, false);
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => break,
            _ = ticks.tick() => {}
        }
        match app.gate.directory.refresh().await {
            Ok(()) => away = false,
            Err(error) if !away => {
                away = true;
                tracing::warn!("reading who may ask: {}; in a minute nobody may any more", chain(&error));
            }
            Err(_) => {}
        }
        readings += 1;
        if readings % READINGS == 0 {
            write_uses(&app).await;
        }
    }
    write_uses(&app).await;
}

async fn write_uses(app: &App) {
    if let Err(error) = app.gate.directory.write_uses().await {
        tracing::debug!("noting when tokens were used: {}", chain(&error));
    }
}
