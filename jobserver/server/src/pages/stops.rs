//! What is stopped, by whom and why; stopping, and starting again.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use nightshift_wire::{StopRequest, StopScope};
use serde::Deserialize;

use super::frame::{Filled, Frame, Visitor, filled};
use super::words::{ago, at};
use crate::api::{Shared, control};
use crate::refused::Refused;
use crate::stops;

#[derive(Template)]
#[template(path = "stops.html")]
struct Page {
    frame: Frame,
    /// In the repository: where, what, why.
    flags: Vec<Flag>,
    own: Vec<Own>,
}

struct Flag {
    place: String,
    scope: String,
    reason: String,
}

struct Own {
    scope: String,
    reason: String,
    by: String,
    at: String,
    ago: String,
}

pub(super) async fn page(State(app): Shared, visitor: Visitor) -> Result<Response, Refused> {
    let now = app.clock.now();
    let flags = stops::view(&app.releases.now(), &[]).stops.into_iter().map(|stop| Flag {
        place: stop.place,
        scope: in_words(&stop.scope),
        reason: stop.reason,
    });
    let kept = app.stops.now();
    let own = kept.iter().map(|stop| Own {
        scope: in_words(&stop.scope),
        reason: stop.reason.clone(),
        by: stop.by.clone(),
        at: at(stop.at),
        ago: ago(stop.at, now),
    });
    super::shown(&Page { frame: visitor.frame(&app, "Stops", "stops"), flags: flags.collect(), own: own.collect() })
}

/// What a stop stops.
fn in_words(scope: &StopScope) -> String {
    let parts = [("plugin", &scope.plugin), ("workers", &scope.worker), ("release", &scope.release)];
    let parts = parts.iter().filter_map(|(what, which)| Some(format!("{what} {}", which.as_ref()?)));
    let what = parts.collect::<Vec<_>>().join(", ");
    let what = if what.is_empty() { "everything".to_owned() } else { what };
    match scope.when.as_deref() {
        Some("after-job") => format!("{what}, after the job in hand"),
        _ => what,
    }
}

#[derive(Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub(super) enum Act {
    Stop {
        #[serde(default)]
        reason: String,
        #[serde(default)]
        plugin: String,
        #[serde(default)]
        worker: String,
        #[serde(default)]
        release: String,
        #[serde(default)]
        when: String,
    },
    Start,
}

pub(super) async fn act(State(app): Shared, visitor: Visitor, Filled(act): Filled<Act>) -> Result<Response, Refused> {
    match act {
        Act::Stop { reason, plugin, worker, release, when } => {
            let request = StopRequest {
                reason,
                plugin: filled(&plugin),
                worker: filled(&worker),
                release: filled(&release),
                when: filled(&when),
            };
            control::raise_stop(&app, &visitor.caller, request).await?;
        }
        Act::Start => drop(control::clear_stops(&app, &visitor.caller).await?),
    }
    Ok(super::on_to("/stops"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_says_what_it_stops() {
        assert_eq!(in_words(&StopScope::default()), "everything");
        let scope = StopScope {
            plugin: Some("count".to_owned()),
            worker: Some("pc-*".to_owned()),
            release: None,
            when: Some("after-job".to_owned()),
        };
        assert_eq!(in_words(&scope), "plugin count, workers pc-*, after the job in hand");
    }
}
