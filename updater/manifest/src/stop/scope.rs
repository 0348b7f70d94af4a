//! What a stop flag stops. Everything at once, unless it says less and all it says is understood.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Who, WorkerGlob};
use crate::plugin::check_plugin_name;
use crate::version::ReleaseVersion;

/// When work ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At once; the last checkpoint stands.
    #[default]
    Now,
    /// After the job in hand.
    AfterJob,
}

/// What a stop flag stops. All its parts hold together: a flag that names a plugin and a release stops that plugin
/// where that release is in force, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Scope {
    plugin: Option<String>,
    worker: Option<WorkerGlob>,
    release: Option<ReleaseVersion>,
    when: When,
}

/// The parts of a scope as people write them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
}

/// A scope that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} not understood")]
pub struct ScopeError {
    /// The key, or the key and what stood there.
    what: String,
}

impl Scope {
    /// Everything, at once.
    pub fn everything() -> Scope {
        Scope::default()
    }

    /// Reads the parts of a scope; absent ones limit nothing.
    ///
    /// # Errors
    /// Names the first part that is not understood.
    pub fn read(
        plugin: Option<&str>,
        worker: Option<&str>,
        release: Option<&str>,
        when: Option<&str>,
    ) -> Result<Scope, ScopeError> {
        let unknown = |key: &str, value: &str| ScopeError { what: format!("{key} = {:?}", short(value)) };
        if let Some(plugin) = plugin {
            check_plugin_name(plugin).map_err(|_| unknown("plugin", plugin))?;
        }
        let read_glob = |text| WorkerGlob::parse(text).ok_or_else(|| unknown("worker", text));
        let read_release = |text: &str| {
            let version = text.strip_prefix('v').unwrap_or(text);
            version.parse::<ReleaseVersion>().map_err(|_| unknown("release", text))
        };
        Ok(Scope {
            plugin: plugin.map(ToOwned::to_owned),
            worker: worker.map(read_glob).transpose()?,
            release: release.map(read_release).transpose()?,
            when: match when {
                None | Some("now") => When::Now,
                Some("after-job") => When::AfterJob,
                Some(other) => return Err(unknown("when", other)),
            },
        })
    }

    /// Reads the keys of a flag without its reason.
    pub(super) fn of_table(table: &toml::Table) -> Result<Scope, ScopeError> {
        let unknown: Vec<&str> = table
            .keys()
            .map(String::as_str)
            .filter(|key| !["plugin", "worker", "release", "when"].contains(key))
            .collect();
        if !unknown.is_empty() {
            return Err(ScopeError { what: short(&unknown.join(", ")) });
        }
        let text = |key: &str| match table.get(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(ScopeError { what: key.to_owned() }),
        };
        Scope::read(text("plugin")?, text("worker")?, text("release")?, text("when")?)
    }

    /// The plugin it stops; `None` for all.
    pub fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// The workers it stops; `None` for all.
    pub fn worker(&self) -> Option<String> {
        self.worker.as_ref().map(ToString::to_string)
    }

    /// The release it stops, `1.5.0`; `None` for all.
    pub fn release(&self) -> Option<String> {
        self.release.as_ref().map(ToString::to_string)
    }

    /// At once, or after the job in hand.
    pub fn when(&self) -> When {
        self.when
    }

    /// Whether it stops the whole grid.
    pub fn is_everything(&self) -> bool {
        self.plugin.is_none() && self.worker.is_none() && self.release.is_none()
    }

    /// Whether it stops something on this worker.
    pub fn concerns(&self, who: Who<'_>) -> bool {
        let worker = self.worker.as_ref().is_none_or(|glob| glob.matches(who.worker) || glob.matches(who.host));
        let release = self.release.as_ref().is_none_or(|release| release.tag() == who.release);
        worker && release
    }

    /// What it is limited to, in words; `None` when it stops everything at once.
    pub fn in_words(&self) -> Option<String> {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.plugin.as_ref().map(|plugin| format!("plugin {plugin}")));
        words.extend(self.worker.as_ref().map(|glob| format!("workers {glob}")));
        words.extend(self.release.as_ref().map(|release| format!("release {}", release.tag())));
        let mut words = words.join(" on ");
        if self.when == When::AfterJob {
            let what = if words.is_empty() { "everything" } else { words.as_str() };
            words = format!("{what} after the job in hand");
        }
        (!words.is_empty()).then_some(words)
    }
}

impl When {
    /// The word in a flag.
    pub const fn word(self) -> &'static str {
        match self {
            When::Now => "now",
            When::AfterJob => "after-job",
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl TryFrom<Parts> for Scope {
    type Error = ScopeError;

    fn try_from(parts: Parts) -> Result<Scope, ScopeError> {
        let Parts { plugin, worker, release, when } = &parts;
        Scope::read(plugin.as_deref(), worker.as_deref(), release.as_deref(), when.as_deref())
    }
}

impl From<Scope> for Parts {
    fn from(scope: Scope) -> Parts {
        let when = (scope.when == When::AfterJob).then(|| scope.when.word().to_owned());
        Parts { worker: scope.worker(), release: scope.release(), plugin: scope.plugin, when }
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
