//! What every request can reach.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nightshift_store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::access::Gate;
use crate::api::Description;
use crate::artifacts::Artifacts;
use crate::budget::Budget;
use crate::catalogue::Releases;
use crate::clock::Clock;
use crate::host::Hosts;
use crate::metrics::{Figures, Metrics};
use crate::pages::Live;
use crate::primary::CompanyData;
use crate::rate::{Rate, Rates};
use crate::refused::Refused;
use crate::rollouts::Rollouts;
use crate::stops::OwnStops;
use crate::turns::Turns;

/// A running server's parts.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) releases: Releases,
    /// What operators stopped.
    pub(crate) stops: OwnStops,
    /// Who asks, and may they.
    pub(crate) gate: Gate,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    /// Rung whenever jobs may have become claimable; every claim that waits looks again.
    pub(crate) work: Notify,
    /// Rung when a batch was deleted, whose rows are still there.
    pub(crate) untidy: Notify,
    /// The claims that wait.
    pub(crate) turns: Turns,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) figures: Figures,
    /// The primary, and what workers' replicas of it need.
    pub(crate) replication: CompanyData,
    /// What the dashboard shows of the grid, read once for all browsers.
    pub(crate) live: Live,
    /// How releases spread.
    pub(crate) rollouts: Rollouts,
    /// Memory for bodies.
    pub(crate) budget: Arc<Budget>,
    /// Memory for the jobs of hand-ins that are not complete. One that trickles in holds its part for as long as it likes,
    /// and shall keep no results out.
    pub(crate) arriving: Arc<Budget>,
    /// What clients may still ask.
    pub(crate) rates: Rates,
    /// Files for the grid, when they are kept here.
    pub(crate) artifacts: Option<Arc<Artifacts>>,
    /// Whether the store could not keep what it was last given by the server itself, as when its disk is full.
    pub(crate) keeps_nothing: AtomicBool,
    /// The names this server answers to.
    pub(crate) hosts: Hosts,
    /// What the API says of itself.
    pub(crate) description: OnceLock<Description>,
    /// Cancelled when the server is asked to end: nothing waits any more.
    pub(crate) stopping: CancellationToken,
}

/// Does something to its end, whether or not who asked for it still waits. `doing` says what.
pub(crate) async fn to_its_end<T: Send + 'static>(
    doing: &str,
    act: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<T, Refused> {
    tokio::spawn(act).await.map_err(|_| Refused::internal(doing))?
}

/// Records of one batch when the configuration does not say.
pub(crate) const LARGEST_BATCH: u64 = 10_000_000;
/// Bytes of what one batch is made of when the configuration does not say.
pub(crate) const LARGEST_INPUT: u64 = 20_000_000_000;

/// How long and how much the server takes before it refuses.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest a claim waits for work, whatever it asks for.
    pub longest_wait: Duration,
    /// A claim that waits looks again after this time even when no event came.
    pub look_again: Duration,
    /// For a request that neither waits nor streams.
    pub request: Duration,
    /// For a submission, which may be large and come over a slow network.
    pub submit: Duration,
    /// For the next piece of a hand-in.
    pub silence: Duration,
    /// For the next request, or the rest of its head, on an open connection.
    pub idle: Duration,
    /// For the other side to take what it is being sent.
    pub stalled: Duration,
    /// For open requests when the server ends.
    pub grace: Duration,
    /// How often leases are looked through.
    pub expire_every: Duration,
    /// How often what is left of broken-off hand-ins is removed.
    pub tidy_every: Duration,
    /// How often what was done is counted for its release.
    pub count_every: Duration,
    /// How often it is counted how workers spend the time: once a minute, whatever this says, at the most.
    pub statistics_every: Duration,
    /// How often the primary is asked what it is, and its heartbeat row written.
    pub primary_every: Duration,
    /// For the primary to answer.
    pub primary: Duration,
    /// How old what the dashboard shows of the grid may be, and how often open pages hear of it.
    pub live_every: Duration,
    /// How often what is known of tokens and workers is read anew.
    pub access_every: Duration,
    /// Bytes of a request in JSON.
    pub body: usize,
    /// Records of one batch.
    pub records: u64,
    /// Bytes of what one batch is made of, unpacked.
    pub input: u64,
    /// Bytes of a submission.
    pub submission: usize,
    /// Bytes of all larger bodies together that arrive or are worked on.
    pub bodies: usize,
    /// Bytes of all hand-ins together that are not stored yet.
    pub hand_ins: usize,
    /// For a larger body to wait for others to be done.
    pub bodies_wait: Duration,
    /// Connections open at once.
    pub connections: usize,
    /// For the store to answer when somebody asks whether the server is ready.
    pub ready: Duration,
    /// Requests of one client.
    pub requests: Rate,
    /// Failed authentications of one client.
    pub failures: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Limits {
            longest_wait: seconds(60),
            look_again: seconds(10),
            request: seconds(60),
            submit: seconds(15 * 60),
            silence: seconds(60),
            idle: seconds(90),
            stalled: seconds(90),
            grace: seconds(10),
            expire_every: seconds(1),
            tidy_every: seconds(10),
            count_every: seconds(1),
            statistics_every: seconds(60),
            primary_every: seconds(1),
            primary: seconds(3),
            live_every: seconds(2),
            access_every: seconds(5),
            body: 1024 * 1024,
            records: LARGEST_BATCH,
            input: LARGEST_INPUT,
            submission: 64 * 1024 * 1024,
            bodies: 256 * 1024 * 1024,
            hand_ins: 256 * 1024 * 1024,
            bodies_wait: seconds(5),
            connections: 50_000,
            ready: seconds(2),
            requests: Rate::REQUESTS,
            failures: Rate::FAILURES,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_begun_is_done_although_nobody_waits_for_it_any_more() {
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let mut asked = Box::pin(to_its_end("deleting a batch", async {
            may_go_on.await.map_err(|_| Refused::internal("waiting"))?;
            done.send(()).map_err(|()| Refused::internal("telling"))
        }));
        assert!(futures_util::poll!(asked.as_mut()).is_pending(), "it is begun");
        drop(asked);
        go_on.send(()).expect("it goes on");
        is_done.await.expect("it is done");
    }
}
