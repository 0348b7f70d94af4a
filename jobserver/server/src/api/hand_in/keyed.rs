//! The same input under the same key makes one batch: whoever comes second answers with the batch of the first.

use std::time::Duration;

use axum::http::StatusCode;
use nightshift_store::{Input, Refusal, StoreError};
use nightshift_wire::{Batch, BatchId, BatchState, code};

use super::incoming::MadeOf;
use super::plan::Plan;
use crate::app::App;
use crate::refused::{Refused, chain, while_doing};

/// So often sealing is tried in all while it is in doubt, and after such a pause: a database that starts again is often there
/// before whoever hands in has lost patience.
const TRIES: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_secs(2);

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

/// Seals a batch whose input is noted, or finds that it was sealed: by somebody else, or by an earlier try of which the store
/// did not say what it came to.
pub(super) async fn seal(app: &App, plan: &Plan, batch: BatchId) -> Result<Batch, Refused> {
    match until_known(TRY_AGAIN, || app.store.seal_batch(batch)).await {
        Err(error) if error.refusal() == Some(&Refusal::NotReceiving(batch)) => {}
        Err(error @ StoreError::Unknown { .. }) => return Err(unknown(plan, &error)),
        sealed => return sealed.map_err(while_doing(|| plan.doing())),
    }
    match app.store.batch(batch).await {
        Ok(sealed) if sealed.state != BatchState::Receiving => Ok(sealed),
        Err(error) if error.refusal().is_none() => Err(unknown(plan, &error)),
        _ => Err(Refused::away(format!(
            "{}: another hand-in with this key was removed just now; hand it in again",
            plan.doing()
        ))),
    }
}

/// Nobody knows whether the batch is sealed.
fn unknown(plan: &Plan, error: &StoreError) -> Refused {
    tracing::warn!("{}: it is not known whether it was done: {}", plan.doing(), chain(error));
    Refused::outcome_unknown(format!(
        "{}: the store was gone before it said whether the batch is handed in; look at the list of batches before trying \
         again",
        plan.doing()
    ))
}

/// Does something that may be done again, until it is known what it came to; for a while. Once that was not known, it is not
/// known as long as the store is away either.
async fn until_known<T, F>(pause: Duration, again: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut told = again().await;
    let mut tries = 1;
    while matches!(told, Err(StoreError::Unknown { .. })) && tries < TRIES {
        tokio::time::sleep(pause).await;
        tries += 1;
        told = match again().await {
            Err(StoreError::Away { .. }) => told,
            known => known,
        };
    }
    told
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What sealing comes to when the store answers like this, one answer after the other, and how many it did not give.
    async fn told(answers: Vec<Result<u32, StoreError>>) -> (Result<u32, StoreError>, usize) {
        let answers = RefCell::new(answers.into_iter());
        let next = || async { answers.borrow_mut().next().expect("not asked again") };
        let told = until_known(Duration::ZERO, next).await;
        (told, answers.into_inner().len())
    }

    fn unknown() -> Result<u32, StoreError> {
        Err(StoreError::Unknown { doing: "sealing", source: "the connection broke".into() })
    }

    fn away() -> Result<u32, StoreError> {
        Err(StoreError::Away { doing: "sealing", source: "the database is gone".into() })
    }

    #[tokio::test]
    async fn what_a_seal_in_doubt_came_to_is_found_out_when_the_store_is_there_again() {
        assert!(matches!(told(vec![unknown(), away(), away(), Ok(7)]).await, (Ok(7), 0)));
        let sealed = Err(Refusal::NotReceiving(3).into());
        assert!(matches!(told(vec![unknown(), sealed]).await, (Err(StoreError::Refused(_)), 0)));
    }

    #[tokio::test]
    async fn a_store_that_stays_away_after_a_seal_in_doubt_is_not_said_to_have_done_nothing() {
        let gone = std::iter::once(unknown()).chain(std::iter::repeat_with(away).take(100));
        assert!(matches!(told(gone.collect()).await, (Err(StoreError::Unknown { .. }), left) if left > 0));
    }

    #[tokio::test]
    async fn a_store_that_is_away_from_the_beginning_has_sealed_nothing() {
        assert!(matches!(told(vec![away(), unknown()]).await, (Err(StoreError::Away { .. }), 1)));
    }
}
