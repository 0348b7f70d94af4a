//! The replica in `doctor`: each fact, the verdict and the next step. Nothing is started or changed; a verdict takes a few looks,
//! because how old data are shows in how the primary's heartbeat moves.

use std::time::Duration;

use mysql_async::Opts;
use nightshift_client::{Client, Timeouts};
use nightshift_engine::Release;
use nightshift_replica::Watch;
use nightshift_replica::facts::{Channel, Facts, Heartbeat, Needs, Patience, Running};
use nightshift_replica::rebuild;
use nightshift_replica::server::{self, Copied, Place};
use nightshift_replica::verdict::{Expected, Verdict, Whose};
use nightshift_wire::{ReplicaReport, ReplicaState, StepReport, code};

use super::{bad, entry, good};
use crate::replica::{self, opts_of, schema_of};
use crate::repository::chain;
use crate::settings::{JobSource, ReplicaServer, Settings};
use crate::status;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// So many may it take until the heartbeat shows how old data are.
const MOST_LOOKS: u32 = 16;

/// Looks at the replica as the plugins of the release in force need it; nothing where the worker has none and wants none.
pub(super) fn check(settings: &Settings, release: Option<&Release>) -> Vec<StepReport> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![bad("replica", error.to_string(), "")],
    };
    let expected = Expected { max_behind: settings.replica.max_behind, ..Expected::default() };
    let needed = release.map(replica::Needs::of).unwrap_or_default();
    match &settings.replica.server {
        ReplicaServer::Nobody => vec![good("replica", "none, as worker.toml says")],
        ReplicaServer::Own { .. } => {
            let place = Place::new(settings.state.replica());
            let (mut checks, found) = of_own(&place, last_report(settings).as_ref());
            if needed.any || found.is_some() {
                let told = runtime.block_on(told(settings));
                checks.extend(told.map(|told| of_primary(told, found.as_ref().map(|(copied, _)| copied), &place)));
            }
            if let Some((copied, opts)) = found {
                let tables = needed.tables_in(copied.schemas.first().map_or("", String::as_str));
                let needs = Needs { heartbeat: copied.heartbeat, tables };
                let expected = Expected { primary: Some(copied.primary), whose: Whose::Workers, ..expected };
                checks.extend(runtime.block_on(look(opts, needs, expected)));
            }
            checks
        }
        ReplicaServer::System { reader, admin, heartbeat } => match opts_of(admin.as_ref().unwrap_or(reader)) {
            Ok(opts) => {
                let tables = needed.tables_in(&schema_of(reader));
                let needs = Needs { heartbeat: Some(heartbeat.clone()), tables };
                runtime.block_on(look(opts, needs, expected))
            }
            Err(reason) => vec![bad("replica", reason, "correct [replica] in worker.toml, or the file it names")],
        },
    }
}

/// What the last cycle told of the replica.
fn last_report(settings: &Settings) -> Option<ReplicaReport> {
    status::read(&settings.state).ok().flatten()?.report.replica
}

/// What the job server tells of the way to the primary, and how the primary takes the account that it names.
enum Told {
    /// No job server, or it tells none: [replication] is missing.
    Nothing(String),
    /// It does not answer, or tells it not to this worker.
    Refused(String),
    /// The primary lets the account in.
    LetsIn {
        primary: String,
        account: String,
        /// The table of the heartbeat, and whether the account can read it.
        heartbeat: Option<(String, bool)>,
    },
    /// The primary cannot be asked by it.
    KeepsOut(String),
}

/// Tries the way to the primary as a cycle would; `None` where there is no job server to tell it.
async fn told(settings: &Settings) -> Option<Told> {
    let JobSource::Servers(urls) = &settings.jobs else { return None };
    let client = Client::with_access(urls.iter().cloned(), Timeouts::all(settings.report_timeout), &entry(settings));
    let way = match client {
        Ok(client) => client.replication().await,
        Err(error) => return Some(Told::Refused(chain(&error))),
    };
    let way = match way {
        Ok(way) => way,
        Err(error) if error.problem().is_some_and(|problem| problem.code == code::NOT_FOUND) => {
            return Some(Told::Nothing(chain(&error)));
        }
        Err(error) => return Some(Told::Refused(chain(&error))),
    };
    Some(match rebuild::look(&way).await {
        Ok(facts) => Told::LetsIn {
            primary: format!("{} at {}:{}", facts.primary, way.host, way.port),
            account: way.user,
            heartbeat: way.heartbeat.map(|table| (table, facts.has_heartbeat)),
        },
        Err(error) => Told::KeepsOut(replica::with_cure(&error)),
    })
}

/// The way to the primary; a replica that has data goes on without it for a while.
fn of_primary(told: Told, data: Option<&Copied>, place: &Place) -> StepReport {
    const WHAT: &str = "replica primary";
    match told {
        Told::Nothing(why) => bad(
            WHAT,
            format!("the job server tells no way to it ({why})"),
            "write [replication] into jobserver.toml; or name a service as url in worker.toml's [replica]; or write server = \
             \"none\" there",
        ),
        Told::Refused(why) if data.is_some() => good(WHAT, format!("the way to it is as it was told before ({why})")),
        Told::Refused(why) => {
            bad(WHAT, format!("the job server does not tell the way to it: {why}"), "see to the job server first")
        }
        Told::KeepsOut(why) => bad(WHAT, why, "as it says; the worker tries again by itself"),
        Told::LetsIn { primary, account, heartbeat: Some((table, false)) } => bad(
            WHAT,
            format!(
                "{primary} lets the copying account {account} in, which cannot read the heartbeat's table {table}: a primary \
                 that hangs is noticed late"
            ),
            "let the job server write that table, and GRANT SELECT on it to the account ([replication] of jobserver.toml); a \
             replica that was copied before that is built anew for it: doctor then says how",
        ),
        Told::LetsIn { primary, account, heartbeat: Some((table, true)) }
            if data.is_some_and(|copied| copied.heartbeat.is_none()) =>
        {
            let next = format!(
                "have the replica built anew: nightshift-worker stop, remove {}, nightshift-worker start",
                place.root().display()
            );
            let found = format!(
                "{primary} lets the copying account {account} read the heartbeat's table {table} now, and the replica was \
                 copied without it: a primary that hangs is noticed late until it is built anew"
            );
            bad(WHAT, found, &next)
        }
        Told::LetsIn { primary, account, .. } => good(WHAT, format!("{primary} lets the copying account {account} in")),
    }
}

/// What is known of the worker's own server without asking it, and how to ask it when it has whole data.
fn of_own(place: &Place, last: Option<&ReplicaReport>) -> (Vec<StepReport>, Option<(Copied, Opts)>) {
    const WHAT: &str = "replica server";
    if let Some(marker) = rebuild::under_way(place) {
        let tried = marker.failed.iter().map(|(way, why)| format!("; {} failed: {why}", way.in_words()));
        let why = match last {
            // How far it is.
            Some(ReplicaReport { state: ReplicaState::Rebuilding, reason, .. }) => reason,
            _ => &marker.why,
        };
        let found = format!("its data are being built anew: {why}{}", tried.collect::<String>());
        return (vec![good(WHAT, found)], None);
    }
    let Some(copied) = server::copied(place) else {
        return (vec![without_data(WHAT, last)], None);
    };
    let what = format!("{} of {}", copied.schemas.join(", "), copied.primary);
    let Some(pid) = server::pid(place) else {
        let next = "the next cycle starts it: nightshift-worker run";
        return (vec![bad(WHAT, format!("does not run; it has {what}"), next)], None);
    };
    let checks = vec![good(WHAT, format!("runs (process {pid}) and copies {what}"))];
    match server::keeper_opts(place) {
        Ok(opts) => (checks, Some((copied, opts))),
        Err(error) => (vec![bad(WHAT, error.to_string(), "run as the user the state folder belongs to")], None),
    }
}

/// There are no data yet, and why, as far as the last cycle knew.
fn without_data(what: &str, last: Option<&ReplicaReport>) -> StepReport {
    match last {
        None => {
            let found = "none yet; one is built when a plugin needs it and the job server tells the way to the primary";
            good(what, found)
        }
        Some(ReplicaReport { state: ReplicaState::Rebuilding, reason, .. }) => {
            good(what, format!("none yet; when last looked at: {reason}"))
        }
        Some(report) => bad(
            what,
            format!("none yet; when last looked at: {}", report.reason),
            "as it says; the worker goes on then",
        ),
    }
}

/// Each fact, and the verdict on them.
async fn look(opts: Opts, needs: Needs, expected: Expected) -> Vec<StepReport> {
    let mut watch = Watch::new(opts, needs, expected, Patience::default());
    let (mut seen, mut verdict) = watch.look().await;
    for _ in 1..MOST_LOOKS {
        if !matches!(verdict, Verdict::Behind { by: None, .. }) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        (seen, verdict) = watch.look().await;
    }
    let report = verdict.report(&seen, &watch.expected);
    let mut checks: Vec<StepReport> = seen.iter().flat_map(facts).collect();
    checks.push(match report.state {
        ReplicaState::Current => good("replica", report.reason),
        _ => bad("replica", report.reason, "as it says; the worker goes on by itself then"),
    });
    checks
}

/// What was seen, one line each.
fn facts(facts: &Facts) -> Vec<StepReport> {
    let on = |is: bool| if is { "on" } else { "off" };
    let heartbeat = match &facts.heartbeat {
        Heartbeat::Row { server, .. } => format!("heartbeat of server {server}"),
        Heartbeat::None(why) => format!("no heartbeat ({why})"),
    };
    let mut lines = vec![good(
        "replica facts",
        format!(
            "{}, server_id {}, read_only {}, GTIDs {}, silent primaries noticed after {} s, {heartbeat}; applied: {}",
            facts.version,
            facts.identity.id,
            on(facts.read_only),
            on(facts.gtids_on),
            facts.net_timeout.as_secs(),
            facts.applied
        ),
    )];
    lines.extend(facts.channels.iter().map(|channel| good("replica threads", in_words(channel))));
    lines
}

fn in_words(channel: &Channel) -> String {
    let thread = |name: &str, running: Running, errno: u32, error: &str| {
        let is = match running {
            Running::Yes => "runs",
            Running::No => "stands still",
            Running::Connecting => "connects",
        };
        let why = if errno == 0 { String::new() } else { format!(" ({errno}: {error})") };
        format!("{name} {is}{why}")
    };
    let primary = channel.primary.as_deref().unwrap_or("a primary it has not reached");
    format!(
        "copies {primary} at {} as {}; {}; {}",
        channel.address,
        channel.user,
        thread("fetching", channel.receiver.running, channel.receiver.errno, &channel.receiver.error),
        thread("applying", channel.applier.running, channel.applier.errno, &channel.applier.error)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: ReplicaState, reason: &str) -> ReplicaReport {
        let nothing = String::new;
        let reason = reason.to_owned();
        ReplicaReport { state, reason, behind_ms: None, primary: nothing(), gtid: nothing(), server: nothing() }
    }

    #[test]
    fn a_replica_that_is_not_there_yet_says_what_the_last_cycle_knew() {
        let none = |last: Option<&ReplicaReport>| without_data("replica server", last);
        assert!(none(None).ok && none(None).found.starts_with("none yet; one is built when a plugin needs it"));
        let refused = none(Some(&report(ReplicaState::Away, "the primary refused the copying account copy")));
        assert!(!refused.ok && refused.found.ends_with("the primary refused the copying account copy"), "{refused:?}");
        let building = none(Some(&report(ReplicaState::Rebuilding, "it is built anew; 16 MB so far")));
        assert!(building.ok && building.found.contains("16 MB"), "{building:?}");
    }

    #[test]
    fn each_thing_that_is_wrong_with_the_way_to_the_primary_has_its_sentence_and_the_place_to_mend_it() {
        let place = Place::new("/var/lib/nightshift/replica");
        let copied = |heartbeat: Option<&str>| Copied {
            primary: "mariadb:7".to_owned(),
            schemas: vec!["company".to_owned()],
            heartbeat: heartbeat.map(str::to_owned),
        };
        let with = copied(Some("nightshift.heartbeat"));
        let said = |told, data| of_primary(told, data, &place);
        let keeps_out = said(Told::KeepsOut("the primary refused it; set it in [replication]".to_owned()), Some(&with));
        assert!(!keeps_out.ok && keeps_out.found.contains("[replication]"), "{keeps_out:?}");
        let nothing = said(Told::Nothing("not found".to_owned()), None);
        assert!(!nothing.ok && nothing.next.contains("[replication] into jobserver.toml"), "{nothing:?}");
        assert!(said(Told::Refused("away".to_owned()), Some(&with)).ok, "it goes on as it was told");
        assert!(!said(Told::Refused("away".to_owned()), None).ok);
        let lets_in = |reads: Option<bool>, data| {
            let heartbeat = reads.map(|reads| ("nightshift.heartbeat".to_owned(), reads));
            said(Told::LetsIn { primary: "mariadb:7 at db:3306".into(), account: "copy".into(), heartbeat }, data)
        };
        assert!(lets_in(None, None).ok && lets_in(Some(true), None).ok && lets_in(Some(true), Some(&with)).ok);
        let unread = lets_in(Some(false), None);
        assert!(
            !unread.ok && unread.found.contains("nightshift.heartbeat") && unread.next.contains("GRANT"),
            "{unread:?}"
        );
        let late = lets_in(Some(true), Some(&copied(None)));
        assert!(!late.ok && late.next.contains("remove /var/lib/nightshift/replica"), "{late:?}");
    }
}
