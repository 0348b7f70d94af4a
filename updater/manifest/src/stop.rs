//! The stop flag: what it stops, when, and the reason it gives. Pure; whoever sees flags hands them in.
//!
//! Anyone who can push can stop the grid: a root entry of the control branch named `STOP` or `STOP.*`, or a ref named
//! `stop`, in any case. Whatever such a flag says, it stops everything at once, unless all of it is understood and it
//! names less ([`Scope`]): a plugin, workers, a release, or the end of the job in hand. Several flags add up
//! ([`judge`]); of two that stop the same, the one that stops at once counts.

mod glob;
mod scope;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use glob::WorkerGlob;
pub use scope::{Scope, ScopeError, When};

/// A stop flag that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopFlag {
    /// Where it stands: `STOP on branch control`, `ref refs/heads/stop`, `job server`.
    pub place: String,
    /// Why, in the words of the flag; says so when the flag gives none.
    pub reason: String,
    /// What it stops.
    #[serde(default)]
    pub scope: Scope,
}

/// A flag larger than this is not read for its reason; it stops all the same.
pub const MAX_FLAG_BYTES: usize = 64 * 1024;

/// Whether a root entry of the control branch stops the grid.
pub fn is_stop_entry(name: &[u8]) -> bool {
    let (stem, rest) = name.split_at(name.len().min(4));
    stem.eq_ignore_ascii_case(b"STOP") && (rest.is_empty() || rest.starts_with(b"."))
}

/// Whether a ref stops the grid: `stop` as a branch, as a tag or directly under `refs/`.
pub fn is_stop_ref(name: &str) -> bool {
    let name = name.strip_prefix("refs/").unwrap_or(name);
    let name = name.strip_prefix("heads/").or_else(|| name.strip_prefix("tags/")).unwrap_or(name);
    name.eq_ignore_ascii_case("stop")
}

impl StopFlag {
    /// The flag of a root entry; `content` is `None` when the entry is not a file or too large to read.
    pub fn of_entry(name: &[u8], branch: &str, content: Option<&[u8]>) -> Self {
        let place = format!("{} on branch {branch}", String::from_utf8_lossy(name));
        let (reason, scope) = match content {
            None => (NOT_READABLE.to_owned(), Scope::everything()),
            Some(content) => said(content),
        };
        Self { place, reason, scope }
    }

    /// The flag of a ref.
    pub fn of_ref(name: &str) -> Self {
        Self { place: format!("ref {name}"), reason: NO_REASON.to_owned(), scope: Scope::everything() }
    }

    /// A flag told in words by somebody who may stop: what is not understood of the scope makes it stop everything.
    pub fn told(place: impl Into<String>, reason: &str, scope: Result<Scope, ScopeError>) -> Self {
        let reason = match first_line(reason) {
            empty if empty.is_empty() => NO_REASON.to_owned(),
            reason => reason,
        };
        let (reason, scope) = match scope {
            Ok(scope) => (reason, scope),
            Err(error) => (format!("{reason} ({error}, so everything stops)"), Scope::everything()),
        };
        Self { place: place.into(), reason, scope }
    }

    /// All flags in one sentence; `None` when there is none.
    pub fn in_words(flags: &[StopFlag]) -> Option<String> {
        let words: Vec<String> = flags.iter().map(ToString::to_string).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl fmt::Display for StopFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope.in_words() {
            None => write!(f, "{} ({})", self.reason, self.place),
            Some(only) => write!(f, "{} ({}; stops {only})", self.reason, self.place),
        }
    }
}

/// Whom a judgement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    /// The worker's id.
    pub worker: &'a str,
    /// The name of its machine.
    pub host: &'a str,
    /// The tag of its release; empty when it has none.
    pub release: &'a str,
}

/// That something is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// At once, or after the job in hand.
    pub when: When,
    /// The flags that say so, in words.
    pub reason: String,
}

/// What is stopped on a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stops {
    /// All of it.
    pub worker: Option<Stop>,
    /// Plugins, by name.
    pub plugins: BTreeMap<String, Stop>,
}

impl Stops {
    /// What is stopped of a plugin's work here, by itself or with the whole worker.
    pub fn of_plugin(&self, plugin: &str) -> Option<&Stop> {
        let both = [self.worker.as_ref(), self.plugins.get(plugin)];
        both.into_iter().flatten().min_by_key(|stop| stop.when)
    }

    /// Those of some plugins of which nothing is stopped here: what a further job may be for.
    pub fn left_of(&self, plugins: &[String]) -> Vec<String> {
        plugins.iter().filter(|plugin| self.of_plugin(plugin).is_none()).cloned().collect()
    }
}

/// What the flags stop on a worker, and when.
pub fn judge(flags: &[StopFlag], who: Who<'_>) -> Stops {
    judge_all(flags, &[who])
}

/// The same for one that works with several releases: the one in force, and that of the job in hand.
pub fn judge_all(flags: &[StopFlag], all: &[Who<'_>]) -> Stops {
    let mut stops = Stops::default();
    for flag in flags.iter().filter(|flag| all.iter().any(|who| flag.scope.concerns(*who))) {
        let stop = Stop { when: flag.scope.when(), reason: flag.to_string() };
        match flag.scope.plugin() {
            None => add(&mut stops.worker, stop),
            Some(plugin) => {
                let mut of_plugin = stops.plugins.remove(plugin);
                add(&mut of_plugin, stop);
                stops.plugins.extend(of_plugin.map(|stop| (plugin.to_owned(), stop)));
            }
        }
    }
    stops
}

fn add(so_far: &mut Option<Stop>, stop: Stop) {
    match so_far {
        None => *so_far = Some(stop),
        Some(before) => {
            before.when = before.when.min(stop.when);
            before.reason = format!("{}; {}", before.reason, stop.reason);
        }
    }
}

/// Whether the flags stop whole workers or the whole grid, so that no release is switched in where one of them holds. A
/// flag that names a release or a plugin does not: a newer release is what may end it.
pub fn holds_releases(flags: &[StopFlag], who: Who<'_>) -> bool {
    flags.iter().any(|flag| flag.scope.concerns(who) && flag.scope.plugin().is_none() && flag.scope.release().is_none())
}

const NO_REASON: &str = "no reason given";
const NOT_READABLE: &str = "the flag cannot be read, so everything stops";

/// What a flag's content says: TOML with `reason = "…"` and the keys of a [`Scope`], or nothing.
fn said(content: &[u8]) -> (String, Scope) {
    let everything = |reason: String| (reason, Scope::everything());
    let Ok(text) = str::from_utf8(content) else { return everything(NOT_READABLE.to_owned()) };
    if text.trim().is_empty() {
        return everything(NO_REASON.to_owned());
    }
    let Ok(mut table) = text.parse::<toml::Table>() else {
        return everything(format!("{} (not TOML, so everything stops)", first_line(text)));
    };
    let reason = match table.remove("reason") {
        Some(toml::Value::String(reason)) if !reason.trim().is_empty() => first_line(&reason),
        Some(toml::Value::String(_)) | None => NO_REASON.to_owned(),
        Some(other) => {
            let kind = other.type_str();
            return everything(format!("{NO_REASON} (a reason that is no text but {kind}, so everything stops)"));
        }
    };
    match Scope::of_table(&table) {
        Ok(scope) => (reason, scope),
        Err(error) => everything(format!("{reason} ({error}, so everything stops)")),
    }
}

/// A person's words on one line, and not a whole page of them.
fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
