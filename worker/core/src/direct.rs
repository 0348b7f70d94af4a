//! Job control by the store itself, without a job server between: claim, records, heartbeat, submit, give back.
//!
//! Off by default (`allow_direct` in worker.toml), because every worker then has a database account that can change jobs.
//! Job servers go on taking batches in, taking back what workers lost and showing how it all stands. A worker that is
//! not connected connects at its next request; every moment is the database's. Where a job server would wait for work
//! to come up, the store is asked now and then, never by all workers at once.

use std::time::Duration;

use async_trait::async_trait;
use nightshift_store::mysql::{Address, Limits, MysqlStore};
use nightshift_store::{Refusal, Store, StoreError};
use nightshift_wire::{AttemptId, Claim, ClaimRequest, GiveBack, Heartbeat, Lease, Problem, Receipt, code};
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::clock::Stopwatch;
use crate::control::{ControlError, Fetched, Finished, JobControl};
use crate::retry;

/// Between two looks for work.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Job control by a store in MySQL or MariaDB.
#[derive(Debug)]
pub struct DirectControl {
    address: Address,
    store: OnceCell<MysqlStore>,
    look_every: Duration,
}

impl DirectControl {
    /// Job control by the store at `address`; nothing is connected yet.
    pub fn new(address: Address) -> DirectControl {
        DirectControl { address, store: OnceCell::new(), look_every: LOOK_EVERY }
    }

    /// The same, which looks for work so often.
    #[must_use]
    pub fn looking_every(self, look_every: Duration) -> DirectControl {
        DirectControl { look_every, ..self }
    }

    async fn store(&self) -> Result<&MysqlStore, ControlError> {
        let join = || MysqlStore::join(&self.address, Limits::default());
        self.store.get_or_try_init(join).await.map_err(|error| ControlError::Away(Box::new(error)))
    }
}

#[async_trait]
impl JobControl for DirectControl {
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ControlError> {
        let (wait, asked) = (Duration::from_millis(request.wait_ms), Stopwatch::start());
        let store = self.store().await?;
        loop {
            let now = store.moment().await?;
            if let Some(claim) = store.claim(request, now).await?.into_iter().next() {
                return Ok(Some(claim));
            }
            let left = wait.saturating_sub(asked.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            sleep(retry::wait(1, self.look_every, self.look_every, fastrand::f64()).min(left)).await;
        }
    }

    async fn records(&self, claim: &Claim, columns: &[String]) -> Result<Fetched, ControlError> {
        Ok(self.store().await?.records(claim.attempt, &claim.secret, columns).await?.into())
    }

    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat) -> Result<Lease, ControlError> {
        let store = self.store().await?;
        let now = store.moment().await?;
        Ok(store.heartbeat(attempt, heartbeat, now).await?)
    }

    async fn submit(&self, attempt: AttemptId, finished: &Finished) -> Result<Receipt, ControlError> {
        let store = self.store().await?;
        let now = store.moment().await?;
        Ok(store.submit(attempt, finished.submission(), now).await?)
    }

    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack) -> Result<(), ControlError> {
        let store = self.store().await?;
        let now = store.moment().await?;
        Ok(store.give_back(attempt, give_back, now).await?)
    }

    /// The database's protocol is not ours to pace.
    fn cap_bulk(&self, bytes_per_second: Option<u64>) {
        if bytes_per_second.is_some() {
            tracing::warn!("the bandwidth of nightshift.toml does not hold for a store that is used directly");
        }
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => ControlError::Refused(problem(&refusal)),
            error @ StoreError::Away { .. } => ControlError::Away(Box::new(error)),
            error @ StoreError::Fault { .. } => ControlError::Failing(Box::new(error)),
        }
    }
}

/// A refusal as a job server would put it.
fn problem(refusal: &Refusal) -> Problem {
    let (status, code) = match refusal {
        Refusal::NoSuchAttempt(_) => (404, code::NOT_FOUND),
        Refusal::WrongSecret(_) => (403, code::WRONG_SECRET),
        Refusal::NotWanted(_) => (409, code::NOT_WANTED),
        Refusal::OtherPrimary(_) => (409, code::OTHER_PRIMARY),
        Refusal::WrongResults(_) => (422, code::WRONG_RESULTS),
        Refusal::MissingColumn { .. } => (422, code::MISSING_COLUMN),
        _ => (400, code::BAD_REQUEST),
    };
    Problem { code: code.to_owned(), status, detail: refusal.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_refuses_means_what_it_means_over_http() {
        for (refusal, expected) in [
            (Refusal::NoSuchAttempt(7), code::NOT_FOUND),
            (Refusal::WrongSecret(7), code::WRONG_SECRET),
            (Refusal::MissingColumn { column: "n".into(), columns: "m".into() }, code::MISSING_COLUMN),
        ] {
            match ControlError::from(StoreError::from(refusal)) {
                ControlError::Refused(problem) => assert_eq!(problem.code, expected),
                other => panic!("{other:?}"),
            }
        }
        let source = || "the cable is cut".into();
        let away = StoreError::Away { doing: "claiming", source: source() };
        assert!(matches!(ControlError::from(away), ControlError::Away(_)));
        let fault = StoreError::Fault { doing: "claiming", source: source() };
        assert!(matches!(ControlError::from(fault), ControlError::Failing(_)));
    }
}
