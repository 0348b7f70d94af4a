//! The worker's own server, one round after the other:
//!
//! 1. The way to the primary, as the job server tells it.
//! 2. Without whole data they are built, with the job server's permit.
//! 3. The server runs, and copies by that way.
//! 4. It is looked at and judged, and the one step is done that `nightshift_replica::heal` decides.

use std::path::PathBuf;
use std::time::Duration;

use nightshift_replica::Watch;
use nightshift_replica::facts::{self, Patience};
use nightshift_replica::heal::{self, Action, History};
use nightshift_replica::make::Make;
use nightshift_replica::rebuild::{self, DonorError, RebuildError, STALL, rebuild};
use nightshift_replica::server::{self, ENDS_WITHIN, OwnServer, Place, Programs, USUAL_FOLDERS};
use nightshift_replica::verdict::{Expected, Verdict, Whose};
use nightshift_wire::{ReplicaReport, ReplicaState, Replication};

use super::asking::{Asking, Way};
use super::history;
use super::progress::Progress;
use super::{Means, Rounds};
use crate::repository::chain;
use crate::settings::ReplicaServer;

/// Between two looks at a replica that is current.
const QUIET: Duration = Duration::from_secs(5);
/// Between two looks at one that is not.
const BUSY: Duration = Duration::from_secs(1);
/// After something that a person has to change.
const PATIENT: Duration = Duration::from_secs(15);
/// After rebuilds that came to nothing it is never longer until the next.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// With fewer bytes free a server that does not come up lacks room, and its data are not to blame.
const LITTLE_DISK: u64 = 64 << 20;
/// So often in a row the server may fail to come up before its data are built anew.
const MOST_FAILURES: u32 = 3;

const ALL: heal::Means = heal::Means { own_server: true, may_administer: true };

pub(super) struct Own {
    means: Means,
    asking: Asking,
    place: Place,
    server: Option<OwnServer>,
    watch: Option<Watch>,
    history: History,
    primarys: history::History,
    failures: u32,
    /// Rebuilds in a row that were begun and came to nothing.
    vain: u32,
    /// Why it does not copy by the way that the job server tells now.
    not_taken_over: Option<String>,
}

impl Rounds for Own {
    async fn round(&mut self) -> Duration {
        let way = self.asking.way().await;
        match self.go(way).await {
            Ok(pause) => pause,
            Err(Trouble { reason, next, pause, refused }) => {
                tracing::warn!("the replica: {reason}");
                if refused {
                    self.asking.doubt();
                }
                self.watch = None;
                self.means.say(Some(bare(ReplicaState::Away, reason)), next);
                pause
            }
        }
    }

    fn forget(&mut self) {
        self.asking.forget();
        if let Some(watch) = &mut self.watch {
            watch.forget();
        }
    }
}

/// Why a round came to nothing.
struct Trouble {
    reason: String,
    next: &'static str,
    /// Until the next round.
    pause: Duration,
    /// The primary refused the account that the job server told: it may tell another by now.
    refused: bool,
}

impl Trouble {
    fn saying(reason: String, next: &'static str) -> Trouble {
        Trouble { reason, next, pause: PATIENT, refused: false }
    }

    /// Something that passes, or that is tried again.
    fn passing(error: &(dyn std::error::Error + 'static)) -> Trouble {
        Trouble::saying(chain(error), "")
    }

    /// Something that a person has to change; the reason says what.
    fn for_a_person(error: &(dyn std::error::Error + 'static)) -> Trouble {
        Trouble::saying(chain(error), PERSON)
    }

    /// The primary cannot be asked.
    fn of_primary(error: &DonorError) -> Trouble {
        Trouble { refused: error.cure().is_some(), ..Trouble::saying(with_cure(error), PERSON) }
    }
}

/// Why the primary cannot be asked, and what cures that.
pub fn with_cure(error: &DonorError) -> String {
    match error.cure() {
        Some(cure) => format!("{}; {cure}", chain(error)),
        None => chain(error),
    }
}

const PERSON: &str = "the reason says what to change; the worker goes on by itself then";

impl Own {
    pub(super) fn new(means: Means) -> Own {
        let asking = Asking::new(means.client.clone(), means.worker.clone());
        let place = Place::new(means.state.replica());
        let (history, primarys) = (History::default(), history::History::default());
        let (failures, vain, not_taken_over) = (0, 0, None);
        Own { means, asking, place, server: None, watch: None, history, primarys, failures, vain, not_taken_over }
    }

    async fn go(&mut self, way: Way) -> Result<Duration, Trouble> {
        let copied = server::copied(&self.place);
        let way = match way {
            Way::Known(way) => Some(*way),
            // What is there follows as it was told before.
            Way::Unknown(_) | Way::None(_) if copied.is_some() => None,
            Way::Unknown(why) => {
                return Err(Trouble::saying(format!("how to copy the primary: {why}"), ""));
            }
            Way::None(_) => {
                self.means.say(None, "");
                return Ok(PATIENT);
            }
        };
        let server = self.server(way.as_ref()).await?;
        let Some(copied) = copied else {
            let why = match rebuild::under_way(&self.place) {
                Some(marker) if !marker.why.is_empty() => marker.why,
                _ => "there are no data on this machine yet".to_owned(),
            };
            return self.build(&server, way.as_ref(), &why).await;
        };
        let lacking = |way: &Replication| way.schemas.iter().find(|schema| !copied.schemas.contains(schema)).cloned();
        if let Some(schema) = way.as_ref().and_then(lacking) {
            let why = format!("the schema {schema} is to be copied, and was not");
            return self.build(&server, way.as_ref(), &why).await;
        }
        let follows = match self.watch {
            // One that was looked at and is silent now would be waited for as if it came up: the look is what finds that out.
            Some(_) => server.go_on_following().await,
            None => server.follow().await,
        };
        if let Err(error) = follows {
            if let Some(free) = self.place.free().filter(|free| *free < LITTLE_DISK) {
                let reason = format!("{}; its disk has {} MB left: make room there", chain(&error), free >> 20);
                return Err(Trouble::saying(reason, PERSON));
            }
            self.failures += 1;
            if self.failures >= MOST_FAILURES && way.is_some() {
                self.failures = 0;
                let why = format!("its server did not come up {MOST_FAILURES} times in a row: {}", chain(&error));
                return self.build(&server, way.as_ref(), &why).await;
            }
            return Err(Trouble::passing(&error));
        }
        self.failures = 0;
        let mut not_taken_over = None;
        if let Some(way) = &way {
            match rebuild::point_again(&server, way).await {
                Ok(false) => {}
                Ok(true) => tracing::info!("the replica copies {}:{} from now on", way.host, way.port),
                Err(error) => not_taken_over = Some(of_pointing(&error)),
            }
        }
        if let Some(why) = not_taken_over.as_ref().filter(|why| self.not_taken_over.as_ref() != Some(*why)) {
            tracing::warn!("the replica goes on as before: {why}");
        }
        self.not_taken_over = not_taken_over;
        let primary = way.as_ref().and_then(|way| way.primary.clone()).unwrap_or_else(|| copied.primary.clone());
        let schema = copied.schemas.first().map_or("", String::as_str);
        let tables = self.means.needs.tables_in(schema);
        self.look(&server, primary, copied.heartbeat.clone(), tables, way.as_ref()).await
    }

    async fn look(
        &mut self,
        server: &OwnServer,
        primary: String,
        heartbeat: Option<String>,
        tables: std::collections::BTreeSet<String>,
        way: Option<&Replication>,
    ) -> Result<Duration, Trouble> {
        let writers_clock = heartbeat.as_deref().and_then(|table| self.asking.writers_clock(table));
        let mut watch = match self.watch.take() {
            Some(watch) => watch,
            None => {
                let opts = server.keeper_opts().map_err(|error| Trouble::passing(&error))?;
                let needs = facts::Needs { tables, heartbeat };
                let max_behind = self.means.settings.max_behind;
                let expected = Expected { max_behind, whose: Whose::Workers, ..Expected::default() };
                Watch::new(opts, needs, expected, Patience::default())
            }
        };
        watch.expected.primary = Some(primary);
        watch.writer_says(writers_clock);
        let (seen, verdict) = watch.look().await;
        let verdict = self.primarys.judge(&seen, verdict, way).await;
        if matches!(verdict, Verdict::Refused { .. }) {
            self.asking.doubt();
        }
        let mut report = verdict.report(&seen, &watch.expected);
        if let Some(why) = &self.not_taken_over {
            report.reason =
                format!("{}; the way to the primary that the job server tells is not taken: {why}", report.reason);
        }
        let action = self.history.next(&verdict, seen.as_ref().ok(), ALL, watch.elapsed());
        let next = if action == Action::TellPerson { PERSON } else { "" };
        if !matches!(action, Action::Nothing | Action::Wait | Action::TellPerson) {
            tracing::info!("the replica: {}; {}", report.reason, in_words(action));
            report.reason = format!("{}; {}", report.reason, in_words(action));
        }
        let reason = report.reason.clone();
        self.means.say(Some(report), next);
        match action {
            Action::Rebuild => {
                drop(watch);
                return self.build(server, way, &reason).await;
            }
            Action::RestartServer => {
                server.stop(ENDS_WITHIN).await.map_err(|error| Trouble::for_a_person(&error))?;
            }
            Action::NewIdentity => {
                server.renew_identity().await.map_err(|error| Trouble::for_a_person(&error))?;
            }
            action => {
                if let Err(absence) = watch.act(action).await {
                    tracing::warn!("the replica: {} failed: {absence:?}", in_words(action));
                }
                self.watch = Some(watch);
            }
        }
        Ok(match verdict {
            Verdict::Current { .. } => QUIET,
            _ if action == Action::TellPerson => PATIENT,
            _ => BUSY,
        })
    }

    /// Builds the data anew, when the job server permits it.
    async fn build(&mut self, server: &OwnServer, way: Option<&Replication>, why: &str) -> Result<Duration, Trouble> {
        self.watch = None;
        let say = |reason: String| self.means.say(Some(bare(ReplicaState::Rebuilding, reason)), "");
        let Some(way) = way else {
            say(format!("it has to be built anew ({why}), and the job server does not tell how to reach the primary"));
            return Ok(PATIENT);
        };
        let permit = self.asking.permit(why).await;
        if permit.lease_ms.is_none() {
            say(format!("it waits to be built anew ({why}): {}", permit.reason));
            return Ok(Duration::from_millis(permit.ask_again_ms.clamp(1_000, 60_000)));
        }
        say(format!("it is built anew: {why}"));
        let progress = Progress::of(why);
        let built = tokio::select! {
            built = rebuild(server, way, why, STALL, &progress) => built,
            () = self.asking.renew(why, permit) => return Ok(BUSY),
            never = progress.tell(say) => match never {},
        };
        self.asking.built().await;
        self.history = History::default();
        match built {
            Ok(rebuilt) => {
                tracing::info!("the replica was built anew {}, from {}", rebuilt.way.in_words(), rebuilt.position);
                self.vain = 0;
                Ok(Duration::ZERO)
            }
            // It cost nobody anything.
            Err(RebuildError::Donor(error)) => Err(Trouble::of_primary(&error)),
            Err(error @ RebuildError::Unfit(_)) => Err(Trouble::for_a_person(&error)),
            Err(error) => {
                self.vain += 1;
                let pause = pause_after(self.vain);
                let reason = format!("{}; it is tried again in {} s", chain(&error), pause.as_secs());
                Err(Trouble { pause, ..Trouble::saying(reason, PERSON) })
            }
        }
    }

    /// The server, of the make that the data or else the primary are of.
    async fn server(&mut self, way: Option<&Replication>) -> Result<OwnServer, Trouble> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let ReplicaServer::Own { program, memory_mib } = &self.means.settings.server else {
            return Err(Trouble::saying("the replica is not the worker's own".to_owned(), PERSON));
        };
        let kept = server::copied(&self.place).map(|copied| make_of(&copied.primary));
        let make = match (kept, way) {
            (Some(make), _) => make,
            (None, Some(way)) => {
                let donor = rebuild::look(way).await.map_err(|error| Trouble::of_primary(&error))?;
                make_of(&donor.primary)
            }
            (None, None) => {
                return Err(Trouble::saying("nobody knows the primary".to_owned(), ""));
            }
        };
        let folders = USUAL_FOLDERS.map(PathBuf::from);
        let programs = Programs::find(make, program.as_deref(), &folders).await;
        let programs = programs.map_err(|error| Trouble::for_a_person(&error))?;
        let server = OwnServer::new(self.place.clone(), programs, &self.means.worker, *memory_mib);
        let server = server.map_err(|error| Trouble::for_a_person(&error))?;
        // A server that runs on from before may stand in a folder that was made for others to look into.
        let closing = |error| format!("closing {} to others: {error}", self.place.root().display());
        self.place.make().map_err(|error| Trouble::saying(closing(error), PERSON))?;
        self.server = Some(server.clone());
        Ok(server)
    }
}

/// Why a replica cannot be told another way to its primary.
fn of_pointing(error: &RebuildError) -> String {
    match error {
        RebuildError::Donor(error) => with_cure(error),
        error => chain(error),
    }
}

/// How long until the next rebuild after so many in a row that came to nothing: each reads all of the primary's data.
fn pause_after(vain: u32) -> Duration {
    (PATIENT * 2_u32.pow(vain.saturating_sub(1).min(16))).min(LONGEST)
}

/// The make of a primary by its name.
fn make_of(primary: &str) -> Make {
    match primary.strip_prefix(Make::MariaDb.word()) {
        Some(_) => Make::MariaDb,
        None => Make::MySql,
    }
}

/// What is told of a replica that was not looked at.
pub(super) fn bare(state: ReplicaState, reason: String) -> ReplicaReport {
    let nothing = String::new;
    ReplicaReport { state, reason, behind_ms: None, primary: nothing(), gtid: nothing(), server: nothing() }
}

/// A step, as people read it.
pub(super) fn in_words(action: Action) -> &'static str {
    match action {
        Action::Nothing | Action::Wait => "nothing is done about it",
        Action::StartThreads => "its replication is started again",
        Action::SetTimeouts => "it is told to notice a silent primary",
        Action::SetReadOnly => "it is told to take no writes",
        Action::FetchAgain => "what it fetched is fetched again",
        Action::RestartServer => "its server is started again",
        Action::NewIdentity => "it gets an identity of its own",
        Action::Rebuild => "it is to be built anew",
        Action::TellPerson => "somebody has to see to it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebuilds_that_come_to_nothing_read_the_primary_less_and_less_often() {
        let pauses: Vec<u64> = (1..=8).map(|vain| pause_after(vain).as_secs()).collect();
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(pause_after(u32::MAX), LONGEST);
    }
}
