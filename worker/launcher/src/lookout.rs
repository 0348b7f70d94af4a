//! Keeps an eye on stops while a visit to the repository takes long, and on whether the visit still gets on.
//!
//! A visit may fetch large things and try programs for minutes on a thread of its own, and only one thread may use the
//! clone. So whoever waits for it looks for stops beside it:
//! 1. the local stop file and the job server's word, every second, as ever;
//! 2. the repository itself, every `look_every`, from a small clone that only ever holds the control branch
//!    (`STATE/lookout/`);
//! 3. a stop that is seen breaks off what the visit fetches and tries ([`Lookout::break_off`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nightshift_contract::layout::StateDir;
use nightshift_engine::{BreakOff, Engine, Source, StopFlag};
use tokio::task::JoinHandle;

use crate::clock;
use crate::repository::chain;

/// A visit that takes longer than this does not count as progress any more, and a later cycle ends this one.
const VISIT: Duration = Duration::from_secs(2 * 60 * 60);
/// The same for its first step, the look: a repository may send a list of refs without end.
const LOOK: Duration = Duration::from_secs(10 * 60);

/// An eye on stops beside a visit.
#[derive(Debug)]
pub struct Lookout {
    source: Source,
    state: StateDir,
    every: Duration,
    is_stopped: Arc<AtomicBool>,
    is_looking: Arc<AtomicBool>,
    /// When the visit under way began, or the last one, in milliseconds since the machine's start.
    visit_began: u64,
    looked: u64,
    looking: Option<JoinHandle<Option<Vec<StopFlag>>>>,
}

impl Lookout {
    /// Over visits to this repository, which is looked at so often.
    pub fn over(source: &Source, state: &StateDir, every: Duration) -> Lookout {
        Lookout {
            source: source.clone(),
            state: StateDir::new(state.lookout()),
            every,
            is_stopped: Arc::default(),
            is_looking: Arc::default(),
            visit_began: 0,
            looked: 0,
            looking: None,
        }
    }

    /// What breaks a visit off.
    pub fn break_off(&self) -> BreakOff {
        let is_stopped = Arc::clone(&self.is_stopped);
        Arc::new(move || is_stopped.load(Ordering::Relaxed))
    }

    /// What a visit says in whether it is at its look.
    pub fn is_looking(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_looking)
    }

    /// Whether this worker is stopped, as far as is known now.
    pub fn stopped(&self, is_stopped: bool) {
        self.is_stopped.store(is_stopped, Ordering::Relaxed);
    }

    /// A visit begins, with a look of its own.
    pub fn visit_begins(&mut self, now: u64) {
        (self.visit_began, self.looked) = (now, now);
    }

    /// How long the visit under way has taken.
    pub fn visits_for(&self, now: u64) -> Duration {
        Duration::from_millis(now.saturating_sub(self.visit_began))
    }

    /// Time passed and a visit is under way: looks beside it when that is due. Whether the visit still gets on.
    pub fn tick(&mut self, now: u64) -> bool {
        if self.looking.is_none() && is_due(self.looked, now, self.every) {
            self.looked = now;
            let (source, state) = (self.source.clone(), self.state.clone());
            self.looking = Some(tokio::task::spawn_blocking(move || look(source, state)));
        }
        gets_on(self.visit_began, now, self.is_looking.load(Ordering::Relaxed))
    }

    /// The stops that a look beside a visit saw. Waits for ever while there is no such look; may be called away.
    pub async fn seen(&mut self) -> Vec<StopFlag> {
        let seen = match &mut self.looking {
            Some(looking) => looking.await.ok().flatten(),
            None => std::future::pending().await,
        };
        self.looking = None;
        seen.unwrap_or_default()
    }
}

fn look(source: Source, state: StateDir) -> Option<Vec<StopFlag>> {
    let looked = Engine::open(source, state).map_err(|error| chain(&error)).and_then(|mut engine| {
        let look = engine.look(&clock::moment()).map_err(|error| chain(&error))?;
        Ok(look.stops)
    });
    looked.inspect_err(|why| tracing::warn!("looking for stops beside a long visit: {why}")).ok()
}

fn is_due(looked: u64, now: u64, every: Duration) -> bool {
    Duration::from_millis(now.saturating_sub(looked)) >= every
}

fn gets_on(visit_began: u64, now: u64, is_looking: bool) -> bool {
    let most = if is_looking { LOOK } else { VISIT };
    Duration::from_millis(now.saturating_sub(visit_began)) < most
}

#[cfg(test)]
mod tests {
    use nightshift_manifest::signers::Signers;
    use nightshift_testbed::central::{CONTROL, Central};

    use super::*;

    struct Scene {
        central: Central,
        lookout: Lookout,
        _folder: tempfile::TempDir,
    }

    fn scene() -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let central = Central::create(&folder.path().join("central.git")).expect("a repository");
        let source = Source::new(central.url(), CONTROL, Signers::parse(&central.signer_line()).expect("a key set"));
        let state = StateDir::new(folder.path().join("worker"));
        Scene { lookout: Lookout::over(&source, &state, Duration::from_secs(60)), central, _folder: folder }
    }

    #[test]
    fn a_look_without_end_stops_counting_as_progress_long_before_a_large_download_does() {
        let minutes = |minutes: u64| minutes * 60_000;
        assert!(gets_on(0, minutes(9), true) && !gets_on(0, minutes(10), true));
        assert!(gets_on(0, minutes(119), false) && !gets_on(0, minutes(120), false));
    }

    #[tokio::test]
    async fn a_stop_that_comes_during_a_long_visit_is_seen_by_a_look_beside_it() {
        let Scene { mut central, mut lookout, _folder } = scene();
        lookout.visit_begins(1_000);
        assert!(lookout.tick(60_999) && lookout.looking.is_none(), "the visit looked itself a minute ago");
        lookout.tick(61_000);
        assert_eq!(lookout.seen().await, []);
        central.stop("fire").expect("pushed");
        lookout.tick(121_000);
        let seen = lookout.seen().await;
        assert_eq!(seen.iter().map(|flag| flag.place.as_str()).collect::<Vec<_>>(), ["STOP on branch control"]);
    }

    #[test]
    fn a_stop_breaks_a_visit_off_until_it_is_over() {
        let lookout = scene().lookout;
        let break_off = lookout.break_off();
        assert!(!break_off());
        lookout.stopped(true);
        assert!(break_off());
        lookout.stopped(false);
        assert!(!break_off());
    }
}
