//! What happens on one connection, and the verdict over it: may it stay open? Pure; moments come in.
//!
//! A connection without an open request is kept for a while, then closed. A piece of an answer that the other side
//! does not take in time ends its connection: the machine behind it may be switched off. Whoever breaks off request
//! after request makes work and wants no answer: that connection is ended at once.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::since;
use crate::rate::{Bucket, Rate};

/// Requests that may be broken off on one connection.
const BROKEN_OFF: Rate = Rate { burst: 100.0, per_second: 10.0 };

/// How long a connection may stay in which state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Without a request.
    pub(super) idle: Duration,
    /// Without taking what it is being sent.
    pub(super) stalled: Duration,
}

/// What happens on a connection.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    open: usize,
    quiet_since: Instant,
    /// Answers of which a piece was given to be sent, and since when no further one was asked for.
    given: HashMap<u64, Instant>,
    next: u64,
    broken_off: Bucket,
    resetting: bool,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays; nothing else can be said before this moment.
    Stays(Instant),
    /// Nothing was asked on it for long.
    Quiet,
    /// What was answered is not taken.
    Stalled,
    /// Too many requests were broken off.
    Resetting,
}

impl Activity {
    pub(super) fn begin(now: Instant) -> Activity {
        Activity {
            began: now,
            open: 0,
            quiet_since: now,
            given: HashMap::new(),
            next: 0,
            broken_off: Bucket::full(BROKEN_OFF, 0),
            resetting: false,
        }
    }

    /// A request came; its number on this connection.
    pub(super) fn request(&mut self) -> u64 {
        self.open += 1;
        self.next += 1;
        self.next
    }

    /// A piece of its answer was given to be sent.
    pub(super) fn given(&mut self, request: u64, now: Instant) {
        self.given.insert(request, now);
    }

    /// The next piece of its answer is asked for.
    pub(super) fn asked(&mut self, request: u64) {
        self.given.remove(&request);
    }

    /// Its answer was given whole.
    pub(super) fn answered(&mut self, request: u64, now: Instant) {
        self.given.remove(&request);
        self.open = self.open.saturating_sub(1);
        self.quiet_since = now;
    }

    /// It was broken off from the other side. Whether that happened too often.
    pub(super) fn broken_off(&mut self, request: u64, now: Instant) -> bool {
        self.answered(request, now);
        self.resetting |= self.broken_off.take(BROKEN_OFF, since(self.began, now)).is_err();
        self.resetting
    }

    pub(super) fn judge(&self, patience: Patience, now: Instant) -> Verdict {
        if self.resetting {
            return Verdict::Resetting;
        }
        if let Some(oldest) = self.given.values().min() {
            let end = *oldest + patience.stalled;
            return if now >= end { Verdict::Stalled } else { Verdict::Stays(end) };
        }
        if self.open > 0 {
            return Verdict::Stays(now + patience.idle.min(patience.stalled));
        }
        let end = self.quiet_since + patience.idle;
        if now >= end { Verdict::Quiet } else { Verdict::Stays(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::deadline;

    const PATIENCE: Patience = Patience { idle: Duration::from_secs(90), stalled: Duration::from_secs(60) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_connection_is_quiet_when_nothing_was_asked_on_it_for_long() {
        let begin = deadline(Duration::ZERO);
        let mut activity = Activity::begin(begin);
        assert_eq!(activity.judge(PATIENCE, begin), Verdict::Stays(begin + seconds(90)));
        let request = activity.request();
        assert_eq!(activity.judge(PATIENCE, begin + seconds(900)), Verdict::Stays(begin + seconds(960)), "it waits");
        activity.answered(request, begin + seconds(900));
        assert_eq!(activity.judge(PATIENCE, begin + seconds(989)), Verdict::Stays(begin + seconds(990)));
        assert_eq!(activity.judge(PATIENCE, begin + seconds(990)), Verdict::Quiet);
    }

    #[test]
    fn an_answer_that_is_not_taken_is_stalled_but_one_that_the_server_is_slow_with_is_not() {
        let begin = deadline(Duration::ZERO);
        let mut activity = Activity::begin(begin);
        let (slow, taken) = (activity.request(), activity.request());
        activity.given(slow, begin);
        activity.given(taken, begin + seconds(59));
        activity.asked(slow);
        assert_eq!(activity.judge(PATIENCE, begin + seconds(61)), Verdict::Stays(begin + seconds(119)));
        assert_eq!(activity.judge(PATIENCE, begin + seconds(119)), Verdict::Stalled);
        activity.asked(taken);
        assert!(matches!(activity.judge(PATIENCE, begin + seconds(500)), Verdict::Stays(_)), "the server is slow");
    }

    #[test]
    fn whoever_breaks_off_request_after_request_is_ended_and_who_does_it_now_and_then_is_not() {
        let begin = deadline(Duration::ZERO);
        let mut activity = Activity::begin(begin);
        for second in 0..10_000 {
            let request = activity.request();
            assert!(!activity.broken_off(request, begin + seconds(second)));
        }
        let late = begin + seconds(10_000);
        let broken = (0..200).map(|_| activity.request()).collect::<Vec<_>>();
        let ended = broken.into_iter().position(|request| activity.broken_off(request, late));
        assert_eq!(ended, Some(100));
        assert_eq!(activity.judge(PATIENCE, late), Verdict::Resetting);
    }
}
