//! A visit to the central repository: one look, then a sync unless the grid is stopped; said in plain words.
//!
//! The stop flag is read before any release is considered, and nothing is switched in while it stands. What the last
//! look that really saw the repository said stays true while the repository is out of reach: a stop flag too.

use std::error::Error;

use nightshift_contract::layout::StateDir;
use nightshift_engine::{Counts, Engine, FREE, Held, Moment, OpenError, Release, SlotError, Source, Sync, Unfetched};
use nightshift_manifest::settings::GridSettings;

use crate::clock;

/// The clone of the central repository and what it says.
#[derive(Debug)]
pub struct Repository {
    engine: Engine,
}

/// What one step of a visit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In plain words.
    pub found: String,
    /// What a person can do; empty when it went well.
    pub next: String,
}

/// What a visit found.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The stop flag that stands, as far as anybody could see.
    pub stop_flag: Option<String>,
    /// Why the repository could not be looked at or fetched from, when it could not.
    pub trouble: Option<String>,
    /// The look.
    pub look: Found,
    /// The sync, and the release in force after it.
    pub sync: Found,
    /// The release in force after it.
    pub release: Option<Release>,
    /// Its settings; the defaults while there is no release.
    pub settings: GridSettings,
    /// Another release came into force.
    pub switched: bool,
    /// Releases that are offered and refused, with the reason.
    pub refused: Vec<String>,
    /// Releases that are good and held back, with the reason.
    pub held: Vec<Held>,
    /// Why no new release may come in, when what was trusted here is lost.
    pub safe_mode: Option<String>,
    /// What was found damaged and made good since the visit before.
    pub repairs: Counts,
    /// When the repository was really looked at last.
    pub last_look: Option<Moment>,
}

impl Repository {
    /// Opens the clone, or begins one.
    ///
    /// # Errors
    /// When the state folder cannot be used.
    pub fn open(source: Source, state: &StateDir) -> Result<Repository, OpenError> {
        Ok(Repository { engine: Engine::open(source, state.clone())? })
    }

    /// Looks, and syncs what moved.
    pub fn visit(&mut self) -> Visit {
        let mut sync = Ok(Sync::default());
        let mut trouble = None;
        let look = match self.engine.look(&clock::moment()) {
            Ok(look) => match &look.stop {
                Some(flag) => Found::bad(format!("stop flag: {flag}"), "start the grid again with: nightshift start"),
                None => {
                    sync = self
                        .engine
                        .sync(&look, FREE)
                        .map_err(|error| Found::failed(&error, "the next cycle tries again"));
                    trouble = match &sync {
                        Ok(sync) => sync.unfetched.first().map(ToString::to_string),
                        Err(failed) => Some(failed.found.clone()),
                    };
                    Found::good("the repository answered; no stop flag")
                }
            },
            Err(error) => {
                trouble = Some(chain(&error));
                Found::failed(&error, "check the network, and the repository's address in worker.toml")
            }
        };
        let release = self.engine.in_force();
        let (settings, unreadable) = match release.as_ref().map(|release| self.settings(release)) {
            None => (GridSettings::default(), None),
            Some(Ok(settings)) => (settings, None),
            Some(Err(found)) => (GridSettings::default(), Some(found)),
        };
        let last = self.engine.last_look();
        let nothing_fetched = trouble.is_some() && release.is_none();
        Visit {
            stop_flag: last.and_then(|last| last.stop.as_ref()).map(ToString::to_string),
            last_look: last.map(|last| last.at.clone()),
            trouble,
            look,
            switched: sync.as_ref().is_ok_and(|sync| sync.switched),
            refused: sync.iter().flat_map(|sync| &sync.refused).map(ToString::to_string).collect(),
            held: sync.iter().flat_map(|sync| &sync.held).cloned().collect(),
            safe_mode: self.engine.safe_mode().map(str::to_owned),
            repairs: self.engine.take_repairs(),
            sync: match (unreadable, sync) {
                _ if self.engine.safe_mode().is_some() => {
                    Found::bad(self.engine.safe_mode().unwrap_or_default(), SAFE_MODE)
                }
                (Some(found), _) | (None, Err(found)) => found,
                (None, Ok(sync)) if nothing_fetched && sync.unfetched.is_empty() => {
                    Found::bad("no release is in force, and none could be fetched", "correct the look first")
                }
                (None, Ok(sync)) => sync_in_words(release.as_ref(), &sync),
            },
            release,
            settings,
        }
    }

    /// The settings of a release. A damaged slot is staged again before giving up.
    fn settings(&self, release: &Release) -> Result<GridSettings, Found> {
        let settings = release.settings().or_else(|unreadable| match self.engine.verify_slot(release) {
            Ok(()) => release.settings(),
            Err(_) => Err(unreadable),
        });
        settings.map_err(|error| Found::failed(&error, "check the disk; the defaults count meanwhile"))
    }

    /// Keeps the files of these releases, which a core may still read, whatever comes into force.
    pub fn keep<'r>(&mut self, in_use: impl IntoIterator<Item = &'r Release>) {
        self.engine.keep(in_use);
    }

    /// Checks every file of a release against its signed tree.
    ///
    /// # Errors
    /// When a file is not what was signed.
    pub fn verify(&self, release: &Release) -> Result<(), SlotError> {
        self.engine.verify_slot(release)
    }
}

impl Found {
    /// It went well.
    pub fn good(found: impl Into<String>) -> Found {
        Found { found: found.into(), next: String::new() }
    }

    /// It needs attention.
    pub fn bad(found: impl Into<String>, next: impl Into<String>) -> Found {
        Found { found: found.into(), next: next.into() }
    }

    /// It failed.
    pub fn failed(error: &(dyn Error + 'static), next: &str) -> Found {
        Found::bad(chain(error), next)
    }
}

/// What a person can do when what was trusted on a worker is lost.
pub const SAFE_MODE: &str = "check the disk; then put a copy of trust.a.json back from a backup, or remove trust.*.json, slots \
                             and in-force from the state folder: the worker then trusts the repository afresh, from the \
                             pinned keys on";

/// What a person can do about refused releases.
const REFUSED: &str = "correct the refused release, or delete its tag from the repository";

fn sync_in_words(release: Option<&Release>, sync: &Sync) -> Found {
    let mut words = vec![match release {
        Some(release) => format!("{} is in force, signed by {}", release.tag, release.signer),
        None => "no release is in force".to_owned(),
    }];
    words.extend(sync.notes.iter().cloned());
    words.extend(sync.held.first().map(ToString::to_string));
    words.extend(sync.unfetched.iter().map(ToString::to_string));
    // The report lists every refusal; here the first stands for all.
    words.extend(sync.refused.first().map(ToString::to_string));
    match sync.refused.len() {
        0 | 1 => {}
        number => words.push(format!("{} more are refused, too", number - 1)),
    }
    let words = words.join("; ");
    match (sync.refused.is_empty(), sync.unfetched.is_empty(), release) {
        (true, true, Some(_)) => Found::good(words),
        (true, true, None) => Found::bad(words, "make the first one with: nightshift release cut 1.0.0"),
        (true, false, _) => Found::bad(words, Unfetched::ADVICE),
        (false, true, _) => Found::bad(words, REFUSED),
        (false, false, _) => Found::bad(words, format!("{}; {REFUSED}", Unfetched::ADVICE)),
    }
}

/// An error with everything behind it, on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += ": ";
        text += &error.to_string();
        source = error.source();
    }
    text
}
