//! The replica in `doctor`: each fact, the verdict and the next step. Nothing is started or changed; a verdict takes a few looks,
//! because how old data are shows in how the primary's heartbeat moves.

use std::time::Duration;

use mysql_async::Opts;
use nightshift_engine::Release;
use nightshift_replica::Watch;
use nightshift_replica::facts::{Channel, Facts, Heartbeat, Needs, Patience, Running};
use nightshift_replica::rebuild;
use nightshift_replica::server::{self, Copied, Place};
use nightshift_replica::verdict::{Expected, Verdict};
use nightshift_wire::{ReplicaState, StepReport};

use super::{bad, good};
use crate::replica::{self, opts_of, schema_of};
use crate::settings::{ReplicaServer, Settings};

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
            let (mut checks, found) = of_own(&place);
            if let Some((copied, opts)) = found {
                let tables = needed.tables_in(copied.schemas.first().map_or("", String::as_str));
                let needs = Needs { heartbeat: copied.heartbeat, tables };
                let expected = Expected { primary: Some(copied.primary), ..expected };
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

/// What is known of the worker's own server without asking it, and how to ask it when it has whole data.
fn of_own(place: &Place) -> (Vec<StepReport>, Option<(Copied, Opts)>) {
    const WHAT: &str = "replica server";
    if let Some(marker) = rebuild::under_way(place) {
        let tried = marker.failed.iter().map(|(way, why)| format!("; {} failed: {why}", way.in_words()));
        let found = format!("its data are being built anew: {}{}", marker.why, tried.collect::<String>());
        return (vec![good(WHAT, found)], None);
    }
    let Some(copied) = server::copied(place) else {
        let found = "none yet; one is built when a plugin needs it and the job server tells the way to the primary";
        return (vec![good(WHAT, found)], None);
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
