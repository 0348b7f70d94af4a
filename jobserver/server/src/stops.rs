//! What is stopped, as this server sees it: by the repository's flags, which the catalogue has, and by its own stops, which
//! are kept in the store and may have been raised at another server.
//!
//! Stopping fails closed: flags that were seen stay until a look says otherwise, own stops until they are taken away, and
//! while the store cannot be read the last ones count.

use std::sync::Arc;

use nightshift_manifest::stop::{self, Scope, StopFlag, Who};
use nightshift_store::{Access, NewStop, StoreError};
use nightshift_wire::{ClaimRequest, Moment, OwnStop, StopScope, StopSeen, StopView};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::catalogue::Catalogue;

/// Where this server's own stops stand, for people.
const PLACE: &str = "job server";
/// Where a stop stands that the catalogue tells in words alone.
const REPOSITORY: &str = "the repository";

/// The stops that operators raised, as last read.
pub(crate) struct OwnStops {
    store: Arc<dyn Access>,
    current: watch::Sender<Arc<Vec<OwnStop>>>,
}

impl OwnStops {
    pub(crate) fn new(store: Arc<dyn Access>) -> OwnStops {
        OwnStops { store, current: watch::Sender::new(Arc::default()) }
    }

    pub(crate) fn now(&self) -> Arc<Vec<OwnStop>> {
        Arc::clone(&self.current.borrow())
    }

    /// Hears of changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Vec<OwnStop>>> {
        self.current.subscribe()
    }

    /// Reads them anew.
    pub(crate) async fn refresh(&self) -> Result<Arc<Vec<OwnStop>>, StoreError> {
        let stops = Arc::new(self.store.stops().await?);
        self.current.send_if_modified(|current| {
            let changed = **current != *stops;
            if changed {
                *current = Arc::clone(&stops);
            }
            changed
        });
        Ok(stops)
    }

    pub(crate) async fn add(&self, stop: &NewStop, now: Moment) -> Result<Arc<Vec<OwnStop>>, StoreError> {
        self.store.add_stop(stop, now).await?;
        self.refresh().await
    }

    pub(crate) async fn clear(&self) -> Result<Vec<OwnStop>, StoreError> {
        let gone = self.store.clear_stops().await?;
        self.refresh().await?;
        Ok(gone)
    }
}

/// Every stop there is: the repository's and this server's own.
pub(crate) fn all(catalogue: &Catalogue, own: &[OwnStop]) -> Vec<StopFlag> {
    let mut flags = catalogue.stops.clone();
    if let (Some(words), true) = (&catalogue.stopped, flags.is_empty()) {
        flags.push(StopFlag { place: REPOSITORY.to_owned(), reason: words.clone(), scope: Scope::everything() });
    }
    flags.extend(own.iter().map(|stop| StopFlag::told(PLACE, &stop.reason, read(&stop.scope))));
    flags
}

/// Reads a scope.
pub(crate) fn read(scope: &StopScope) -> Result<Scope, stop::ScopeError> {
    let StopScope { plugin, worker, release, when } = scope;
    Scope::read(plugin.as_deref(), worker.as_deref(), release.as_deref(), when.as_deref())
}

/// What is told of them.
pub(crate) fn view(catalogue: &Catalogue, own: &[OwnStop]) -> StopView {
    let flags = all(catalogue, own);
    let stopped = match (&catalogue.stopped, own.is_empty()) {
        (Some(words), true) => Some(words.clone()),
        _ => StopFlag::in_words(&flags),
    };
    let seen = flags.iter().map(|flag| StopSeen {
        place: flag.place.clone(),
        reason: flag.reason.clone(),
        scope: StopScope {
            plugin: flag.scope.plugin().map(ToOwned::to_owned),
            worker: flag.scope.worker(),
            release: flag.scope.release(),
            when: (flag.scope.when() == stop::When::AfterJob).then(|| flag.scope.when().word().to_owned()),
        },
    });
    let stops: Vec<StopSeen> = seen.collect();
    StopView { etag: etag(stopped.as_deref()), stopped, stops }
}

/// Names a view by what it says.
fn etag(stopped: Option<&str>) -> String {
    const DIGITS: usize = 16;
    match stopped {
        None => "none".to_owned(),
        Some(words) => format!("{:x}", Sha256::digest(words))[..DIGITS].to_owned(),
    }
}

/// What of a claim is left when all that is stopped is taken away; `None` when nothing is. `host` names the machine of the
/// worker, as far as it is known.
pub(crate) fn allowed(flags: &[StopFlag], request: &ClaimRequest, host: &str) -> Option<ClaimRequest> {
    let who = Who { worker: &request.worker, host, release: &request.release };
    let plugins = stop::judge(flags, who).left_of(&request.plugins);
    (!plugins.is_empty()).then(|| ClaimRequest { plugins, ..request.clone() })
}

/// Whether some flag asks for the name of a worker's machine.
pub(crate) fn names_workers(flags: &[StopFlag]) -> bool {
    flags.iter().any(|flag| flag.scope.worker().is_some())
}

/// What keeps every job back, and what keeps those of a plugin back, wherever they might run.
pub(crate) fn everywhere(flags: &[StopFlag], plugin: &str) -> (Option<String>, Option<String>) {
    let limited = |flag: &&StopFlag| flag.scope.worker().is_none() && flag.scope.release().is_none();
    let words = |of: Option<&str>| {
        let flags = flags.iter().filter(limited).filter(|flag| flag.scope.plugin() == of);
        let words = flags.map(|flag| if flag.place == REPOSITORY { flag.reason.clone() } else { flag.to_string() });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    };
    (words(None), words(Some(plugin)))
}

#[cfg(test)]
mod tests {
    use nightshift_wire::Machine;

    use super::*;

    fn own(reason: &str, scope: StopScope) -> OwnStop {
        OwnStop { id: 1, reason: reason.into(), scope, by: "anna".into(), at: 0 }
    }

    fn of_plugin(plugin: &str) -> StopScope {
        StopScope { plugin: Some(plugin.into()), ..StopScope::default() }
    }

    fn claim() -> ClaimRequest {
        ClaimRequest {
            worker: "w-1".into(),
            release: "v1.0.0".into(),
            commit: String::new(),
            plugins: vec!["a".into(), "b".into()],
            holding: Vec::new(),
            wait_ms: 0,
            max: 1,
            behind: None,
            machine: Machine::default(),
        }
    }

    fn left(scope: StopScope) -> Option<Vec<String>> {
        let flags = all(&Catalogue::empty(""), &[own("fire", scope)]);
        allowed(&flags, &claim(), "PC-1").map(|allowed| allowed.plugins)
    }

    #[test]
    fn a_claim_gets_no_job_that_a_scope_stops() {
        assert_eq!(left(StopScope::default()), None);
        assert_eq!(left(of_plugin("a")), Some(vec!["b".to_owned()]));
        assert_eq!(left(StopScope { worker: Some("pc-*".into()), ..StopScope::default() }), None);
        assert_eq!(
            left(StopScope { worker: Some("pc-2*".into()), ..StopScope::default() }).map(|all| all.len()),
            Some(2)
        );
        assert_eq!(left(StopScope { release: Some("1.0.0".into()), ..StopScope::default() }), None);
        assert_eq!(left(StopScope { when: Some("after-job".into()), ..StopScope::default() }), None, "no further job");
        assert_eq!(left(StopScope { when: Some("soon".into()), ..of_plugin("z") }), None, "what is not understood");
    }

    #[test]
    fn the_same_stops_have_the_same_name_everywhere_and_others_another() {
        let named = |own: &[OwnStop]| view(&Catalogue::empty(""), own).etag;
        assert_eq!(named(&[]), "none");
        let fire = own("fire", StopScope::default());
        assert_eq!(named(std::slice::from_ref(&fire)), named(std::slice::from_ref(&fire)));
        assert_ne!(named(&[fire]), named(&[own("fire", of_plugin("a"))]));
    }

    #[test]
    fn a_job_hears_what_stops_its_plugin_and_what_stops_everything() {
        let flags = all(&Catalogue::empty(""), &[own("fire", of_plugin("a"))]);
        assert_eq!(everywhere(&flags, "a"), (None, Some("fire (job server; stops plugin a)".into())));
        assert_eq!(everywhere(&flags, "b"), (None, None));
    }
}
