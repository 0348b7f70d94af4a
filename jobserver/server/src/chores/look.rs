//! Looks at the central repository, so that the catalogue shows the newest believed release and the stop flag.
//!
//! The engine that decides over releases on workers decides here too, on a clone of the server's own. It blocks, and
//! so it runs on a thread for blocking work, one look at a time. Looks come every `look_every` and whenever a request
//! wishes one. A look that fails changes nothing but the catalogue's `problem`: the last release goes on serving, and
//! a stop flag seen goes on counting, also over a restart. While there is one, no release is taken in.

use std::sync::Arc;
use std::time::Duration;

use nightshift_contract::layout::StateDir;
use nightshift_engine::clock::moment;
use nightshift_engine::{Engine, FREE, Release, ReleaseError, Source, Unfetched};
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
        let seen = Arc::clone(&self.seen);
        self.last = match self.opened() {
            Ok(engine) => {
                let found = look_and_sync(engine, &seen);
                catalogue(engine, found)
            }
            Err(problem) => Catalogue { problem, ..self.last.clone() },
        };
    }

    fn opened(&mut self) -> Result<&mut Engine, String> {
        match &mut self.engine {
            Some(engine) => Ok(engine),
            empty => {
                let opened = Engine::open(self.source.clone(), self.folder.clone());
                Ok(empty.insert(opened.map_err(|error| chain(&error))?))
            }
        }
    }
}

/// One look, and the newest good release taken in when there is no stop flag. What is wrong with the releases there.
fn look_and_sync(engine: &mut Engine, seen: &Seen) -> Result<Vec<String>, String> {
    let look = engine.look(&moment()).map_err(|error| chain(&error))?;
    seen.note(deadline(Duration::ZERO));
    if look.stop.is_some() {
        return Ok(Vec::new());
    }
    let sync = engine.sync(&look, FREE).map_err(|error| chain(&error))?;
    let safe_mode = sync.safe_mode.iter().map(|why| {
        format!("{why}; remove trust.*.json, slots and in-force from its state folder to trust the repository afresh")
    });
    let unfetched = sync.unfetched.iter().map(|tag| format!("{tag}; {}", Unfetched::ADVICE));
    Ok(safe_mode.chain(unfetched).chain(sync.refused.iter().map(ToString::to_string)).collect())
}

/// What the engine knows now, after a look or in spite of one that failed.
fn catalogue(engine: &Engine, found: Result<Vec<String>, String>) -> Catalogue {
    let stopped = engine.last_look().and_then(|look| look.stop.as_ref()).map(ToString::to_string);
    let mut problems = match found {
        Ok(problems) => problems,
        Err(problem) => vec![problem],
    };
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
    catalogue.stopped = stopped;
    catalogue
}

fn offer(release: &Release) -> Result<Catalogue, ReleaseError> {
    Ok(Catalogue::of(release.tag.clone(), release.plugins()?, release.settings()?))
}
