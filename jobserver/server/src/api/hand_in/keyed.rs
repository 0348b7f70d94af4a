//! The same input under the same key makes one batch: whoever comes second answers with the batch of the first.

use axum::http::StatusCode;
use nightshift_store::{Input, Refusal};
use nightshift_wire::{Batch, BatchId, BatchState, code};

use super::incoming::MadeOf;
use super::plan::Plan;
use crate::app::App;
use crate::refused::{Refused, while_doing};

/// The batch a key stands for, when it was made of the same; it may need to be sealed, because the hand-in that noted it
/// is about to do so, or its server died just then.
pub(super) async fn answer(
    app: &App,
    plan: &Plan,
    (batch, input): (BatchId, &Input),
    made_of: &MadeOf,
) -> Result<Batch, Refused> {
    if let Some(other) = difference(plan, input, made_of) {
        let key = plan.key.as_deref().unwrap_or_default();
        let detail = format!(
            "{}: key {key:?} stands for batch {batch}, {other}; nothing is stored, hand it in under another key",
            plan.doing()
        );
        return Err(Refused::new(StatusCode::CONFLICT, code::KEY_REUSED, detail));
    }
    let batch = seal(app, plan, batch).await?;
    tracing::info!(batch = batch.id, "batch {} was handed in again under its key; nothing is stored", batch.id);
    Ok(batch)
}

fn difference(plan: &Plan, before: &Input, now: &MadeOf) -> Option<String> {
    if before.digest != now.digest {
        return Some(format!("which was made of other bytes (SHA-256 {}, these are {})", before.digest, now.digest));
    }
    (before.parameters != plan.parameters)
        .then(|| format!("which was asked for otherwise ({}, now {})", before.parameters, plan.parameters))
}

/// Seals a batch whose input is noted, or finds that somebody else did.
pub(super) async fn seal(app: &App, plan: &Plan, batch: BatchId) -> Result<Batch, Refused> {
    match app.store.seal_batch(batch).await {
        Err(error) if error.refusal() == Some(&Refusal::NotReceiving(batch)) => {}
        sealed => return sealed.map_err(while_doing(|| plan.doing())),
    }
    match app.store.batch(batch).await {
        Ok(sealed) if sealed.state != BatchState::Receiving => Ok(sealed),
        Err(error) if error.refusal().is_none() => Err(Refused::by_store(&plan.doing(), &error)),
        _ => Err(Refused::away(format!(
            "{}: another hand-in with this key was removed just now; hand it in again",
            plan.doing()
        ))),
    }
}
