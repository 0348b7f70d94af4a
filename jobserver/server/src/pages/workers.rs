//! Workers: the list, one of them, and what people decide about it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use nightshift_store::{DAY_MS, HOUR_MS, Refusal, StoreError, WorkerFilter};
use nightshift_wire::{
    Enrolment, EnrolmentDecision, EnrolmentState, Moment, Reason, StatsBy, StatsPer, StatsQuery, StepReport, Worker,
    WorkerChange,
};
use serde::Deserialize;

use super::chart::{self, Svg};
use super::errors::escaped;
use super::frame::{Filled, Frame, Visitor, filled};
use super::live::Snapshot;
use super::statistics::Done;
use super::words::{AWAY_AFTER, ago, at, enrolment_state, grouped, lasting, replica_state, worker_name, worker_state};
use crate::api::{Number, Shared, enrolments, named, query, statistics, workers};
use crate::app::App;
use crate::refused::{Refused, while_doing};
use crate::statistics::stats;

/// Workers on a page.
const AT_ONCE: u32 = 100;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    release: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "workers.html")]
struct List {
    frame: Frame,
    snapshot: Arc<Snapshot>,
    state: String,
    release: String,
    text: String,
    rows: Vec<Row>,
    /// The rest of the query for the next page.
    more: Option<String>,
    is_first: bool,
    /// Those that wait for a person.
    pending: Vec<Pending>,
    /// Those that were let in a moment ago and are still to come.
    awaited: Vec<Awaited>,
}

impl List {
    /// State, how many.
    fn states(&self) -> Vec<(String, String)> {
        self.snapshot.workers.states.iter().map(|(state, workers)| (state.clone(), grouped(*workers))).collect()
    }
}

struct Row {
    path: String,
    id: String,
    name: String,
    state: &'static str,
    reason: String,
    release: String,
    replica: String,
    jobs: String,
    records: String,
    seen: String,
}

impl Row {
    fn new(worker: &Worker, now: Moment) -> Row {
        let report = &worker.report;
        let replica = report.replica.as_ref();
        Row {
            path: escaped(&report.worker),
            id: report.worker.clone(),
            name: worker_name(worker),
            state: worker_state(worker, now),
            reason: worker.drained.as_ref().unwrap_or(&report.reason).clone(),
            release: if report.release.is_empty() { "none".to_owned() } else { report.release.clone() },
            replica: replica.map(|replica| replica_state(replica.state, replica.behind_ms)).unwrap_or_default(),
            jobs: grouped(worker.jobs_done),
            records: grouped(worker.records_done),
            seen: ago(worker.last_seen, now),
        }
    }
}

struct Pending {
    path: String,
    worker: String,
    host: String,
    address: String,
    token: String,
    ago: String,
}

impl Pending {
    fn new(enrolment: &Enrolment, now: Moment) -> Pending {
        Pending {
            path: escaped(&enrolment.worker),
            worker: enrolment.worker.clone(),
            host: enrolment.host.clone(),
            address: enrolment.address.clone(),
            token: enrolment.join_token.clone(),
            ago: ago(enrolment.asked_at, now),
        }
    }
}

/// A worker that was let in and was not heard of since.
struct Awaited {
    worker: String,
    called: String,
    address: String,
    ago: String,
}

impl Awaited {
    /// Later the list of the command line tells of them, which does not look for one at a time.
    const TOLD_FOR: Moment = HOUR_MS;
    const AT_ONCE: usize = 50;

    /// Whether the page looks for it: it was let in, and lately.
    fn may_be(known: &Enrolment, now: Moment) -> bool {
        let is_new = known.decided_at.is_some_and(|decided| now.saturating_sub(decided) < Self::TOLD_FOR);
        is_new && known.state == EnrolmentState::Approved
    }

    async fn among(known: &[Arc<Enrolment>], app: &App, now: Moment) -> Result<Vec<Awaited>, StoreError> {
        let mut awaited = Vec::new();
        for known in known.iter().filter(|known| Self::may_be(known, now)).take(Self::AT_ONCE) {
            match app.store.worker(&known.worker).await {
                Ok(_) => {}
                Err(StoreError::Refused(Refusal::NoSuchWorker(_))) => awaited.push(Awaited::new(known, now)),
                Err(error) => return Err(error),
            }
        }
        Ok(awaited)
    }

    fn new(known: &Enrolment, now: Moment) -> Awaited {
        let Enrolment { worker, name, host, address, .. } = known;
        Awaited {
            worker: worker.clone(),
            called: if name.is_empty() { host } else { name }.clone(),
            address: address.clone(),
            ago: ago(known.decided_at.unwrap_or(now), now),
        }
    }
}

pub(super) async fn list(State(app): Shared, visitor: Visitor, uri: Uri) -> Result<Response, Refused> {
    const DOING: &str = "listing the workers";
    /// More than anybody decides about one by one.
    const PENDING: usize = 50;
    let Asked { state, release, text, after } = query(&uri)?;
    let now = app.clock.now();
    let filter = WorkerFilter {
        shown: filled(&state),
        release: filled(&release),
        text: filled(&text),
        away_before: now.saturating_sub_unsigned(AWAY_AFTER.as_millis() as u64),
    };
    let found = app.store.find_workers(&filter, &after, AT_ONCE).await.map_err(while_doing(|| DOING))?;
    let known = match visitor.can().operate {
        true => app.gate.directory.workers().await.map_err(while_doing(|| DOING))?,
        false => Vec::new(),
    };
    let mut pending: Vec<_> = known.iter().filter(|known| known.state == EnrolmentState::Pending).collect();
    pending.sort_by_key(|known| known.asked_at);
    let full = found.len() == AT_ONCE as usize;
    let more = found.last().filter(|_| full).map(|last| {
        let parts = [("state", &state), ("release", &release), ("text", &text), ("after", &last.report.worker)];
        let parts = parts.iter().filter(|(_, value)| !value.is_empty());
        parts.map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
    });
    super::shown(&List {
        frame: visitor.frame(&app, "Workers", "workers"),
        snapshot: app.live.fresh(&app).await.map_err(while_doing(|| DOING))?,
        rows: found.iter().map(|worker| Row::new(worker, now)).collect(),
        more,
        is_first: after.is_empty(),
        awaited: Awaited::among(&known, &app, now).await.map_err(while_doing(|| DOING))?,
        pending: pending.into_iter().take(PENDING).map(|known| Pending::new(known, now)).collect(),
        state,
        release,
        text,
    })
}

#[derive(Template)]
#[template(path = "worker.html")]
struct One {
    frame: Frame,
    row: Row,
    worker: Worker,
    /// Records of each hour of the last day.
    day: Svg,
    /// What it did in each of the last days, the newest first.
    days: Vec<Done>,
    /// How it stands with its being let in; nothing on an open server.
    enrolment: Option<(&'static str, String)>,
    can_revoke: bool,
    can_decide: bool,
}

impl One {
    fn first_seen(&self) -> String {
        at(self.worker.first_seen)
    }

    fn last_seen(&self) -> String {
        at(self.worker.last_seen)
    }

    fn machine(&self) -> String {
        let machine = self.worker.machine;
        match (machine.memory_mb, machine.disk_mb) {
            (0, 0) => "not described".to_owned(),
            (memory, disk) => format!("{} MB of memory, {} MB of disk free", grouped(memory), grouped(disk)),
        }
    }

    fn tags(&self) -> String {
        self.worker.tags.iter().cloned().collect::<Vec<_>>().join(", ")
    }

    fn plugins(&self) -> String {
        self.worker.plugins.join(", ")
    }

    fn steps(&self) -> &[StepReport] {
        &self.worker.report.steps
    }

    fn jobs_running(&self) -> String {
        grouped(self.worker.jobs_running)
    }

    /// What its replica says, in a sentence.
    fn replica(&self) -> String {
        let Some(replica) = &self.worker.report.replica else { return "none".to_owned() };
        let behind = replica.behind_ms.map(|ms| format!(", {} behind its primary", lasting(ms))).unwrap_or_default();
        let reason = if replica.reason.is_empty() { String::new() } else { format!(": {}", replica.reason) };
        format!("{}{behind}{reason}", replica_state(replica.state, None))
    }
}

pub(super) async fn one(State(app): Shared, visitor: Visitor, worker: Number) -> Result<Response, Refused> {
    let name = named(worker, "worker")?;
    let worker = app.store.worker(&name).await.map_err(while_doing(|| format!("looking at worker {name}")))?;
    let known = match visitor.can().operate {
        true => {
            let known =
                app.gate.directory.workers().await.map_err(while_doing(|| format!("looking at worker {name}")))?;
            known.into_iter().find(|enrolment| enrolment.worker == name)
        }
        false => None,
    };
    let state = known.as_ref().map(|enrolment| enrolment.state);
    let row = Row::new(&worker, app.clock.now());
    let (day, days) = history(&app, &name).await?;
    super::shown(&One {
        frame: visitor.frame(&app, format!("Worker {}", row.name), "workers"),
        row,
        worker,
        day,
        days,
        can_revoke: visitor.can().administer && state == Some(EnrolmentState::Approved),
        can_decide: visitor.can().administer && state == Some(EnrolmentState::Pending),
        enrolment: known.map(|enrolment| (enrolment_state(enrolment.state), enrolment.reason.clone())),
    })
}

/// What a worker did: each hour of the last day, drawn, and each of the last days.
async fn history(app: &App, worker: &str) -> Result<(Svg, Vec<Done>), Refused> {
    const DAYS: Moment = 14;
    let now = app.clock.now();
    let doing = || statistics::refused("looking what the worker did");
    let asked = |since: Moment, per| StatsQuery {
        since: Some(since),
        until: None,
        per,
        by: StatsBy::None,
        worker: Some(worker.to_owned()),
        against: None,
    };
    let since = chart::day_begins(now);
    let hours = stats(&*app.store, &asked(since, StatsPer::Hour), now).await.map_err(doing())?;
    let done: Vec<_> = hours.rows.iter().map(|hour| (hour.begin, hour.records, hour.errors)).collect();
    let day = chart::over_time(&done, since, now, HOUR_MS, "Records per hour of the last day");
    let days = stats(&*app.store, &asked(now - DAYS * DAY_MS, StatsPer::Day), now).await.map_err(doing())?;
    Ok((day, days.rows.iter().rev().map(|row| Done::new(row, StatsPer::Day)).collect()))
}

#[derive(Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub(super) enum Act {
    Drain {
        #[serde(default)]
        reason: String,
    },
    Resume,
    Name {
        #[serde(default)]
        name: String,
    },
    Tags {
        /// With commas or blanks between them.
        #[serde(default)]
        tags: String,
    },
}

pub(super) async fn act(
    State(app): Shared,
    visitor: Visitor,
    worker: Number,
    Filled(act): Filled<Act>,
) -> Result<Response, Refused> {
    let worker = named(worker, "worker")?;
    let change = match act {
        Act::Drain { reason } => WorkerChange::Drain(Reason { reason }),
        Act::Resume => WorkerChange::Resume,
        Act::Name { name } => WorkerChange::Name(name),
        Act::Tags { tags } => {
            let tags = tags.split([',', ' ']).map(str::trim).filter(|tag| !tag.is_empty());
            WorkerChange::Tags(tags.map(ToOwned::to_owned).collect())
        }
    };
    workers::change_worker(&app, &visitor.caller, &worker, change).await?;
    Ok(super::on_to(&format!("/workers/{}", escaped(&worker))))
}

#[derive(Deserialize)]
pub(super) struct Decision {
    act: Decide,
    #[serde(default)]
    name: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decide {
    Approve,
    Refuse,
    Revoke,
}

pub(super) async fn decide(
    State(app): Shared,
    visitor: Visitor,
    worker: Number,
    Filled(Decision { act, name, reason }): Filled<Decision>,
) -> Result<Response, Refused> {
    let worker = named(worker, "worker")?;
    let decision = match act {
        Decide::Approve => EnrolmentDecision::Approve { name: filled(&name) },
        Decide::Refuse => EnrolmentDecision::Refuse { reason },
        Decide::Revoke => EnrolmentDecision::Revoke { reason },
    };
    enrolments::decide_about(&app, &visitor.caller, &worker, decision).await?;
    Ok(super::on_to("/workers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_looked_for_within_an_hour_of_being_let_in() {
        let decided = |state, decided_at| Enrolment {
            worker: "w".to_owned(),
            name: String::new(),
            host: "pc-1".to_owned(),
            machine: "m".to_owned(),
            address: "127.0.0.1".to_owned(),
            asked_at: 0,
            join_token: "office".to_owned(),
            state,
            reason: String::new(),
            decided_at,
            decided_by: None,
        };
        let now = 2 * HOUR_MS;
        let looked_for = |state, decided_at| Awaited::may_be(&decided(state, decided_at), now);
        assert!(looked_for(EnrolmentState::Approved, Some(HOUR_MS + 1)));
        assert!(!looked_for(EnrolmentState::Approved, Some(HOUR_MS)), "for an hour");
        assert!(!looked_for(EnrolmentState::Revoked, Some(now)));
        assert!(!looked_for(EnrolmentState::Pending, None));
    }
}
