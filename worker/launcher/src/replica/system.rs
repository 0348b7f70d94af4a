//! A replica that is a service of the machine: looked at with the administering account where worker.toml names one, else with
//! the plugins' own; healed as far as that account may, and never built anew by the worker.
//!
//! A service that does not answer is asked for by a file, which the helper that comes with the package waits for as root.

use std::fs;
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder};
use nightshift_replica::Watch;
use nightshift_replica::facts::{self, Absence, Patience};
use nightshift_replica::heal::{self, Action, History};
use nightshift_replica::server::Place;
use nightshift_replica::verdict::{Expected, Verdict};
use nightshift_wire::ReplicaState;

use super::asking::{Asking, Way};
use super::history;
use super::own::{bare, in_words};
use super::{Means, Rounds};
use crate::clock;
use crate::settings::{ReplicaAt, ReplicaServer};

/// Between two looks.
const QUIET: Duration = Duration::from_secs(5);
const BUSY: Duration = Duration::from_secs(1);
const PATIENT: Duration = Duration::from_secs(15);
/// The helper is asked no more often.
const ASKED_EVERY: u64 = 5 * 60_000;

pub(super) struct System {
    means: Means,
    asking: Asking,
    watch: Option<Watch>,
    history: History,
    primarys: history::History,
    asked: Option<u64>,
}

impl Rounds for System {
    async fn round(&mut self) -> Duration {
        let ReplicaServer::System { reader, admin, heartbeat } = self.means.settings.server.clone() else {
            return PATIENT;
        };
        let mut watch = match self.watch.take() {
            Some(watch) => watch,
            None => match self.watch(admin.as_ref().unwrap_or(&reader), &reader, heartbeat.clone()) {
                Ok(watch) => watch,
                Err(reason) => {
                    let next = "correct [replica] in worker.toml, or the file that it names";
                    self.means.say(Some(bare(ReplicaState::Away, reason)), next);
                    return PATIENT;
                }
            },
        };
        let way = match self.asking.way().await {
            Way::Known(way) => Some(*way),
            Way::Unknown(_) | Way::None(_) => None,
        };
        if let Some(way) = &way {
            watch.expected.primary.clone_from(&way.primary);
        }
        watch.writer_says(self.asking.writers_clock(&heartbeat));
        let (seen, verdict) = watch.look().await;
        let verdict = self.primarys.judge(&seen, verdict, way.as_ref()).await;
        let means = heal::Means { own_server: false, may_administer: admin.is_some() };
        let action = self.history.next(&verdict, seen.as_ref().ok(), means, watch.elapsed());
        let mut report = verdict.report(&seen, &watch.expected);
        let mut next = if action == Action::TellPerson { "see to the replica as its reason says" } else { "" };
        if let Verdict::Away(Absence::Unreachable(_) | Absence::Silent(..)) = &verdict
            && self.ask_for_a_restart()
        {
            next = "start the database service; where the package's helper is enabled, it was asked to";
        }
        if !matches!(action, Action::Nothing | Action::Wait | Action::TellPerson) {
            tracing::info!("the replica: {}; {}", report.reason, in_words(action));
            report.reason = format!("{}; {}", report.reason, in_words(action));
        }
        self.means.say(Some(report), next);
        if let Err(absence) = watch.act(action).await {
            tracing::warn!("the replica: {} failed: {absence:?}", in_words(action));
        }
        self.watch = Some(watch);
        match (verdict, action) {
            (Verdict::Current { .. }, _) => QUIET,
            (_, Action::TellPerson) => PATIENT,
            _ => BUSY,
        }
    }

    fn forget(&mut self) {
        self.asking.forget();
        if let Some(watch) = &mut self.watch {
            watch.forget();
        }
    }
}

impl System {
    pub(super) fn new(means: Means) -> System {
        let asking = Asking::new(means.client.clone(), means.worker.clone());
        let (history, primarys) = (History::default(), history::History::default());
        System { means, asking, watch: None, history, primarys, asked: None }
    }

    fn watch(&self, at: &ReplicaAt, reader: &ReplicaAt, heartbeat: String) -> Result<Watch, String> {
        let opts = opts(at)?;
        let tables = self.means.needs.tables_in(&schema_of(reader));
        let expected = Expected { max_behind: self.means.settings.max_behind, ..Expected::default() };
        Ok(Watch::new(opts, facts::Needs { tables, heartbeat: Some(heartbeat) }, expected, Patience::default()))
    }

    /// Asks the helper to start the service again, now and then; whether it was asked.
    fn ask_for_a_restart(&mut self) -> bool {
        let now = clock::since_start();
        if self.asked.is_none_or(|asked| now.saturating_sub(asked) >= ASKED_EVERY) {
            let place = Place::new(self.means.state.replica());
            let asked = place.make().and_then(|()| fs::write(place.root().join("restart"), "asked\n"));
            match asked {
                Ok(()) => self.asked = Some(now),
                Err(error) => tracing::warn!("asking for the database service: {error}"),
            }
        }
        self.asked.is_some()
    }
}

/// The schema that plugins read.
pub fn schema_of(reader: &ReplicaAt) -> String {
    let opts = Opts::from_url(&reader.address).ok();
    opts.and_then(|opts| opts.db_name().map(ToOwned::to_owned)).unwrap_or_default()
}

/// How a server is reached, with the password from its file.
///
/// # Errors
/// What is wrong with the address or the file.
pub fn opts(at: &ReplicaAt) -> Result<Opts, String> {
    let opts =
        Opts::from_url(&at.address).map_err(|_| "worker.toml's [replica] has no address of a server".to_owned())?;
    let password = match &at.password_file {
        None => None,
        Some(file) => match fs::read_to_string(file) {
            Ok(password) => Some(password.trim().to_owned()),
            Err(error) => return Err(format!("reading {}: {error}", file.display())),
        },
    };
    Ok(OptsBuilder::from_opts(opts).pass(password).into())
}
