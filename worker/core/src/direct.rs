//! Job control by the store itself, without a job server between: claim, records, heartbeat, submit, give back.
//!
//! Off by default (`allow_direct` in worker.toml), because every worker then has a database account that can change jobs.
//! Job servers go on taking batches in, taking back what workers lost and showing how it all stands. A worker that is
//! not connected connects at its next request; every moment is the database's. Where a job server would wait for work
//! to come up, the store is asked now and then, never by all workers at once. What operators stopped at a job server stands in
//! the store too, and is honoured at each look.
//!
//! What a job server knows from the repository is not in the store: results of a release that was denied while a worker was
//! away are refused by job servers, and not here. The launcher leaves a denied release as ever.

use std::time::Duration;

use async_trait::async_trait;
use nightshift_manifest::stop::{self, Scope, StopFlag, Who};
use nightshift_store::mysql::{Address, Limits, MysqlStore};
use nightshift_store::{Refusal, Stops as _, Store, StoreError};
use nightshift_wire::{
    AttemptId, Claim, ClaimRequest, GiveBack, Heartbeat, Lease, Moment, OwnStop, Problem, Receipt, Report, Spool,
    StopScope, WorkerState,
};
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::clock::Stopwatch;
use crate::control::{ControlError, Fetched, Finished, JobControl};
use crate::{machine, retry};

/// Between two looks for work.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Job control by a store in MySQL or MariaDB.
#[derive(Debug)]
pub struct DirectControl {
    address: Address,
    store: OnceCell<MysqlStore>,
    /// Set when the store was told who this is.
    told: OnceCell<()>,
    look_every: Duration,
}

impl DirectControl {
    /// Job control by the store at `address`; nothing is connected yet.
    pub fn new(address: Address) -> DirectControl {
        DirectControl { address, store: OnceCell::new(), told: OnceCell::new(), look_every: LOOK_EVERY }
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

    /// Tells the store once who works here and on which release: job servers go by it when they explain why a job waits.
    async fn tell(&self, store: &MysqlStore, request: &ClaimRequest, now: Moment) -> Result<(), StoreError> {
        let report = Report {
            worker: request.worker.clone(),
            host: machine::host(),
            state: WorkerState::Waiting,
            reason: "it takes jobs from the store itself and reports nothing".to_owned(),
            release: request.release.clone(),
            refused: Vec::new(),
            steps: Vec::new(),
            trial: None,
            replica: None,
            spool: Spool::default(),
        };
        let told = async || store.report(&report, "", now).await;
        self.told.get_or_try_init(told).await.map(drop)
    }
}

/// What of a claim is left when all that operators stopped is taken away; `None` when nothing is.
fn allowed(own: &[OwnStop], request: &ClaimRequest, host: &str) -> Option<ClaimRequest> {
    const PLACE: &str = "job server";
    let scope = |StopScope { plugin, worker, release, when }: &StopScope| {
        Scope::read(plugin.as_deref(), worker.as_deref(), release.as_deref(), when.as_deref())
    };
    let flags: Vec<_> = own.iter().map(|stop| StopFlag::told(PLACE, &stop.reason, scope(&stop.scope))).collect();
    let who = Who { worker: &request.worker, host, release: &request.release };
    let plugins = stop::judge(&flags, who).left_of(&request.plugins);
    (!plugins.is_empty()).then(|| ClaimRequest { plugins, ..request.clone() })
}

#[async_trait]
impl JobControl for DirectControl {
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ControlError> {
        let (wait, asked) = (Duration::from_millis(request.wait_ms), Stopwatch::start());
        let store = self.store().await?;
        loop {
            let now = store.moment().await?;
            self.tell(store, request, now).await?;
            if let Some(allowed) = allowed(&store.stops().await?, request, &machine::host())
                && let Some(claim) = store.claim(&allowed, now).await?.into_iter().next()
            {
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
        store.give_back(attempt, give_back, now).await?;
        Ok(())
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
            // All that a worker asks of a store is safe to ask again.
            error @ (StoreError::Away { .. } | StoreError::Unknown { .. }) => ControlError::Away(Box::new(error)),
            error @ StoreError::Fault { .. } => ControlError::Failing(Box::new(error)),
        }
    }
}

/// A refusal as a job server would put it.
fn problem(refusal: &Refusal) -> Problem {
    let (status, code) = refusal.code();
    Problem { code: code.to_owned(), status, detail: refusal.to_string() }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::code;

    use super::*;

    #[test]
    fn what_operators_stopped_is_not_claimed() {
        let request = ClaimRequest {
            worker: "w-1".into(),
            release: "v1.0.0".into(),
            commit: String::new(),
            plugins: vec!["a".into(), "b".into()],
            holding: Vec::new(),
            wait_ms: 0,
            max: 1,
            behind: None,
            machine: nightshift_wire::Machine::default(),
        };
        let left = |scope: StopScope| {
            let own = [OwnStop { id: 1, reason: "fire".into(), scope, by: "anna".into(), at: 0 }];
            allowed(&own, &request, "PC-1").map(|allowed| allowed.plugins)
        };
        let scope = StopScope::default;
        assert_eq!(left(scope()), None);
        assert_eq!(left(StopScope { plugin: Some("a".into()), ..scope() }), Some(vec!["b".to_owned()]));
        assert_eq!(left(StopScope { worker: Some("pc-*".into()), ..scope() }), None);
        assert_eq!(left(StopScope { worker: Some("pc-2*".into()), ..scope() }).map(|all| all.len()), Some(2));
        assert_eq!(left(StopScope { when: Some("soon".into()), ..scope() }), None, "what is not understood");
        assert_eq!(allowed(&[], &request, "PC-1"), Some(request.clone()));
    }

    #[test]
    fn what_the_store_refuses_means_what_it_means_over_http() {
        for (refusal, expected) in [
            (Refusal::NoSuchAttempt(7), code::NOT_FOUND),
            (Refusal::WrongSecret(7), code::WRONG_SECRET),
            (Refusal::ResultTooLong { record: 7, bytes: 1 << 30 }, code::TOO_LARGE),
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
