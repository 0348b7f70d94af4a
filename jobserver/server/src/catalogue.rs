//! What a hand-in needs to know of the newest believed release: its plugins and the grid's settings for jobs.
//!
//! Looking is a chore ([`crate::chores::look`]); requests read the last catalogue, and a hand-in may ask for a fresh
//! look first, so that a release cut a moment ago counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightshift_manifest::held::Promotion;
use nightshift_manifest::plugin::{DataSource, PluginManifest};
use nightshift_manifest::rollout::Holds;
use nightshift_manifest::sampled::Sampled;
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::stop::StopFlag;
use nightshift_manifest::version::ReleaseVersion;
use nightshift_rules::sizing::Measured;
use nightshift_store::KnownRelease;
use nightshift_wire::Requirements;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::clock::deadline;

/// The longest a request waits for a fresh look; then the last one has to do.
const FRESH_WITHIN: Duration = Duration::from_secs(5);

/// A plugin as far as a hand-in is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offered {
    /// Columns it needs, in order.
    pub inputs: Vec<String>,
    /// Columns it adds, in order.
    pub outputs: Vec<String>,
    /// What it asks of the workers that run it.
    pub requirements: Requirements,
    /// Data tables it reads.
    pub tables: Vec<String>,
    /// Whether it reads them on workers' replicas.
    pub on_replica: bool,
    /// How fast it did its own samples; nothing when its release does not say.
    pub samples: Measured,
}

/// What the newest believed release offers, and how the repository is.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// Tag of the release; absent when there is none.
    pub release: Option<String>,
    /// Why there is none, or what is wrong with the repository; empty when all is well.
    pub problem: String,
    /// The commit of the control branch that was seen last; absent when none was.
    pub control: Option<String>,
    /// What the stop flags say, while there are some.
    pub stopped: Option<String>,
    /// What `rollout.toml` holds back.
    pub holds: Holds,
    /// The releases that were believed since the one before, lowest version first, and the one that is offered, last: all
    /// of them may spread.
    pub known: Vec<KnownRelease>,
    /// Its rings that signed tags opened early.
    pub promotions: Vec<Promotion>,
    /// Each of them; when there is none although `stopped` says something, that stops everything.
    pub stops: Vec<StopFlag>,
    /// The plugins by name.
    pub plugins: BTreeMap<String, Offered>,
    /// The grid's settings.
    pub settings: GridSettings,
}

/// A plugin nobody has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlugin {
    /// There is no release, and so there are no plugins.
    #[error("no release is known yet ({problem}); make one with `nightshift release cut 1.0.0`")]
    NoRelease {
        /// Why.
        problem: String,
    },
    /// The release has others.
    #[error("release {release} has no plugin {name:?}; it has {others}")]
    Unknown {
        /// The release's tag.
        release: String,
        /// The plugin asked for.
        name: String,
        /// The plugins it has.
        others: String,
    },
}

impl Catalogue {
    /// A catalogue without a release.
    pub fn empty(problem: impl Into<String>) -> Catalogue {
        Catalogue {
            release: None,
            problem: problem.into(),
            control: None,
            stopped: None,
            holds: Holds::default(),
            known: Vec::new(),
            promotions: Vec::new(),
            stops: Vec::new(),
            plugins: BTreeMap::new(),
            settings: GridSettings::default(),
        }
    }

    /// What a release offers; `sampled` is how fast its plugins did their samples.
    pub fn of(
        tag: String,
        plugins: Vec<PluginManifest>,
        settings: GridSettings,
        sampled: &BTreeMap<String, Sampled>,
    ) -> Catalogue {
        let plugins = plugins.into_iter().map(|plugin| {
            let inputs = plugin.input.into_keys().collect();
            let outputs = plugin.output.into_keys().collect();
            let requires = plugin.requires;
            let requirements = Requirements {
                memory_mb: requires.memory_mb,
                disk_mb: requires.disk_mb,
                tags: requires.tags,
                release: requires.release.map(|release| release.to_string()),
            };
            let on_replica = plugin.source == DataSource::Replica;
            let Sampled { records, work_ms } = sampled.get(&plugin.name).copied().unwrap_or_default();
            let samples = Measured { records, work_ms };
            (plugin.name, Offered { inputs, outputs, requirements, tables: plugin.tables, on_replica, samples })
        });
        Catalogue { release: Some(tag), plugins: plugins.collect(), settings, ..Catalogue::empty("") }
    }

    /// Id of the release's tag.
    pub fn release_id(&self) -> Option<&str> {
        let offered = self.known.last().filter(|known| Some(&known.tag) == self.release.as_ref());
        offered.map(|known| known.tag_id.as_str())
    }

    /// Why a release is denied, when it is.
    pub fn denied(&self, tag: &str) -> Option<&str> {
        self.holds.denied(ReleaseVersion::parse_tag(tag).ok()?)
    }

    /// The plugin of this name.
    ///
    /// # Errors
    /// When there is none; says what there is.
    pub fn plugin(&self, name: &str) -> Result<&Offered, NoPlugin> {
        let Some(release) = &self.release else {
            let problem = if self.problem.is_empty() { "the repository has none" } else { &self.problem };
            return Err(NoPlugin::NoRelease { problem: problem.to_owned() });
        };
        self.plugins.get(name).ok_or_else(|| NoPlugin::Unknown {
            release: release.clone(),
            name: name.to_owned(),
            others: match self.plugins.keys().map(String::as_str).collect::<Vec<_>>().join(", ") {
                names if names.is_empty() => "none".to_owned(),
                names => names,
            },
        })
    }
}

/// A wish for a fresh look, answered when it is done.
pub type LookWish = oneshot::Sender<()>;

/// When the repository was really seen last.
#[derive(Debug)]
pub(crate) struct Seen {
    last: Mutex<Option<Instant>>,
    /// Longer ago than this is too long.
    patience: Duration,
}

impl Seen {
    pub(crate) fn never(patience: Duration) -> Arc<Seen> {
        Arc::new(Seen { last: Mutex::new(None), patience })
    }

    pub(crate) fn note(&self, now: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn missed(&self, now: Instant) -> Option<String> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = last else { return Some("it has not been seen since the server began".to_owned()) };
        let ago = now.saturating_duration_since(last);
        (ago > self.patience).then(|| format!("it was seen last {} s ago", ago.as_secs()))
    }
}

/// The last catalogue, and the way to a fresher one.
#[derive(Debug, Clone)]
pub struct Releases {
    current: watch::Receiver<Arc<Catalogue>>,
    wishes: Option<mpsc::Sender<LookWish>>,
    seen: Option<Arc<Seen>>,
}

impl Releases {
    /// A catalogue that somebody else keeps current; nobody looks on demand.
    pub fn kept(current: watch::Receiver<Arc<Catalogue>>) -> Releases {
        Releases { current, wishes: None, seen: None }
    }

    /// A catalogue kept by a chore that answers wishes.
    pub(crate) fn looked_after(
        current: watch::Receiver<Arc<Catalogue>>,
        wishes: mpsc::Sender<LookWish>,
        seen: Arc<Seen>,
    ) -> Releases {
        Releases { current, wishes: Some(wishes), seen: Some(seen) }
    }

    /// Why the repository counts as out of sight, when it does.
    pub(crate) fn unseen(&self) -> Option<String> {
        self.seen.as_ref()?.missed(deadline(Duration::ZERO))
    }

    /// The catalogue as it was at the last look.
    pub(crate) fn now(&self) -> Arc<Catalogue> {
        Arc::clone(&self.current.borrow())
    }

    /// The catalogue after a look that begins now; the last one when that takes too long.
    pub async fn fresh(&self) -> Arc<Catalogue> {
        if let Some(wishes) = &self.wishes {
            let (wish, granted) = oneshot::channel();
            let look = async { wishes.send(wish).await.is_ok() && granted.await.is_ok() };
            if tokio::time::timeout(FRESH_WITHIN, look).await.is_err() {
                tracing::warn!("a look at the repository takes long; going on with what the last one found");
            }
        }
        self.now()
    }

    /// Returns when there is another catalogue; never when nobody keeps it any more.
    pub(crate) async fn changed(&mut self) {
        if self.current.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_out_of_sight_until_it_was_seen_and_when_that_is_long_ago() {
        let (seen, now) = (Seen::never(Duration::from_secs(60)), deadline(Duration::ZERO));
        assert_eq!(seen.missed(now).as_deref(), Some("it has not been seen since the server began"));
        seen.note(now);
        assert_eq!(seen.missed(now + Duration::from_secs(60)), None);
        assert_eq!(seen.missed(now + Duration::from_secs(61)).as_deref(), Some("it was seen last 61 s ago"));
    }

    #[test]
    fn a_plugin_nobody_has_is_refused_with_what_there_is() {
        let error = Catalogue::empty("the repository has no release").plugin("x").expect_err("none");
        assert_eq!(
            error.to_string(),
            "no release is known yet (the repository has no release); make one with `nightshift release cut 1.0.0`"
        );
        let offered = Offered::default();
        let plugins = BTreeMap::from([("a".to_owned(), offered.clone()), ("b".to_owned(), offered)]);
        let catalogue = Catalogue { release: Some("v1.0.0".to_owned()), plugins, ..Catalogue::empty("") };
        assert!(catalogue.plugin("b").is_ok());
        let error = catalogue.plugin("c").expect_err("none");
        assert_eq!(error.to_string(), "release v1.0.0 has no plugin \"c\"; it has a, b");
    }
}
