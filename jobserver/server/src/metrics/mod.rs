//! What is counted and measured, for Prometheus at `/metrics`; the table of it in docs/OPERATIONS.md is kept true by a test.
//!
//! Counters and latencies are kept as things happen. What the store counts anyway (jobs and workers by state) is asked
//! of it when somebody looks, at most every few seconds, and left out when the store does not answer in time.

pub(crate) mod gauges;
mod measured;
mod requests;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::connection::Protocol;
pub(crate) use gauges::Figures;
pub(crate) use measured::Measured;
pub(crate) use requests::Observed;

/// Upper ends of the steps in which times are counted, in seconds. The longest are those of requests that wait.
const STEPS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

type Seconds<L> = Family<L, Histogram, fn() -> Histogram>;

fn seconds() -> Histogram {
    Histogram::new(STEPS)
}

/// A request, by what it asked and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

/// Where a request went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Route {
    route: String,
}

/// A verb of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Verb {
    verb: &'static str,
}

/// Where a job or a worker stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct State {
    state: String,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Of {
    worker: String,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Spoken {
    protocol: Protocol,
}

impl EncodeLabelValue for Protocol {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let word = match self {
            Protocol::Http1 => "http1",
            Protocol::Http2 => "http2",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

/// Everything that is counted and measured.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    request_seconds: Seconds<Route>,
    verb_seconds: Seconds<Verb>,
    verb_failures: Family<Verb, Counter>,
    attempts: Counter,
    attempts_given_back: Counter,
    leases_lost: Counter,
    jobs_completed: Counter,
    /// Results of records.
    pub(crate) results_accepted: Counter,
    connections: Family<Spoken, Gauge>,
    /// Connections that were ended because they stalled or broke off too much.
    pub(crate) connections_cut: Counter,
    /// Requests refused because a client asked too much.
    pub(crate) requests_limited: Counter,
    /// Bytes of large bodies held in memory.
    pub(crate) bodies_held: Gauge,
    jobs: Family<State, Gauge>,
    workers: Family<State, Gauge>,
    store_up: Gauge,
    releases_seen: Gauge,
    /// 1 while the primary of the data answers and is one; 0 also when there is none to ask.
    pub(crate) primary_up: Gauge,
    /// 1 while its heartbeat row is written; 0 also when somebody else writes one.
    pub(crate) primary_heartbeat: Gauge,
    replicas: Family<State, Gauge>,
    replica_behind: Family<Of, Gauge<f64, AtomicU64>>,
    spooled_jobs: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Arc<Metrics> {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("nightshift"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            verb_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            verb_failures: Family::default(),
            attempts: Counter::default(),
            attempts_given_back: Counter::default(),
            leases_lost: Counter::default(),
            jobs_completed: Counter::default(),
            results_accepted: Counter::default(),
            connections: Family::default(),
            connections_cut: Counter::default(),
            requests_limited: Counter::default(),
            bodies_held: Gauge::default(),
            jobs: Family::default(),
            workers: Family::default(),
            store_up: Gauge::default(),
            releases_seen: Gauge::default(),
            primary_up: Gauge::default(),
            primary_heartbeat: Gauge::default(),
            replicas: Family::default(),
            replica_behind: Family::default(),
            spooled_jobs: Gauge::default(),
        };
        metrics.register();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let request_seconds = self.request_seconds.clone();
        let verb_seconds = self.verb_seconds.clone();
        registry.register("http_requests", "Requests by method, route and status", self.requests.clone());
        let help = "Time from a request's head to the head of its answer; claims and looks at the stop flag wait";
        registry.register_with_unit("http_request", help, Unit::Seconds, request_seconds);
        registry.register("http_connections", "Open connections by what is spoken", self.connections.clone());
        let help = "Connections ended because an answer was not taken or too many requests were broken off";
        registry.register("http_connections_cut", help, self.connections_cut.clone());
        registry.register("http_requests_limited", "Requests refused with 429", self.requests_limited.clone());
        let help = "Memory held by large bodies that are arriving or being worked on";
        registry.register_with_unit("http_bodies_held", help, Unit::Bytes, self.bodies_held.clone());
        registry.register_with_unit("store_verb", "Time of the store's verbs", Unit::Seconds, verb_seconds);
        let help = "Verbs of the store that failed because it was away or at fault";
        registry.register("store_verb_failures", help, self.verb_failures.clone());
        registry.register(
            "store_up",
            "1 when the store answered the last look at these figures",
            self.store_up.clone(),
        );
        let help = "1 when the central repository was really seen lately";
        registry.register("repository_seen", help, self.releases_seen.clone());
        registry.register("attempts", "Jobs handed to workers", self.attempts.clone());
        registry.register(
            "attempts_given_back",
            "Attempts that ended without results",
            self.attempts_given_back.clone(),
        );
        registry.register("leases_lost", "Leases that ran out; the jobs wait again", self.leases_lost.clone());
        registry.register("jobs_completed", "Jobs whose results were accepted", self.jobs_completed.clone());
        registry.register("results_accepted", "Results of records accepted", self.results_accepted.clone());
        registry.register("jobs", "Jobs by state, quarantined ones among them", self.jobs.clone());
        let help = "Workers by what they last reported; `silent` when not heard of for two minutes";
        registry.register("workers", help, self.workers.clone());
        let help = "1 while the primary of [primary] answers and is one";
        registry.register("primary_up", help, self.primary_up.clone());
        let help = "1 while the heartbeat row of [primary] is written by this job server";
        registry.register("primary_heartbeat_written", help, self.primary_heartbeat.clone());
        let help = "Replicas by what their workers last reported, those not heard of for two minutes left out";
        registry.register("replicas", help, self.replicas.clone());
        let help = "How far a worker's replica is behind its primary, where that is known";
        registry.register_with_unit("replica_behind", help, Unit::Seconds, self.replica_behind.clone());
        let help = "Finished jobs whose results workers could not hand in yet, by their last report";
        registry.register("spooled_jobs", help, self.spooled_jobs.clone());
    }

    /// A connection began; it ends with the value.
    pub(crate) fn connection(&self, protocol: Protocol) -> Connections {
        let gauge = self.connections.get_or_create_owned(&Spoken { protocol });
        gauge.inc();
        Connections(gauge)
    }

    /// Everything as text.
    fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("a String takes what is written");
        text
    }
}

/// One open connection, as it is counted.
#[derive(Debug)]
pub(crate) struct Connections(Gauge);

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Name and kind of each metric, as its description says.
    fn described() -> BTreeSet<(String, String)> {
        let metrics = Metrics::new();
        // What has no value yet is not described either.
        drop(metrics.connection(Protocol::Http1));
        let route = String::new();
        metrics.request_seconds.get_or_create_owned(&Route { route: route.clone() });
        metrics.requests.get_or_create_owned(&Answered { method: "GET", route, status: 200 });
        metrics.verb_seconds.get_or_create_owned(&Verb { verb: "claim" });
        metrics.verb_failures.get_or_create_owned(&Verb { verb: "claim" });
        metrics.jobs.get_or_create_owned(&State { state: String::new() });
        metrics.workers.get_or_create_owned(&State { state: String::new() });
        metrics.replicas.get_or_create_owned(&State { state: String::new() });
        metrics.replica_behind.get_or_create_owned(&Of { worker: String::new() });
        let text = metrics.text();
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        kinds.filter_map(|line| line.split_once(' ')).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
    }

    #[test]
    fn the_table_of_metrics_in_the_docs_is_true() {
        let docs = include_str!("../../../../docs/OPERATIONS.md");
        let rows = docs.lines().filter_map(|line| line.strip_prefix("| `nightshift_"));
        let documented: BTreeSet<(String, String)> = rows
            .filter_map(|row| {
                let (name, rest) = row.split_once('`')?;
                let kind = rest.split('|').nth(1)?.trim();
                let name = format!("nightshift_{name}");
                let name = if kind == "counter" { name.strip_suffix("_total")?.to_owned() } else { name };
                Some((name, kind.to_owned()))
            })
            .collect();
        assert_eq!(documented, described());
    }
}
