//! Statistics of the grid, and the baselines they are compared with.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use nightshift_wire::{Baseline, BaselineOffice, NewBaseline, Problem, Stats, StatsQuery, access_code, code};

use super::Shared;
use super::body::{Body, Number, named, query};
use super::tokens::check_name;
use crate::access::Caller;
use crate::acts;
use crate::app::App;
use crate::refused::{Refused, one_line, while_doing};
use crate::statistics::{NoStatistics, Time, grid_figures, stats};

/// More baselines than this are nobody's any more.
const MOST_BASELINES: usize = 1_000;
const RECORDING: &str = "recording a baseline";

#[utoipa::path(get, path = "/v1/stats", operation_id = "stats", tag = "grid",
    summary = "What was done in each hour or day, by whom, and how workers spent the time",
    params(StatsQuery),
    responses(
        (status = 200, description = "The statistics; with `against`, compared with that baseline", body = Stats),
        (status = 404, description = "There is no such baseline: `not_found`", body = Problem)
    )
)]
pub(super) async fn read(State(app): Shared, uri: Uri) -> Result<Json<Stats>, Refused> {
    let asked: StatsQuery = query(&uri)?;
    let told = stats(&*app.store, &asked, app.clock.now()).await;
    told.map(Json).map_err(refused("reading the statistics"))
}

#[utoipa::path(get, path = "/v1/baselines", operation_id = "baselines", tag = "grid",
    summary = "The baselines that times can be compared with, by name",
    responses(
        (status = 200, description = "The baselines", body = Vec<Baseline>)
    )
)]
pub(super) async fn all(State(app): Shared) -> Result<Json<Vec<Baseline>>, Refused> {
    app.store.baselines().await.map(Json).map_err(while_doing(|| "listing the baselines"))
}

#[utoipa::path(post, path = "/v1/baselines", operation_id = "recordBaseline", tag = "grid",
    summary = "Records what was done in a time under a name, so that later times are compared with it",
    request_body = NewBaseline,
    responses(
        (status = 201, description = "The baseline", body = Baseline),
        (status = 409, description = "The name is taken: `name_taken`", body = Problem)
    )
)]
pub(super) async fn record(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<NewBaseline>,
) -> Result<(StatusCode, Json<Baseline>), Refused> {
    check_name(RECORDING, &wanted.name)?;
    wanted.office.map_or(Ok(()), check_office)?;
    let now = app.clock.now();
    let time = Time::new(wanted.since, wanted.until, now).map_err(refused(RECORDING))?;
    let figures = grid_figures(&*app.store, time).await.map_err(refused(RECORDING))?;
    if figures.hours == 0 {
        let detail =
            format!("{RECORDING}: no results were accepted in this time; let the grid work first, or say another time");
        return Err(Refused::bad_request(detail));
    }
    let baseline = Baseline {
        name: wanted.name,
        recorded_at: now,
        recorded_by: caller.name().to_owned(),
        since: time.since,
        until: time.until.min(now),
        figures,
        office: wanted.office,
    };
    keep(&app, &baseline).await?;
    tracing::info!("{} recorded the baseline {}", caller.name(), baseline.name);
    acts::note(&app, &caller, format!("recorded the baseline {}", baseline.name), "").await;
    Ok((StatusCode::CREATED, Json(baseline)))
}

async fn keep(app: &App, baseline: &Baseline) -> Result<(), Refused> {
    if app.store.baselines().await.map_err(while_doing(|| RECORDING))?.len() >= MOST_BASELINES {
        let detail = format!("{RECORDING}: there are {MOST_BASELINES} already; remove some");
        return Err(Refused::new(StatusCode::CONFLICT, code::BAD_REQUEST, detail));
    }
    match app.store.note_baseline(baseline).await.map_err(while_doing(|| RECORDING))? {
        true => Ok(()),
        false => {
            let detail = format!(
                "{RECORDING}: there is a baseline {} already; remove it first, or take another name",
                baseline.name
            );
            Err(Refused::new(StatusCode::CONFLICT, access_code::NAME_TAKEN, detail))
        }
    }
}

fn check_office(office: BaselineOffice) -> Result<(), Refused> {
    const DAY_MS: u64 = 24 * 3_600_000;
    let BaselineOffice { pcs, speed_per_mille, idle_ms } = office;
    let wrong = match () {
        () if !(1..=1_000_000).contains(&pcs) => "`pcs` is from 1 to 1,000,000",
        () if !(1..=100_000).contains(&speed_per_mille) => "`speed_per_mille` is from 1 to 100,000",
        () if !(60_000..=DAY_MS).contains(&idle_ms) => "`idle_ms` is from a minute to a day",
        () => return Ok(()),
    };
    Err(Refused::bad_request(format!("{RECORDING}: in `office` {wrong}")))
}

#[utoipa::path(delete, path = "/v1/baselines/{baseline}", operation_id = "removeBaseline", tag = "grid",
    summary = "Removes a baseline",
    params(("baseline" = String, Path, description = "Its name")),
    responses(
        (status = 204, description = "It is gone")
    )
)]
pub(super) async fn remove(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    baseline: Number,
) -> Result<StatusCode, Refused> {
    let name = named(baseline, "baseline")?;
    if !app.store.remove_baseline(&name).await.map_err(while_doing(|| "removing a baseline"))? {
        return Err(Refused::not_found(format!("there is no baseline {:?}", one_line(&name))));
    }
    acts::note(&app, &caller, format!("removed the baseline {name}"), "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// How a request for statistics that cannot be had is refused.
pub(crate) fn refused(doing: &'static str) -> impl Fn(NoStatistics) -> Refused {
    move |none| match none {
        NoStatistics::Store(error) => while_doing(|| doing)(error),
        NoStatistics::NoBaseline(name) => Refused::not_found(NoStatistics::NoBaseline(one_line(&name)).to_string()),
        wrong => Refused::bad_request(format!("{doing}: {wrong}")),
    }
}
