//! Jobs as admins see and change them: found by a filter, one with its attempts, explained, and changed many at a time.
//!
//! A change of many jobs goes in steps of some hundred, each a transaction of its own, so that claims and submissions go
//! on in between. It goes on when who asked for it is gone. A server that ends leaves the rest as it was; the same request
//! again goes on with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use nightshift_rules::{action, explain};
use nightshift_store::JobChange;
use nightshift_wire::{
    ActionReport, ActionRequest, Batch, BatchId, Explanation, JobAction, JobEdit, JobFilter, JobHistory, JobId,
    JobPage, JobQuery, Problem, code, counted,
};

use super::Shared;
use super::body::{Body, Number, number, query};
use super::requirements;
use crate::access::Caller;
use crate::acts;
use crate::app::{App, to_its_end};
use crate::catalogue::Offered;
use crate::refused::{Refused, one_line, while_doing};
use crate::stops;

const DOING: &str = "changing jobs";
/// The most jobs a list shows at once.
const LISTED: u32 = 1000;
/// So many jobs can be named one by one when they shall have another plugin.
const JOBS_LOOKED_AT: usize = 1000;
/// So many jobs can be named one by one; each step of a change looks through all of them.
const MOST_IDS: usize = 10_000;
/// So many jobs that an action left as they are are named in its report.
const UNCHANGED_NAMED: usize = 100;

#[utoipa::path(get, path = "/v1/jobs", operation_id = "findJobs", tag = "jobs",
    summary = "Jobs by number; an owner sees those of its own batches",
    params(JobQuery),
    responses(
        (status = 200, description = "Some of them, and where to go on", body = JobPage)
    )
)]
pub(super) async fn find(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<JobPage>, Refused> {
    const DOING: &str = "listing jobs";
    let asked: JobQuery = query(&uri)?;
    let limit = asked.limit.unwrap_or(LISTED).clamp(1, LISTED);
    let mut filter = asked.filter();
    caller.narrow(&app.gate, DOING, &mut filter).await?;
    let found = app.store.find_jobs(&filter, asked.from.unwrap_or(0), limit).await;
    found.map(Json).map_err(while_doing(|| DOING))
}

#[utoipa::path(get, path = "/v1/jobs/{job}", operation_id = "job", tag = "jobs",
    summary = "A job with every attempt at it",
    params(("job" = i64, Path, description = "The job")),
    responses(
        (status = 200, description = "The job", body = JobHistory)
    )
)]
pub(super) async fn one(State(app): Shared, job: Number) -> Result<Json<JobHistory>, Refused> {
    let job = number(job, "job")?;
    app.store.job(job).await.map(Json).map_err(while_doing(|| format!("looking at job {job}")))
}

#[utoipa::path(get, path = "/v1/jobs/{job}/explain", operation_id = "explainJob", tag = "jobs",
    summary = "Why a job stands where it stands",
    params(("job" = i64, Path, description = "The job")),
    responses(
        (status = 200, description = "Why", body = Explanation)
    )
)]
pub(super) async fn explain(State(app): Shared, job: Number) -> Result<Json<Explanation>, Refused> {
    let job = number(job, "job")?;
    explained(&app, job).await.map(Json)
}

pub(crate) async fn explained(app: &App, job: JobId) -> Result<Explanation, Refused> {
    let facts = app.store.explain(job).await.map_err(while_doing(|| format!("explaining job {job}")))?;
    let catalogue = app.releases.now();
    let flags = stops::all(&catalogue, &app.stops.now());
    let (stopped, plugin_stopped) = stops::everywhere(&flags, &facts.job.plugin);
    let offered = catalogue.plugin(&facts.job.plugin);
    let on_replica = offered.as_ref().is_ok_and(|plugin| plugin.on_replica);
    let no_plugin = offered.err().map(|why| why.to_string());
    let facts = explain::Facts {
        job: &facts.job,
        no_plugin: no_plugin.as_deref(),
        on_replica,
        stopped: stopped.as_deref(),
        plugin_stopped: plugin_stopped.as_deref(),
        batch_suspended: facts.batch_suspended.as_deref(),
        ahead: facts.ahead,
        workers: &facts.workers,
    };
    Ok(explain::explain(&facts, app.clock.now()))
}

#[utoipa::path(post, path = "/v1/jobs/actions", operation_id = "changeJobs", tag = "jobs",
    summary = "Does something to every job that a filter chooses, or says what it would do",
    request_body = ActionRequest,
    responses(
        (status = 200, description = "What it did, or would do", body = ActionReport),
        (status = 422, description = "No release has the plugin of an edit, or the plugin of an edit or a retry does not fit the batch: `unknown_plugin`, `missing_column`", body = Problem)
    )
)]
pub(super) async fn act(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<ActionRequest>,
) -> Result<Json<ActionReport>, Refused> {
    change(&app, &caller, request).await.map(Json)
}

pub(crate) async fn change(app: &Arc<App>, caller: &Caller, request: ActionRequest) -> Result<ActionReport, Refused> {
    let (app, caller) = (Arc::clone(app), caller.clone());
    to_its_end(DOING, async move { change_all(&app, &caller, request).await }).await
}

async fn change_all(app: &App, caller: &Caller, mut request: ActionRequest) -> Result<ActionReport, Refused> {
    caller.must_name_jobs(DOING, &request)?;
    caller.narrow(&app.gate, DOING, &mut request.filter).await?;
    check(app, &request).await?;
    let ActionRequest { action, filter, reason, dry_run } = request;
    let said = one_line(&reason);
    let shown = match action {
        JobAction::Suspend | JobAction::Delete => caller.reason(&action.to_string(), &said),
        JobAction::Resume | JobAction::Retry | JobAction::Edit(_) => said.clone(),
    };
    let change = JobChange { action, filter, reason: shown, dry_run };
    let mut report = ActionReport::default();
    let mut from = Some(0);
    let mut halted = Ok(());
    while let Some(at) = from {
        let step = app.store.change_jobs(&change, at, app.clock.now()).await;
        let step = match step.map_err(while_doing(|| format!("changing jobs, after {} of them", report.changed))) {
            Ok(step) => step,
            Err(refused) => {
                halted = Err(refused);
                break;
            }
        };
        report.matched += step.matched;
        report.changed += step.changed;
        let room = UNCHANGED_NAMED - report.unchanged.len();
        report.unchanged.extend(step.unchanged.into_iter().take(room));
        from = step.next;
    }
    if !dry_run && report.changed > 0 {
        let did = in_words(&change, &report);
        tracing::warn!("{} {did}{}", caller.name(), because(&said));
        app.work.notify_waiters();
        acts::note(app, caller, did, &said).await;
    }
    halted.map(|()| report)
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(", because {reason}") }
}

/// What was done, in one line.
fn in_words(change: &JobChange, report: &ActionReport) -> String {
    let JobChange { action, filter, .. } = change;
    let ActionReport { matched, changed, .. } = report;
    match changed == matched {
        true => format!("{action} {} {filter}", counted(*changed, "job")),
        false => format!("{action} {changed} of {} {filter}", counted(*matched, "job")),
    }
}

/// Refuses what would mean every job there is or names too many, and edits that no worker could ever meet.
async fn check(app: &App, request: &ActionRequest) -> Result<(), Refused> {
    let wrong = |what: String| Err(Refused::bad_request(format!("{DOING}: {what}")));
    if request.filter.is_empty() {
        return wrong("the filter is empty; name ids, or a batch, state, plugin, release or worker".to_owned());
    }
    if request.filter.ids.len() > MOST_IDS {
        let named = request.filter.ids.len();
        return wrong(format!(
            "{named} jobs are named, and {MOST_IDS} may be; choose them by what they have in common"
        ));
    }
    let edit = match &request.action {
        JobAction::Edit(edit) => edit,
        JobAction::Retry => return check_retry(app, &request.filter).await,
        JobAction::Suspend | JobAction::Resume | JobAction::Delete => return Ok(()),
    };
    if *edit == JobEdit::default() {
        return wrong("the edit changes nothing; name a priority, requirements or a plugin".to_owned());
    }
    if let Err(problem) = edit.requirements.as_ref().map_or(Ok(()), requirements::check) {
        return wrong(problem);
    }
    if let Some(plugin) = &edit.plugin {
        let catalogue = app.releases.fresh().await;
        let offered = catalogue.plugin(plugin).map_err(|error| {
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code::UNKNOWN_PLUGIN, format!("{DOING}: {error}"))
        })?;
        for batch in batches_of(app, &request.filter).await? {
            check_columns(app, batch, plugin, offered).await?;
        }
    }
    Ok(())
}

/// Refuses to process jobs anew by a plugin that needs other columns now than their batch has. One that no release has
/// any more may come back: its jobs wait.
async fn check_retry(app: &App, filter: &JobFilter) -> Result<(), Refused> {
    let mut plugins: BTreeSet<(BatchId, String)> = BTreeSet::new();
    let mut from = Some(0);
    while let Some(at) = from {
        let page = app.store.find_jobs(filter, at, LISTED).await.map_err(while_doing(|| DOING))?;
        let retried = page.jobs.into_iter().filter(|job| action::judge(job.state, &JobAction::Retry, true).is_ok());
        plugins.extend(retried.map(|job| (job.batch, job.plugin)));
        from = page.next;
    }
    let catalogue = app.releases.fresh().await;
    for (batch, plugin) in plugins {
        if let Ok(offered) = catalogue.plugin(&plugin) {
            check_columns(app, batch, &plugin, offered).await?;
        }
    }
    Ok(())
}

async fn check_columns(app: &App, batch: BatchId, plugin: &str, offered: &Offered) -> Result<(), Refused> {
    let batch = app.store.batch(batch).await.map_err(while_doing(|| format!("{DOING} of batch {batch}")))?;
    fits(&batch, plugin, offered).map_err(|problem| {
        Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code::MISSING_COLUMN, format!("{DOING}: {problem}"))
    })
}

/// The batches of the jobs that shall have another plugin: the one that is named, or those of the jobs that are.
async fn batches_of(app: &App, filter: &JobFilter) -> Result<BTreeSet<BatchId>, Refused> {
    if let Some(batch) = filter.batch {
        return Ok([batch].into());
    }
    if filter.ids.is_empty() || filter.ids.len() > JOBS_LOOKED_AT {
        return Err(Refused::bad_request(format!(
            "{DOING}: a plugin has to take what a batch has; name the batch, or at most {JOBS_LOOKED_AT} jobs"
        )));
    }
    let mut batches = BTreeSet::new();
    for job in &filter.ids {
        let found = app.store.job(*job).await.map_err(while_doing(|| format!("{DOING}: looking at job {job}")))?;
        batches.insert(found.job.batch);
    }
    Ok(batches)
}

/// Whether a plugin takes the columns of a batch and gives those that its results have.
fn fits(batch: &Batch, plugin: &str, offered: &Offered) -> Result<(), String> {
    let missing = |wanted: &[String], there: &[String]| -> Vec<String> {
        wanted.iter().filter(|column| !there.contains(column)).cloned().collect()
    };
    let inputs = missing(&offered.inputs, &batch.columns);
    let outputs = missing(&batch.outputs, &offered.outputs);
    match (inputs.is_empty(), outputs.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("{plugin} needs {}, and batch {} has no such column", inputs.join(", "), batch.id)),
        (true, false) => Err(format!(
            "the results of batch {} have {}, which {plugin} does not give; hand the records in again for it",
            batch.id,
            outputs.join(", ")
        )),
    }
}
