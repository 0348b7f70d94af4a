//! What the job server is asked for a replica's sake: the way to the primary, and leave to build it anew.

use std::sync::Arc;
use std::time::Duration;

use nightshift_client::Client;
use nightshift_kin::Stopwatch;
use nightshift_wire::{RebuildPermit, RebuildRequest, Replication, code};

use crate::clock;
use crate::repository::chain;

/// The way to the primary is asked for again after this.
const AGAIN_AFTER: u64 = 60_000;

/// What is known of the way to the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// The job server was not heard yet; holds why.
    Unknown(String),
    /// It hands none out.
    None(String),
    /// It is this one, as it was told last.
    Known(Box<Replication>),
}

/// Asks a job server.
#[derive(Debug)]
pub(super) struct Asking {
    client: Option<Arc<Client>>,
    worker: String,
    way: Way,
    asked: Option<u64>,
    /// The clock by which the heartbeat row is written, in milliseconds since 1970, and since when that was heard.
    clock: Option<(i64, Stopwatch)>,
}

impl Asking {
    pub(super) fn new(client: Option<Arc<Client>>, worker: String) -> Asking {
        Asking { client, worker, way: Way::Unknown("it was not asked yet".to_owned()), asked: None, clock: None }
    }

    /// The way to the primary, asked for at most once a minute. One that is known stays so while the job server is away.
    pub(super) async fn way(&mut self) -> Way {
        let Some(client) = &self.client else {
            return Way::None("there is no job server to tell the way to the primary".to_owned());
        };
        let now = clock::since_start();
        let is_due = self.asked.is_none_or(|asked| now.saturating_sub(asked) >= AGAIN_AFTER);
        if is_due || matches!(self.way, Way::Unknown(_)) {
            self.asked = Some(now);
            match (client.replication().await, &self.way) {
                (Ok(way), _) => {
                    self.clock = way.now.map(|now| (now, Stopwatch::start()));
                    self.way = Way::Known(Box::new(way));
                }
                (Err(error), _) if error.problem().is_some_and(|problem| problem.code == code::NOT_FOUND) => {
                    self.way = Way::None(chain(&error));
                }
                (Err(error), Way::Known(_)) => {
                    tracing::warn!("the way to the primary is as it was told before: {}", chain(&error));
                }
                (Err(error), _) => self.way = Way::Unknown(chain(&error)),
            }
        }
        self.way.clone()
    }

    /// What the clock shows by which the heartbeat row of that table is written, in microseconds since 1970; `None` where
    /// somebody else than the job server writes it, or it was not heard yet.
    pub(super) fn writers_clock(&self, heartbeat: &str) -> Option<i64> {
        let Way::Known(way) = &self.way else { return None };
        let (millis, since) = self.clock.filter(|_| way.heartbeat.as_deref() == Some(heartbeat))?;
        Some(millis * 1_000 + i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// The way that was told leads nowhere: the next question is not put off.
    pub(super) fn doubt(&mut self) {
        self.asked = None;
    }

    /// Time jumped: whoever measures it from before is wrong.
    pub(super) fn forget(&mut self) {
        (self.clock, self.asked) = (None, None);
    }

    /// Asks to build the replica anew, or to go on with that; a job server that does not answer permits nothing.
    pub(super) async fn permit(&self, reason: &str) -> RebuildPermit {
        let wait = |reason: String| RebuildPermit { lease_ms: None, reason, ask_again_ms: 30_000 };
        let Some(client) = &self.client else { return wait("there is no job server to permit it".to_owned()) };
        let request = RebuildRequest { worker: self.worker.clone(), reason: reason.to_owned() };
        match client.permit_rebuild(&request).await {
            Ok(permit) => permit,
            Err(error) => wait(chain(&error)),
        }
    }

    /// Renews a permit for as long as this is waited for.
    pub(super) async fn renew(&self, reason: &str, mut permit: RebuildPermit) {
        loop {
            tokio::time::sleep(Duration::from_millis(permit.ask_again_ms.clamp(1_000, 600_000))).await;
            permit = self.permit(reason).await;
            if permit.lease_ms.is_none() {
                // What is half-built would have to be built again: it is gone on with.
                tracing::warn!("the permit to build the replica anew was not renewed: {}", permit.reason);
            }
        }
    }

    /// Says that nothing is built any more.
    pub(super) async fn built(&self) {
        if let Some(client) = &self.client
            && let Err(error) = client.end_rebuild(&self.worker).await
        {
            tracing::warn!("the permit to build the replica anew runs out by itself: {}", chain(&error));
        }
    }
}
