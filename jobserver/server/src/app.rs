//! What every request can reach.

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
use crate::rate::{Rate, Rates};
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
    /// The claims that wait.
    pub(crate) turns: Turns,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) figures: Figures,
    /// How releases spread.
    pub(crate) rollouts: Rollouts,
    /// Memory for bodies.
    pub(crate) budget: Arc<Budget>,
    /// What clients may still ask.
    pub(crate) rates: Rates,
    /// Files for the grid, when they are kept here.
    pub(crate) artifacts: Option<Arc<Artifacts>>,
    /// The names this server answers to.
    pub(crate) hosts: Hosts,
    /// What the API says of itself.
    pub(crate) description: OnceLock<Description>,
    /// Cancelled when the server is asked to end: nothing waits any more.
    pub(crate) stopping: CancellationToken,
}

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
    /// How often what is known of tokens and workers is read anew.
    pub access_every: Duration,
    /// Bytes of a request in JSON.
    pub body: usize,
    /// Bytes of a submission.
    pub submission: usize,
    /// Bytes of all larger bodies together that arrive or are worked on.
    pub bodies: usize,
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
            access_every: seconds(5),
            body: 1024 * 1024,
            submission: 64 * 1024 * 1024,
            bodies: 256 * 1024 * 1024,
            bodies_wait: seconds(5),
            connections: 50_000,
            ready: seconds(2),
            requests: Rate::REQUESTS,
            failures: Rate::FAILURES,
        }
    }
}
