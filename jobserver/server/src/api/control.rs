//! Whether the grid is stopped, told as soon as it changes.
//!
//! Whoever asks says which view it has seen; the answer waits until there is another one, or the wait is over.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use nightshift_wire::StopView;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Shared;
use super::body::query;
use crate::clock::deadline;
use crate::refused::Refused;

/// What has been seen, and how long to wait for something else.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The view that was seen last; empty for none.
    #[serde(default)]
    seen: String,
    /// How long to wait for another, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
}

#[utoipa::path(get, path = "/v1/stop", operation_id = "stop", tag = "grid",
    summary = "Whether the grid is stopped, told as soon as that changes",
    params(Asked),
    responses(
        (status = 200, description = "The view; another one than was seen, or the wait is over", body = StopView)
    )
)]
pub(super) async fn stop(State(app): Shared, uri: Uri) -> Result<Response, Refused> {
    let asked: Asked = query(&uri)?;
    let end = deadline(Duration::from_millis(asked.wait_ms).min(app.limits.longest_wait));
    let mut releases = app.releases.clone();
    loop {
        let view = view(releases.now().stopped.clone());
        if view.etag != asked.seen {
            return Ok(answer(view));
        }
        tokio::select! {
            () = app.stopping.cancelled() => return Ok(answer(view)),
            () = tokio::time::sleep_until(end) => return Ok(answer(view)),
            () = releases.changed() => {}
        }
    }
}

fn answer(view: StopView) -> Response {
    ([(header::ETAG, format!("\"{}\"", view.etag))], Json(view)).into_response()
}

/// The view of a stop flag that says `stopped`.
fn view(stopped: Option<String>) -> StopView {
    const DIGITS: usize = 16;
    let etag = match &stopped {
        None => "none".to_owned(),
        Some(flag) => format!("{:x}", Sha256::digest(flag))[..DIGITS].to_owned(),
    };
    StopView { etag, stopped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_flag_has_the_same_name_everywhere_and_another_one_another() {
        let flag = |text: &str| view(Some(text.to_owned())).etag;
        assert_eq!(flag("fire"), flag("fire"));
        assert_ne!(flag("fire"), flag("flood"));
        assert_ne!(flag(""), view(None).etag);
    }
}
