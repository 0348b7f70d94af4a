//! Jobs: found by a filter, changed many at a time after their number was shown, and one with its story.

mod filter;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use nightshift_store::{Counts, StoreError};
use nightshift_wire::{
    ActionReport, ActionRequest, Attempt, BatchId, Explanation, Job, JobAction, JobEdit, JobFilter, JobHistory, JobId,
    JobPage, JobState, Moment, Requirements, code,
};
use serde::Deserialize;

use super::chart::{self, Svg};
use super::errors::escaped;
use super::frame::{Filled, Frame, Visitor, filled};
use super::names::Names;
use super::words::{ago, at, attempt_state, between, counted, grouped, lasting};
use crate::api::{Number, Shared, jobs, number, query};
use crate::app::App;
use crate::refused::{Refused, while_doing};
use filter::{Filter, STATES};

/// Jobs on a page.
const AT_ONCE: u32 = 50;

/// Where a page of jobs begins.
#[derive(Deserialize)]
struct Asked {
    from: Option<JobId>,
}

struct Row {
    id: JobId,
    batch: BatchId,
    seq: u64,
    plugin: String,
    state: &'static str,
    reason: String,
    records: String,
    pickups: u32,
    worker: String,
    worker_path: String,
    /// What people call the worker, when that is not its identity.
    called: String,
    when: String,
}

impl Row {
    fn new(job: &Job, now: Moment, names: &Names) -> Row {
        let when = match (job.finished_at, job.started_at) {
            (Some(end), _) => format!("done {}", ago(end, now)),
            (None, Some(start)) => format!("begun {}", ago(start, now)),
            (None, None) => String::new(),
        };
        let worker = job.worker.clone().unwrap_or_default();
        Row {
            id: job.id,
            batch: job.batch,
            seq: job.seq + 1,
            plugin: job.plugin.clone(),
            state: job.state.word(),
            reason: job.reason.clone(),
            records: grouped(job.records),
            pickups: job.pickups,
            worker_path: escaped(&worker),
            called: names.of(&worker),
            worker,
            when,
        }
    }
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct List {
    frame: Frame,
    filter: Filter,
    query: String,
    rows: Vec<Row>,
    next: Option<JobId>,
    is_first: bool,
    plugins: Vec<String>,
    can_change: bool,
}

impl List {
    #[expect(clippy::unused_self, reason = "the template asks the page")]
    fn states(&self) -> [&'static str; 6] {
        STATES.map(JobState::word)
    }
}

pub(super) async fn list(State(app): Shared, visitor: Visitor, uri: Uri) -> Result<Response, Refused> {
    const DOING: &str = "listing jobs";
    let Asked { from } = query(&uri)?;
    let filter: Filter = query(&uri)?;
    let mut chosen = filter.read(DOING)?;
    visitor.caller.narrow(&app.gate, DOING, &mut chosen).await?;
    let page = find(&app, &chosen, from.unwrap_or(0)).await.map_err(while_doing(|| DOING))?;
    let now = app.clock.now();
    let can = visitor.can();
    let names = Names::of_all(&app, can, page.jobs.iter().filter_map(|job| job.worker.as_deref())).await;
    super::shown(&List {
        frame: visitor.frame(&app, "Jobs", "jobs"),
        query: filter.written(),
        rows: page.jobs.iter().map(|job| Row::new(job, now, &names)).collect(),
        next: page.next,
        is_first: from.is_none(),
        plugins: app.releases.now().plugins.keys().cloned().collect(),
        // An owner changes the jobs of one batch.
        can_change: can.hand_in
            && (can.operate || chosen.batch.is_some())
            && filter.read(DOING)? != JobFilter::default(),
        filter,
    })
}

/// Jobs of a filter. No job is looked at where the counters of the batches say that none is in that state.
async fn find(app: &App, filter: &JobFilter, from: JobId) -> Result<JobPage, StoreError> {
    let there = match (filter.state, filter.batch) {
        (Some(state), Some(batch)) => match app.store.batch(batch).await {
            Ok(batch) => in_state(
                state,
                &Counts {
                    jobs_waiting: batch.jobs_waiting,
                    jobs_running: batch.jobs_running,
                    jobs_done: batch.jobs_done,
                    jobs_quarantined: batch.jobs_quarantined,
                    jobs_suspended: batch.jobs_suspended,
                    jobs_deleted: batch.jobs_deleted,
                    workers: 0,
                },
            ),
            Err(error) if error.refusal().is_some() => 0,
            Err(error) => return Err(error),
        },
        (Some(state), None) => in_state(state, &app.store.counts(Moment::MAX).await?),
        (None, _) => u64::MAX,
    };
    if there == 0 {
        return Ok(JobPage { jobs: Vec::new(), next: None });
    }
    app.store.find_jobs(filter, from, AT_ONCE).await
}

/// How many jobs are in a state.
fn in_state(state: JobState, counts: &Counts) -> u64 {
    match state {
        JobState::Receiving => u64::MAX,
        JobState::Waiting => counts.jobs_waiting,
        JobState::Running => counts.jobs_running,
        JobState::Done => counts.jobs_done,
        JobState::Quarantined => counts.jobs_quarantined,
        JobState::Suspended => counts.jobs_suspended,
        JobState::Deleted => counts.jobs_deleted,
    }
}

#[derive(Deserialize)]
pub(super) struct Act {
    act: String,
    #[serde(default)]
    reason: String,
    /// Whether the number was seen.
    #[serde(default)]
    confirmed: String,
    /// Of an edit: what was there when the form was made.
    #[serde(default)]
    revision: String,
    #[serde(default)]
    priority: String,
    #[serde(default)]
    new_plugin: String,
    #[serde(default)]
    memory_mb: String,
    #[serde(default)]
    disk_mb: String,
    #[serde(default)]
    tags: String,
    #[serde(default)]
    min_release: String,
    #[serde(default)]
    batch: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    plugin: String,
    #[serde(default)]
    worker: String,
    #[serde(default)]
    release: String,
    #[serde(default)]
    id: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    frame: Frame,
    act: &'static str,
    words: String,
    filter: Filter,
    query: String,
    reason: String,
    report: ActionReport,
}

impl Confirm {
    /// As a sentence begins.
    fn act_in_words(&self) -> &'static str {
        match self.act {
            "suspend" => "Suspend",
            "resume" => "Resume",
            "retry" => "Retry",
            _ => "Delete",
        }
    }

    fn jobs(&self) -> String {
        counted(self.report.changed, "job")
    }

    fn others(&self) -> String {
        grouped(self.report.matched.saturating_sub(self.report.changed))
    }
}

pub(super) async fn act(State(app): Shared, visitor: Visitor, Filled(form): Filled<Act>) -> Result<Response, Refused> {
    const DOING: &str = "changing jobs";
    let (word, action) = match form.act.as_str() {
        "suspend" => ("suspend", JobAction::Suspend),
        "resume" => ("resume", JobAction::Resume),
        "retry" => ("retry", JobAction::Retry),
        "delete" => ("delete", JobAction::Delete),
        "edit" => return edit(&app, &visitor, &form).await,
        other => return Err(Refused::bad_request(format!("{DOING}: {other:?} is nothing that is done to jobs"))),
    };
    let Act { reason, confirmed, batch, state, plugin, worker, release, id, .. } = form;
    let filter = Filter { batch, state, plugin, worker, release, id };
    let dry_run = confirmed != "yes";
    let request = ActionRequest { action, filter: filter.read(DOING)?, reason: reason.clone(), dry_run };
    let report = jobs::change(&app, &visitor.caller, request).await?;
    if !dry_run {
        return Ok(super::on_to(&back(&filter)));
    }
    super::shown(&Confirm {
        frame: visitor.frame(&app, format!("{word} jobs"), "jobs"),
        act: word,
        words: filter.in_words(),
        query: filter.written(),
        filter,
        reason,
        report,
    })
}

/// Where to go on after jobs were changed: to the one, or to the list of what they were and are no more.
fn back(filter: &Filter) -> String {
    if !filter.id.is_empty() {
        return format!("/jobs/{}", escaped(filter.id.trim()));
    }
    let stays = Filter { state: String::new(), ..filter.clone() };
    format!("/jobs?{}", stays.written())
}

/// Edits one job, unless somebody else changed it since the form was made.
async fn edit(app: &Arc<App>, visitor: &Visitor, form: &Act) -> Result<Response, Refused> {
    const DOING: &str = "editing a job";
    let wrong = |what: &str| Refused::bad_request(format!("{DOING}: {what}"));
    let id: JobId = form.id.trim().parse().map_err(|_| wrong("its number is written in digits"))?;
    let doing = || format!("editing job {id}");
    // Whose it is comes first: nobody hears of another's.
    let mut own = JobFilter { ids: vec![id], ..JobFilter::default() };
    visitor.caller.narrow(&app.gate, DOING, &mut own).await?;
    let found = app.store.find_jobs(&own, 0, 1).await.map_err(while_doing(doing))?;
    let job = found.jobs.into_iter().next().ok_or_else(|| Refused::not_found(format!("there is no job {id}")))?;
    if job.revision.to_string() != form.revision {
        let detail = format!(
            "{}: somebody changed it since you opened the page (it is at revision {} now); nothing was changed, look at it \
             again",
            doing(),
            job.revision
        );
        return Err(Refused::new(StatusCode::CONFLICT, code::NOT_WANTED, detail));
    }
    let whole = |what: &str, text: &str| match filled(text) {
        None => Ok(0),
        Some(text) => text.parse().map_err(|_| wrong(&format!("{what} is a whole number of MB, not {text:?}"))),
    };
    let tags = form.tags.split([',', ' ']).map(str::trim).filter(|tag| !tag.is_empty());
    let asked = Requirements {
        memory_mb: whole("memory", &form.memory_mb)?,
        disk_mb: whole("disk", &form.disk_mb)?,
        tags: tags.map(ToOwned::to_owned).collect(),
        release: filled(&form.min_release),
    };
    let priority: Option<i32> = filled(&form.priority)
        .map(|text| text.parse().map_err(|_| wrong(&format!("a priority is a whole number, not {text:?}"))))
        .transpose()?;
    let edit = JobEdit {
        priority: priority.filter(|priority| *priority != job.priority),
        requirements: Some(asked).filter(|asked| *asked != job.requirements),
        plugin: filled(&form.new_plugin).filter(|plugin| *plugin != job.plugin),
    };
    if edit != JobEdit::default() {
        let filter = JobFilter { ids: vec![id], batch: Some(job.batch), ..JobFilter::default() };
        let reason = form.reason.clone();
        let request = ActionRequest { action: JobAction::Edit(edit), filter, reason, dry_run: false };
        let report = jobs::change(app, &visitor.caller, request).await?;
        if let Some(unchanged) = report.unchanged.first() {
            let detail = format!("{}: {}", doing(), unchanged.why);
            return Err(Refused::new(StatusCode::CONFLICT, code::NOT_WANTED, detail));
        }
    }
    Ok(super::on_to(&format!("/jobs/{id}")))
}

#[derive(Template)]
#[template(path = "job.html")]
struct One {
    frame: Frame,
    row: Row,
    job: Job,
    attempts: Vec<AttemptRow>,
    timeline: Svg,
    explanation: Option<Explanation>,
    position: String,
    plugins: Vec<String>,
    can_change: bool,
}

struct AttemptRow {
    id: i64,
    revision: u32,
    state: &'static str,
    reason: String,
    worker: String,
    worker_path: String,
    called: String,
    release: String,
    commit: String,
    began: String,
    lasted: String,
    work: String,
    data: String,
}

impl AttemptRow {
    fn new(attempt: &Attempt, now: Moment, names: &Names) -> AttemptRow {
        AttemptRow {
            id: attempt.id,
            revision: attempt.revision,
            state: attempt_state(attempt.state),
            reason: attempt.reason.clone(),
            worker: attempt.worker.clone(),
            worker_path: escaped(&attempt.worker),
            called: names.of(&attempt.worker),
            release: attempt.release.clone(),
            commit: attempt.commit.chars().take(10).collect(),
            began: at(attempt.started_at),
            lasted: between(attempt.started_at, attempt.ended_at.unwrap_or(now)),
            work: attempt.work_ms.map(lasting).unwrap_or_default(),
            data: attempt.position.as_ref().map(|at| format!("{} at {}", at.primary, at.gtid)).unwrap_or_default(),
        }
    }
}

impl One {
    fn tags(&self) -> String {
        self.job.requirements.tags.iter().cloned().collect::<Vec<_>>().join(", ")
    }

    fn min_release(&self) -> &str {
        self.job.requirements.release.as_deref().unwrap_or_default()
    }
}

pub(super) async fn one(State(app): Shared, visitor: Visitor, job: Number) -> Result<Response, Refused> {
    let id = number(job, "job")?;
    let found = app.store.job(id).await.map_err(while_doing(|| format!("looking at job {id}")))?;
    let JobHistory { job, position, attempts } = found;
    let explanation = match job.state {
        JobState::Waiting => Some(jobs::explained(&app, id).await?),
        _ => None,
    };
    let now = app.clock.now();
    let names = Names::of_all(&app, visitor.can(), attempts.iter().map(|attempt| attempt.worker.as_str())).await;
    super::shown(&One {
        frame: visitor.frame(&app, format!("Job {id}"), "jobs"),
        row: Row::new(&job, now, &names),
        timeline: chart::timeline(&attempts, now),
        attempts: attempts.iter().map(|attempt| AttemptRow::new(attempt, now, &names)).collect(),
        explanation,
        position: position.map(|at| format!("{} at {}", at.primary, at.gtid)).unwrap_or_default(),
        plugins: app.releases.now().plugins.keys().cloned().collect(),
        can_change: visitor.can().hand_in,
        job,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query_and_words_and_what_is_empty_is_in_neither() {
        let filter = Filter { batch: "7".to_owned(), state: "quarantined".to_owned(), ..Filter::default() };
        assert_eq!(filter.written(), "batch=7&state=quarantined");
        assert_eq!(filter.in_words(), "quarantined jobs of batch 7");
        assert_eq!(back(&filter), "/jobs?batch=7");
        let read = filter.read("testing").expect("a filter");
        assert_eq!((read.batch, read.state), (Some(7), Some(JobState::Quarantined)));
        assert!(Filter::default().read("testing").expect("empty").is_empty());
    }

    #[test]
    fn a_filter_that_cannot_be_read_chooses_nothing() {
        for (batch, state) in [("seven", ""), ("", "lost"), ("7;", "")] {
            let filter = Filter { batch: batch.to_owned(), state: state.to_owned(), ..Filter::default() };
            assert!(filter.read("testing").is_err(), "{batch} {state}");
        }
    }
}
