//! What the holder of an attempt does: fetch records, stay alive, hand in results, give back.

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use nightshift_rules::acceptance::NotWanted;
use nightshift_wire::{
    Answer, Answers, AttemptId, GiveBack, GiveBackCause, Heartbeat, Lease, MOST_AT_ONCE, Problem, Receipt, Records,
    Submission, Submissions, code, counted,
};

use super::Shared;
use super::body::{Body, Number, number, query};
use crate::access::Caller;
use crate::app::App;
use crate::refused::{Refused, one_line, while_doing};

#[utoipa::path(get, path = "/v1/attempts/{attempt}/records", operation_id = "records", tag = "work",
    summary = "The records of an attempt's job",
    params(
        ("attempt" = i64, Path, description = "The attempt"),
        ("secret" = String, Query, description = "The attempt's secret"),
        ("column" = Vec<String>, Query, description = "A column that is wanted; repeated for each, in this order, each once"),
    ),
    responses(
        (status = 200, description = "The records, in input order", body = Records),
        (status = 409, description = "The job is no longer this attempt's: `not_wanted`", body = Problem),
        (status = 422, description = "The batch has no such column: `missing_column`", body = Problem)
    )
)]
pub(super) async fn records(State(app): Shared, attempt: Number, uri: Uri) -> Result<Json<Records>, Refused> {
    let attempt = number(attempt, "attempt")?;
    let doing = || format!("fetching the records of attempt {attempt}");
    let mut secret = None;
    let mut columns = Vec::new();
    // An answer has no more in it than the job has.
    let mut named = HashSet::new();
    for (name, value) in query::<Vec<(String, String)>>(&uri)? {
        match name.as_str() {
            "secret" => secret = Some(value),
            "column" if named.insert(value.clone()) => columns.push(value),
            "column" => {
                return Err(Refused::bad_request(format!("{}: the column {value:?} is named twice", doing())));
            }
            other => return Err(Refused::bad_request(format!("{}: the query has an unknown part {other:?}", doing()))),
        }
    }
    let Some(secret) = secret else {
        return Err(Refused::bad_request(format!("{}: the query has no secret", doing())));
    };
    app.store.records(attempt, &secret, &columns).await.map(Json).map_err(while_doing(doing))
}

#[utoipa::path(post, path = "/v1/attempts/{attempt}/heartbeat", operation_id = "heartbeat", tag = "work",
    summary = "A sign of life; renews the attempt's lease",
    params(("attempt" = i64, Path, description = "The attempt")),
    request_body = Heartbeat,
    responses(
        (status = 200, description = "The renewed lease, or why the job is no longer wanted", body = Lease)
    )
)]
pub(super) async fn heartbeat(
    State(app): Shared,
    attempt: Number,
    Body(heartbeat): Body<Heartbeat>,
) -> Result<Json<Lease>, Refused> {
    let attempt = number(attempt, "attempt")?;
    let lease = app.store.heartbeat(attempt, &heartbeat, app.clock.now()).await;
    lease.map(Json).map_err(while_doing(|| format!("renewing the lease of attempt {attempt}")))
}

#[utoipa::path(post, path = "/v1/attempts/{attempt}/results", operation_id = "submit", tag = "work",
    summary = "Hands in all results of an attempt; again is safe",
    params(("attempt" = i64, Path, description = "The attempt")),
    request_body = Submission,
    responses(
        (status = 200, description = "The server has them, durably", body = Receipt),
        (status = 409, description = "The job is no longer this attempt's: `not_wanted`", body = Problem),
        (status = 413, description = "They are too large: `too_large`", body = Problem),
        (status = 422, description = "The results do not match the records one to one: `wrong_results`", body = Problem)
    )
)]
pub(super) async fn submit(
    State(app): Shared,
    attempt: Number,
    Body(submission): Body<Submission>,
) -> Result<Json<Receipt>, Refused> {
    let attempt = number(attempt, "attempt")?;
    if let Some(reason) = app.releases.now().denied(&submission.provenance.release) {
        return turn_down(&app, attempt, &submission, reason).await.map(Json);
    }
    let records = submission.results.len();
    let receipt =
        app.store.submit(attempt, submission, app.clock.now()).await.map_err(while_doing(|| handing_in(attempt)))?;
    note(&app, attempt, &receipt, records);
    Ok(Json(receipt))
}

/// Results of several attempts, each judged by itself; those of another worker's attempts are refused, and only they.
#[utoipa::path(post, path = "/v1/results", operation_id = "submitMany", tag = "work",
    summary = "Hands in the results of several attempts, each judged by itself; again is safe",
    request_body = Submissions,
    responses(
        (status = 200, description = "An answer for each of them, in their order", body = Answers),
        (status = 413, description = "They are too large: `too_large`", body = Problem),
        (status = 503, description = "None of them could be kept: `store_away`", body = Problem)
    )
)]
pub(super) async fn submit_many(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Body(Submissions { submissions }): Body<Submissions>,
) -> Result<Json<Answers>, Refused> {
    if !(1..=MOST_AT_ONCE as usize).contains(&submissions.len()) {
        let detail = format!(
            "handing in the results of {} attempts: send 1 to {MOST_AT_ONCE} submissions at once",
            submissions.len()
        );
        return Err(Refused::bad_request(detail));
    }
    let catalogue = app.releases.now();
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(submissions.len());
    let mut own = Vec::with_capacity(submissions.len());
    for one in submissions {
        let (attempt, submission) = one.into();
        match caller.must_hold(&app.gate, &handing_in(attempt), attempt).await {
            Ok(()) => match catalogue.denied(&submission.provenance.release) {
                Some(reason) => answers.push(Some(match turn_down(&app, attempt, &submission, reason).await {
                    Ok(receipt) => Answer::Receipt(receipt),
                    Err(refused) => Answer::Problem(refused.problem()),
                })),
                None => {
                    own.push((attempt, submission));
                    answers.push(None);
                }
            },
            Err(refused) => answers.push(Some(Answer::Problem(refused.problem()))),
        }
    }
    let sent: Vec<(AttemptId, usize)> =
        own.iter().map(|(attempt, submission)| (*attempt, submission.results.len())).collect();
    let outcomes = app.store.submit_many(own, app.clock.now()).await;
    let mut outcomes = outcomes.into_iter().zip(sent).map(|(outcome, (attempt, records))| match outcome {
        Ok(receipt) => {
            note(&app, attempt, &receipt, records);
            Answer::Receipt(receipt)
        }
        Err(error) => Answer::Problem(Refused::by_store(&handing_in(attempt), &error).problem()),
    });
    let answers: Vec<Answer> = answers.into_iter().filter_map(|answer| answer.or_else(|| outcomes.next())).collect();
    // Whoever hands in again what was accepted after all is told so.
    let passes = [code::STORE_AWAY, code::OUTCOME_UNKNOWN];
    let away = |answer: &Answer| matches!(answer, Answer::Problem(problem) if passes.contains(&problem.code.as_str()));
    if answers.iter().all(away) {
        // The client waits as it does after a single one, and need not have read all the answers.
        let detail = format!(
            "handing in the results of {} attempts: the store cannot be used just now; try again later",
            answers.len()
        );
        return Err(Refused::away(detail));
    }
    Ok(Json(Answers { answers }))
}

/// Refuses what a denied release computed, unless it was accepted before; the job waits again at once.
async fn turn_down(app: &App, attempt: AttemptId, submission: &Submission, reason: &str) -> Result<Receipt, Refused> {
    let Submission { secret, provenance, .. } = submission;
    let release = &provenance.release;
    let answered = app.store.turn_down(attempt, secret, release, reason, app.clock.now()).await;
    if let Some(receipt) = answered.map_err(while_doing(|| handing_in(attempt)))? {
        return Ok(receipt);
    }
    tracing::warn!(attempt, release, "the results of attempt {attempt} are turned down: {release} is denied: {reason}");
    app.work.notify_waiters();
    let denied = NotWanted::ReleaseDenied { release: release.clone(), reason: reason.to_owned() };
    let detail = format!("{}: {denied}; the worker goes back to the release before by itself", handing_in(attempt));
    Err(Refused::new(StatusCode::CONFLICT, code::NOT_WANTED, detail))
}

fn handing_in(attempt: AttemptId) -> String {
    format!("handing in the results of attempt {attempt}")
}

fn note(app: &App, attempt: AttemptId, receipt: &Receipt, records: usize) {
    let job = receipt.job;
    if !receipt.repeated {
        app.rollouts.count(attempt);
        app.metrics.results_accepted.inc_by(records as u64);
    }
    if receipt.repeated {
        tracing::info!(job, attempt, "attempt {attempt} handed in the results of job {job} again");
    } else {
        tracing::info!(
            job,
            attempt,
            records,
            "job {job} is done: {} of attempt {attempt}",
            counted(records as u64, "result")
        );
    }
}

#[utoipa::path(post, path = "/v1/attempts/{attempt}/give-back", operation_id = "giveBack", tag = "work",
    summary = "Ends an attempt without results; again is safe",
    params(("attempt" = i64, Path, description = "The attempt")),
    request_body = GiveBack,
    responses(
        (status = 204, description = "The job waits again, or is quarantined"),
        (status = 409, description = "The job is no longer this attempt's: `not_wanted`", body = Problem)
    )
)]
pub(super) async fn give_back(
    State(app): Shared,
    attempt: Number,
    Body(give_back): Body<GiveBack>,
) -> Result<StatusCode, Refused> {
    let attempt = number(attempt, "attempt")?;
    let given = app.store.give_back(attempt, &give_back, app.clock.now()).await;
    let ended_now = given.map_err(while_doing(|| format!("giving attempt {attempt} back")))?;
    let reason = one_line(&give_back.reason);
    if !ended_now {
        tracing::info!(attempt, "attempt {attempt}, which had ended, is given back: {reason}");
        return Ok(StatusCode::NO_CONTENT);
    }
    match give_back.cause {
        GiveBackCause::Stopped => tracing::info!(attempt, "attempt {attempt} is given back: {reason}"),
        GiveBackCause::Failed => {
            app.rollouts.count(attempt);
            tracing::warn!(attempt, "attempt {attempt} failed: {reason}");
        }
    }
    app.work.notify_waiters();
    Ok(StatusCode::NO_CONTENT)
}
