//! A batch's receipt: what went in, what came out, from which release, and whether anything is missing.
//!
//! 1. Results are counted by release, worker and position of the data in the database, a window of jobs at a time.
//! 2. When the batch is finished, all of it is written as it would be downloaded, counted and digested: the digest is
//!    that of the CSV.
//! 3. The batch is looked at again: counts of two different moments prove nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use nightshift_rules::proof::{Counted, verdict};
use nightshift_wire::{
    Batch, BatchId, BatchReceipt, BatchState, ByPosition, ByRelease, InputReceipt, Problem, ResultsQuery, code,
};
use sha2::{Digest, Sha256};

use super::Shared;
use super::batches::find;
use super::body::{Number, number};
use super::results::{Pieces, Written, refuse_while_it_arrives, window};
use crate::app::App;
use crate::refused::{Refused, while_doing};

#[utoipa::path(get, path = "/v1/batches/{batch}/receipt", operation_id = "receipt", tag = "batches",
    summary = "What went in, what came out, and whether anything is missing",
    params(("batch" = i64, Path, description = "The batch")),
    responses(
        (status = 200, description = "The receipt", body = BatchReceipt),
        (status = 409, description = "It is still arriving, or changed meanwhile: `not_ready`", body = Problem)
    )
)]
pub(super) async fn receipt(State(app): Shared, batch: Number) -> Result<Json<BatchReceipt>, Refused> {
    made(&app, number(batch, "batch")?).await.map(Json)
}

pub(crate) async fn made(app: &App, batch: BatchId) -> Result<BatchReceipt, Refused> {
    let batch = find(app, batch, "making the receipt of").await?;
    let doing = format!("making the receipt of batch {}", batch.id);
    refuse_while_it_arrives(&doing, &batch)?;
    let input = app.store.input(batch.id).await.map_err(while_doing(|| doing.clone()))?;
    let repinned = app.store.repins(batch.id).await.map_err(while_doing(|| doing.clone()))?;
    let releases = by_release(app, &batch).await.map_err(while_doing(|| doing.clone()))?;
    let finished = matches!(batch.state, BatchState::Done | BatchState::Incomplete);
    let written = if finished { Some(write(app, &batch).await.map_err(while_doing(|| doing.clone()))?) } else { None };
    let now = find(app, batch.id, "making the receipt of").await?;
    if finished && now != batch {
        let detail = format!("{doing}: it changed while it was counted; ask again");
        return Err(Refused::new(StatusCode::CONFLICT, code::NOT_READY, detail));
    }

    let results = releases.releases.iter().map(|release| release.results).sum();
    let errors = releases.releases.iter().map(|release| release.errors).sum();
    let counted = match &written {
        Some((found, _)) => Counted {
            handed_in: batch.records,
            records: found.records,
            results: found.results,
            errors: found.errors,
            by_release: results,
        },
        None => Counted { handed_in: batch.records, records: batch.records, results, errors, by_release: results },
    };
    let (in_is_out, verdict) = verdict(batch.state, counted);
    Ok(BatchReceipt {
        batch: batch.id,
        name: batch.name,
        plugin: batch.plugin,
        state: batch.state,
        records: batch.records,
        results: counted.results,
        errors: counted.errors,
        unprocessed: batch.records.saturating_sub(counted.results),
        in_is_out,
        verdict,
        workers: releases.workers,
        by_release: releases.releases,
        by_position: releases.positions,
        position: batch.position,
        repinned,
        input: input.map(|input| InputReceipt {
            digest: input.digest,
            bytes: input.bytes,
            parameters: input.parameters,
            key: input.key,
        }),
        results_digest: written.map(|(_, digest)| digest),
    })
}

/// Who and what computed the results of a batch.
struct Releases {
    releases: Vec<ByRelease>,
    positions: Vec<ByPosition>,
    workers: u64,
}

async fn by_release(app: &App, batch: &Batch) -> Result<Releases, nightshift_store::StoreError> {
    let mut releases: BTreeMap<(String, String), (ByRelease, BTreeSet<String>)> = BTreeMap::new();
    let mut positions: BTreeMap<Option<(String, String)>, u64> = BTreeMap::new();
    let mut from = 0;
    while from < batch.jobs {
        let to = from + window(batch);
        for part in app.store.computed(batch.id, from, to).await? {
            let (sum, workers) = releases.entry((part.release.clone(), part.commit.clone())).or_insert_with(|| {
                let (release, commit) = (part.release, part.commit);
                (ByRelease { release, commit, jobs: 0, results: 0, errors: 0, workers: 0 }, BTreeSet::new())
            });
            sum.jobs += part.jobs;
            sum.results += part.results;
            sum.errors += part.errors;
            workers.insert(part.worker);
            *positions.entry(part.position.map(|at| (at.primary, at.gtid))).or_default() += part.results;
        }
        from = to;
    }
    let all: BTreeSet<&String> = releases.values().flat_map(|(_, workers)| workers).collect();
    let workers = all.len() as u64;
    let releases = releases.into_values().map(|(sum, workers)| ByRelease { workers: workers.len() as u64, ..sum });
    let positions = positions.into_iter().map(|(at, results)| {
        let (primary, position) = at.unzip();
        ByPosition { primary, position, results }
    });
    Ok(Releases { releases: releases.collect(), positions: positions.collect(), workers })
}

/// Writes the results for nobody: what was counted, and the digest.
async fn write(app: &App, batch: &Batch) -> Result<(Written, String), nightshift_store::StoreError> {
    let mut pieces = Pieces::new(Arc::clone(&app.store), batch.clone(), ResultsQuery::default());
    let mut digest = Sha256::new();
    while let Some(text) = pieces.next().await? {
        digest.update(text.as_bytes());
    }
    let digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((pieces.written, digest))
}
