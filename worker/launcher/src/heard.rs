//! What the job server told of stops: read, remembered over cycles, and how long it counts.
//!
//! What was told last stands until the job server tells otherwise. While it does not answer, only that counts of it
//! which nobody else can tell: flags on the control branch and refs are the worker's own look's business. What cannot
//! be read of a remembered file stops everything until the job server answers.

use std::time::Duration;

use nightshift_client::Client;
use nightshift_contract::layout::StateDir;
use nightshift_engine::StopFlag;
use nightshift_manifest::stop::Scope;
use nightshift_wire::StopView;

use crate::repository::chain;
use crate::swap::{self, Keep};

/// The flags of a view. What is not understood of one makes it stop everything.
pub fn flags_of(view: &StopView) -> Vec<StopFlag> {
    let flag = |seen: &nightshift_wire::StopSeen| {
        let scope = &seen.scope;
        let read = Scope::read(
            scope.plugin.as_deref(),
            scope.worker.as_deref(),
            scope.release.as_deref(),
            scope.when.as_deref(),
        );
        StopFlag::told(seen.place.clone(), &seen.reason, read)
    };
    let flags: Vec<StopFlag> = view.stops.iter().map(flag).collect();
    match (&view.stopped, flags.is_empty()) {
        // A job server that tells of a stop in words alone.
        (Some(words), true) => vec![StopFlag::told("job server", words, Ok(Scope::everything()))],
        _ => flags,
    }
}

/// Asks the job server once; `None` when it does not answer within the time.
pub async fn ask(client: &Client, within: Duration) -> Option<Vec<StopFlag>> {
    match tokio::time::timeout(within, client.stop("", Duration::ZERO)).await {
        Ok(Ok(view)) => Some(flags_of(&view)),
        Ok(Err(error)) => {
            tracing::debug!("asking what is stopped: {}", chain(&error));
            None
        }
        Err(_) => None,
    }
}

/// What an earlier cycle heard, as far as it counts while the job server does not answer.
pub fn remembered(state: &StateDir, control_branch: &str) -> Vec<StopFlag> {
    let path = state.heard_stops();
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let reason = format!("{} cannot be read: {error}", path.display());
            return vec![StopFlag::told("what the job server told", &reason, Ok(Scope::everything()))];
        }
    };
    match serde_json::from_slice::<Vec<StopFlag>>(&text) {
        Ok(flags) => flags.into_iter().filter(|flag| !is_seen_by_looking(flag, control_branch)).collect(),
        Err(_) => {
            let reason = format!("{} is damaged", path.display());
            vec![StopFlag::told("what the job server told", &reason, Ok(Scope::everything()))]
        }
    }
}

/// Remembers what was heard. Where that fails, this process goes by it all the same.
pub fn remember(state: &StateDir, flags: &[StopFlag]) {
    let path = state.heard_stops();
    let noted = match (flags.is_empty(), serde_json::to_vec(flags)) {
        (true, _) => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        (false, Ok(text)) => swap::replace(&path, &text, Keep::Durably),
        (false, Err(error)) => Err(error.into()),
    };
    if let Err(error) = noted {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "noting what the job server says is stopped failed");
    }
}

/// Whether a worker's own look at the repository sees a flag itself.
pub fn is_seen_by_looking(flag: &StopFlag, control_branch: &str) -> bool {
    flag.place.starts_with("ref ") || flag.place.ends_with(&format!(" on branch {control_branch}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_manifest::stop::When;
    use nightshift_wire::{StopScope, StopSeen};

    fn seen(place: &str, scope: StopScope) -> StopSeen {
        StopSeen { place: place.into(), reason: "fire".into(), scope }
    }

    fn view(stops: Vec<StopSeen>) -> StopView {
        StopView { etag: "e".into(), stopped: Some("fire (job server)".into()), stops }
    }

    #[test]
    fn a_stop_that_is_told_is_understood_with_its_scope_or_stops_everything() {
        let scope = StopScope { plugin: Some("a".into()), when: Some("after-job".into()), ..StopScope::default() };
        let flags = flags_of(&view(vec![seen("job server", scope.clone())]));
        assert_eq!((flags[0].scope.plugin(), flags[0].scope.when()), (Some("a"), When::AfterJob));
        let odd = StopScope { when: Some("tomorrow".into()), ..scope };
        assert_eq!(flags_of(&view(vec![seen("job server", odd)]))[0].scope, Scope::everything());
        assert_eq!(flags_of(&view(Vec::new()))[0].scope, Scope::everything(), "words alone");
        assert_eq!(flags_of(&StopView::default()), []);
    }

    #[test]
    fn what_was_told_last_stands_over_cycles_but_for_what_a_look_sees_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::new(folder.path());
        let all = ["job server", "STOP on branch main", "STOP on branch control", "ref refs/heads/stop"];
        let flags = flags_of(&view(all.map(|place| seen(place, StopScope::default())).into()));
        remember(&state, &flags);
        assert_eq!(remembered(&state, "control"), flags[..2]);
        remember(&state, &[]);
        assert_eq!(remembered(&state, "control"), []);
        std::fs::write(state.heard_stops(), "[{").expect("writable");
        assert_eq!(remembered(&state, "control")[0].scope, Scope::everything(), "nobody knows what it said");
    }
}
