//! What a fleet asked and what became of it: times of answers by kind of request, and what was acknowledged.
//!
//! A time counts from the moment at which the request was due, not from when the load generator came round to sending it: a
//! server that keeps everybody waiting must not look better because less was asked. What is due in the window is counted
//! whenever it is answered, and it has to be answered.

use std::time::Duration;

use crate::bench::measure::Moment;

/// Kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Heartbeat,
    Claim,
    Records,
    Submission,
    /// A long-poll for the stop flag; its time is what it took longer than it was asked to wait.
    Stop,
    /// The raw reference: what the server says without doing anything.
    Health,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Heartbeat, "heartbeat"),
    (Kind::Claim, "claim"),
    (Kind::Records, "records"),
    (Kind::Submission, "submission"),
    (Kind::Stop, "stop poll"),
    (Kind::Health, "/healthz"),
];

/// Times of requests that were due in a window.
#[derive(Debug, Default)]
pub(super) struct Tally {
    window: Option<(Moment, Moment)>,
    /// Requests due in the window that were sent.
    asked: usize,
    times: [Vec<Duration>; KINDS.len()],
}

impl Tally {
    /// Counts what is due from now on for so long.
    pub(super) fn open(&mut self, now: Moment, length: Duration) {
        self.window = Some((now, now + length));
    }

    fn counts(&self, due: Moment) -> bool {
        self.window.is_some_and(|(begin, end)| begin <= due && due < end)
    }

    pub(super) fn answered(&mut self, kind: Kind, due: Moment, now: Moment) {
        if self.counts(due) {
            self.asked += 1;
            self.times[kind as usize].push(now - due);
        }
    }

    /// A request that was due is not answered: the connection ended under it.
    pub(super) fn unanswered(&mut self, due: Moment) {
        self.asked += usize::from(self.counts(due));
    }

    /// Requests due in the window to which no answer came.
    pub(super) fn missing(&self) -> usize {
        self.asked - self.times.iter().map(Vec::len).sum::<usize>()
    }

    /// Of the reference.
    pub(super) fn health(&self) -> Times {
        Times::of(self.times[Kind::Health as usize].clone())
    }

    /// Of everything but the reference.
    pub(super) fn all(&self) -> Times {
        Times::of(self.times[..Kind::Health as usize].concat())
    }

    /// Each kind's number and times, for people.
    pub(super) fn told(&self) -> String {
        let kinds = KINDS.map(|(kind, name)| {
            let times = Times::of(self.times[kind as usize].clone());
            format!("{name} {} ({})", times.count, times.told())
        });
        kinds.join(", ")
    }
}

/// The middle, the hundredth slowest and the slowest of some times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    pub(super) count: usize,
    p50_ms: f64,
    pub(super) p99_ms: f64,
    max_ms: f64,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        let count = times.len();
        // The smallest time that at least so many of a hundred do not exceed.
        let at = |percent: usize| {
            let place = (count * percent).div_ceil(100).saturating_sub(1);
            times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        Times { count, p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }

    pub(super) fn told(&self) -> String {
        format!("{:.1}/{:.1}/{:.1}", self.p50_ms, self.p99_ms, self.max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_due_in_the_window_counts_and_what_has_no_answer_is_missed() {
        let (begin, ms) = (Moment::now(), Duration::from_millis);
        let mut tally = Tally::default();
        tally.answered(Kind::Claim, begin, begin + ms(1));
        tally.open(begin, ms(1000));
        tally.answered(Kind::Claim, begin + ms(999), begin + ms(1500));
        tally.answered(Kind::Claim, begin + ms(1000), begin + ms(1001));
        tally.answered(Kind::Health, begin, begin + ms(3));
        assert_eq!((tally.all().count, tally.all().p99_ms, tally.health().p99_ms), (1, 501.0, 3.0));
        assert_eq!(tally.missing(), 0);
        tally.unanswered(begin + ms(5));
        assert_eq!(tally.missing(), 1);
    }

    #[test]
    fn the_99th_of_a_hundred_times_is_the_second_slowest() {
        let times = Times::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!((times.count, times.told().as_str()), (100, "50.0/99.0/100.0"));
        assert!(Times::of(Vec::new()).p99_ms.is_nan());
    }
}
