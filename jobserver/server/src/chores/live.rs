//! Reads the grid's figures for the dashboard: often while somebody looks, now and then otherwise, so that there is a pace
//! to show to who comes.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::refused::chain;

/// While nobody looks.
const SELDOM: Duration = Duration::from_secs(20);
/// Open pages hear no more often, whatever the limits say.
const SHORTEST: Duration = Duration::from_millis(20);

pub(crate) async fn run(app: Arc<App>) {
    let mut away = false;
    loop {
        let pause = if app.live.is_looked_at() { app.limits.live_every.max(SHORTEST) } else { SELDOM };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = app.live.somebody_came() => {}
            () = tokio::time::sleep(pause) => {}
        }
        match app.live.fresh(&app).await {
            Ok(_) => away = false,
            Err(error) if !away => {
                away = true;
                tracing::warn!("reading the grid's figures: {}; open pages show the last ones", chain(&error));
            }
            Err(_) => {}
        }
    }
}
