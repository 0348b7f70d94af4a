//! Looks at the central repository, so that the catalogue shows the newest believed release and the stop flag.
//!
//! The engine that decides over releases on workers decides here too, on a clone of the server's own. It blocks, and
//! so it runs on a thread for blocking work, one look at a time. Looks come every `look_every` and whenever a request
//! wishes one. A look that fails changes nothing but the catalogue's `problem`: the last release goes on serving, and
//! a stop flag seen goes on counting, also over a restart. While one stops the whole grid, no release is taken in. Flags
//! count on the default branch, too: people put them there in panic.

use std::sync::Arc;
use std::time::Duration;

use nightshift_contract::layout::StateDir;
use nightshift_engine::clock::moment;
use nightshift_engine::{
    BackError, Engine, HeldBy, Offered, Promotion, Release, ReleaseError, Source, StopFlag, Unfetched, Verified,
};
use nightshift_manifest::SETTINGS_FILE;
use nightshift_manifest::rollout::Holds;
use nightshift_store::KnownRelease;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::catalogue::{Catalogue, LookWish, Releases, Seen};
use crate::clock::deadline;
use crate::refused::chain;

/// The problem before the first look.
const NOT_LOOKED: &str = "the repository has not been looked at yet";
/// After so many looks without success the repository counts as out of sight, but not before a minute.
const LOOKS_MISSED: u32 = 3;
const MISSED_AT_LEAST: Duration = Duration::from_secs(60);
/// Wishes that may wait for one look; more than that wait to be heard.
const WISHES: usize = 64;

/// Begins to look, until `stopping` is cancelled; what the looks find.
pub fn begin(source: Source, folder: StateDir, every: Duration, stopping: CancellationToken) -> Releases {
    let (found, current) = watch::channel(Arc::new(Catalogue::empty(NOT_LOOKED)));
    let (wishes, wished) = mpsc::channel(WISHES);
    let seen = Seen::never(MISSED_AT_LEAST.max(every * LOOKS_MISSED));
    let looker = Looker { source, folder, engine: None, last: Catalogue::empty(""), seen: Arc::clone(&seen) };
    tokio::spawn(run(looker, every, found, wished, stopping));
    Releases::looked_after(current, wishes, seen)
}

async fn run(
    mut looker: Looker,
    every: Duration,
    found: watch::Sender<Arc<Catalogue>>,
    mut wished: mpsc::Receiver<LookWish>,
    stopping: CancellationToken,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut wishes: Vec<LookWish> = Vec::new();
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
            Some(wish) = wished.recv() => wishes.push(wish),
        }
        // Wishes made before a look begins are granted by it.
        while let Ok(wish) = wished.try_recv() {
            wishes.push(wish);
        }
        let looked = tokio::task::spawn_blocking(move || {
            looker.look();
            looker
        });
        match looked.await {
            Ok(back) => looker = back,
            Err(error) => {
                tracing::error!("looking at the repository ended badly: {error}; no further looks are made");
                return;
            }
        }
        tell(&found, &looker.last);
        for wish in wishes {
            // Whoever wished may have gone meanwhile.
            let _ = wish.send(());
        }
    }
}

/// Makes a catalogue known when it is another one, and says on the log what changed.
fn tell(found: &watch::Sender<Arc<Catalogue>>, catalogue: &Catalogue) {
    found.send_if_modified(|current| {
        if **current == *catalogue {
            return false;
        }
        if current.release != catalogue.release {
            match &catalogue.release {
                Some(release) => tracing::info!(release, "batches are taken for release {release}"),
                None => tracing::info!("no release is known"),
            }
        }
        if current.problem != catalogue.problem {
            match catalogue.problem.as_str() {
                "" if current.problem == NOT_LOOKED => {}
                "" => tracing::info!("the repository is well again"),
                problem => tracing::warn!("{problem}"),
            }
        }
        match (&current.stopped, &catalogue.stopped) {
            (None, Some(reason)) => tracing::warn!("stopped: {reason}"),
            (Some(_), None) => tracing::info!("the stop flag is gone"),
            _ => {}
        }
        *current = Arc::new(catalogue.clone());
        true
    });
}

/// The engine, and what the last look found.
struct Looker {
    source: Source,
    folder: StateDir,
    engine: Option<Engine>,
    last: Catalogue,
    seen: Arc<Seen>,
}

impl Looker {
    fn look(&mut self) {
        let (seen, last) = (Arc::clone(&self.seen), self.last.clone());
        self.last = match self.opened() {
            Ok(engine) => {
                let found = look_and_sync(engine, &seen);
                catalogue(engine, found, &last)
            }
            Err(problem) => Catalogue { problem, ..last },
        };
    }

    fn opened(&mut self) -> Result<&mut Engine, String> {
        match &mut self.engine {
            Some(engine) => Ok(engine),
            empty => {
                let mut opened =
                    Engine::open(self.source.clone(), self.folder.clone()).map_err(|error| chain(&error))?;
                opened.watch_default_branch();
                Ok(empty.insert(opened))
            }
        }
    }
}

/// What a look found.
#[derive(Default)]
struct Found {
    /// What is wrong with the releases there.
    problems: Vec<String>,
    /// Good releases above the one that was in force before.
    good: Vec<KnownRelease>,
    /// The rings opened early for the one in force; `None` when nobody could see.
    promotions: Option<Vec<Promotion>>,
}

/// One look, and the newest good release taken in when there is no stop flag.
fn look_and_sync(engine: &mut Engine, seen: &Seen) -> Result<Found, String> {
    let look = engine.look(&moment()).map_err(|error| chain(&error))?;
    seen.note(deadline(Duration::ZERO));
    if look.stops.iter().any(|flag| flag.scope.is_everything()) {
        return Ok(Found::default());
    }
    let holds = &look.holds;
    let hold = |release: &Verified<'_>| {
        let reason = holds.denied(release.version)?;
        Some(release.held(HeldBy::Denied, format!("{} is denied: {reason}", release.version.tag())))
    };
    let sync = engine.sync(&look, &hold).map_err(|error| chain(&error))?;
    let safe_mode = sync.safe_mode.iter().map(|why| {
        format!("{why}; remove trust.*.json, slots and in-force from its state folder to trust the repository afresh")
    });
    let unfetched = sync.unfetched.iter().map(|tag| format!("{tag}; {}", Unfetched::ADVICE));
    let denied = leave_denied(engine, holds);
    let unreadable = holds.unreadable.iter().map(|why| format!("no worker moves to another release: {why}"));
    let refused = sync.refused.iter().map(ToString::to_string);
    let problems = safe_mode.chain(unfetched).chain(refused).chain(unreadable).chain(denied).collect();
    let promotions = engine.promotions_in_force(&look);
    let promotions = promotions.inspect_err(|error| tracing::warn!("looking for promotions: {}", chain(error))).ok();
    Ok(Found { problems, good: sync.good.into_iter().map(known).collect(), promotions })
}

fn known(offered: Offered) -> KnownRelease {
    KnownRelease { tag: offered.tag, tag_id: offered.tag_id, settings: offered.settings }
}

/// Goes back from a release that is denied: batches are taken for the one before. Says so when there is none.
fn leave_denied(engine: &mut Engine, holds: &Holds) -> Option<String> {
    let release = engine.in_force()?;
    let reason = holds.denied(release.version)?;
    match engine.go_back("it is denied", holds) {
        Ok(_) => None,
        Err(BackError::NothingBefore) => {
            Some(format!("{} is denied ({reason}), and there is none before", release.tag))
        }
        Err(error) => Some(chain(&error)),
    }
}

/// What the engine knows now, after a look or in spite of one that failed; `last` is what it knew before.
fn catalogue(engine: &Engine, found: Result<Found, String>, last: &Catalogue) -> Catalogue {
    let stops = engine.last_look().map(|look| look.stops.clone()).unwrap_or_default();
    let Found { mut problems, good, promotions } =
        found.unwrap_or_else(|problem| Found { problems: vec![problem], ..Found::default() });
    let mut catalogue = match engine.in_force().map(|release| offer(&release)) {
        Some(Ok(catalogue)) => catalogue,
        Some(Err(error)) => {
            problems.push(chain(&error));
            Catalogue::empty("")
        }
        None => {
            if problems.is_empty() {
                problems.push("the repository has no release yet".to_owned());
            }
            Catalogue::empty("")
        }
    };
    catalogue.problem = problems.join("; ");
    let is_offered = |known: &KnownRelease| catalogue.known.iter().any(|offered| offered.tag_id == known.tag_id);
    // Those that one look found stay known until the next look finds others: whoever notes them may come later.
    let passed_over = if good.is_empty() { last.known.clone() } else { good };
    let passed_over: Vec<KnownRelease> = passed_over.into_iter().filter(|known| !is_offered(known)).collect();
    catalogue.known.splice(0..0, passed_over);
    catalogue.promotions = promotions.unwrap_or_else(|| last.promotions.clone());
    catalogue.stopped = StopFlag::in_words(&stops);
    catalogue.stops = stops;
    catalogue.control = engine.last_look().and_then(|look| look.control.clone());
    catalogue.holds = engine.last_look().map(|look| look.holds.clone()).unwrap_or_default();
    catalogue
}

fn offer(release: &Release) -> Result<Catalogue, ReleaseError> {
    let path = release.tree().join(SETTINGS_FILE);
    let settings = std::fs::read_to_string(&path).map_err(|source| ReleaseError::Unreadable { path, source })?;
    let known = KnownRelease { tag: release.tag.clone(), tag_id: release.tag_id.clone(), settings };
    let catalogue = Catalogue::of(release.tag.clone(), release.plugins()?, release.settings()?, &release.sampled());
    Ok(Catalogue { known: vec![known], ..catalogue })
}
