//! What to do about a replica, by its verdict and what was done about it before. Pure; done by `act.rs`, and by whoever runs
//! the server.
//!
//! No error is ever skipped: a replica whose data do not fit is built anew.

mod act;

use std::time::Duration;

use crate::facts::{Absence, Complaint, Facts};
use crate::position::Gtids;
use crate::verdict::Verdict;

/// A step towards a current replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Nothing is to be done; look again as usual.
    Nothing,
    /// It may pass, or was just done: look again as usual.
    Wait,
    /// Start the threads of replication.
    StartThreads,
    /// Have silence noticed within [`NET_TIMEOUT`], and connections tried again for ever.
    SetTimeouts,
    /// Take writes of replication only.
    SetReadOnly,
    /// Throw away what was fetched and not applied, and fetch it again.
    FetchAgain,
    /// End the server, if need be by force, and start it.
    RestartServer,
    /// Give the server a `server_id` and `server_uuid` that nobody else has.
    NewIdentity,
    /// Build it anew from the primary or a copy of it.
    Rebuild,
    /// A person has to change something; the verdict says what.
    TellPerson,
}

/// A primary that says nothing for so long is taken for gone.
pub const NET_TIMEOUT: Duration = Duration::from_secs(10);

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Means {
    /// The worker runs the server itself: it may restart it, give it an identity and build it anew.
    pub own_server: bool,
    /// The account may change how the server replicates.
    pub may_administer: bool,
}

/// What was done since the replica was current, and when.
#[derive(Debug, Clone, Default)]
pub struct History {
    tries: Vec<(Action, Duration)>,
    /// Since when the verdict is of one kind.
    kind: Option<(std::mem::Discriminant<Verdict>, Duration)>,
    /// What was applied, and since when no more than that.
    applied: Option<(Gtids, Duration)>,
    /// When a connection to the primary that worked was lost.
    lost: Vec<Duration>,
}

/// The first try again comes after this, the next after twice as long, and so on.
const FIRST: Duration = Duration::from_secs(1);
/// Tries are no further apart.
const LONGEST: Duration = Duration::from_secs(300);
/// So long a server may be silent.
const SILENT: Duration = Duration::from_secs(30);
/// So many starts of a thread in a row that came to nothing.
const MOST_STARTS: usize = 8;
/// So many connections that worked may be lost within [`OFTEN`]; who loses more has an identity that another server has, too.
/// MySQL says so, MariaDB does not.
const MOST_LOST: usize = 6;
const OFTEN: Duration = Duration::from_secs(300);
/// So long a replica may run and apply nothing of what it has fetched: a transaction may take long.
const STUCK: Duration = Duration::from_secs(3600);

impl History {
    /// The next step. `facts` are those that the verdict is on.
    pub fn next(&mut self, verdict: &Verdict, facts: Option<&Facts>, means: Means, now: Duration) -> Action {
        self.note(verdict, facts, now);
        let wished = self.wished(verdict, facts, now);
        let action = match wished {
            Action::RestartServer | Action::NewIdentity | Action::Rebuild if !means.own_server => Action::TellPerson,
            Action::StartThreads | Action::SetTimeouts | Action::SetReadOnly | Action::FetchAgain
                if !means.may_administer =>
            {
                match verdict {
                    // It works as it is.
                    Verdict::Current { .. } => Action::Nothing,
                    _ => Action::TellPerson,
                }
            }
            wished => wished,
        };
        match action {
            Action::Nothing | Action::Wait | Action::TellPerson => action,
            action if !self.is_due(action, now) => Action::Wait,
            action => {
                self.tries.push((action, now));
                if action == Action::NewIdentity {
                    self.lost.clear();
                }
                action
            }
        }
    }

    fn note(&mut self, verdict: &Verdict, facts: Option<&Facts>, now: Duration) {
        let kind = std::mem::discriminant(verdict);
        let current = std::mem::discriminant(&Verdict::Current { by: Duration::ZERO });
        if matches!(verdict, Verdict::Connecting { .. }) && self.kind.is_some_and(|(before, _)| before == current) {
            self.lost.push(now);
        }
        self.lost.retain(|at| now.saturating_sub(*at) <= OFTEN);
        if self.kind.is_none_or(|(before, _)| before != kind) {
            self.kind = Some((kind, now));
        }
        if matches!(verdict, Verdict::Current { .. }) {
            // What was done to a replica that works is remembered: it need not have helped.
            self.tries.retain(|(action, _)| *action == Action::SetTimeouts);
        }
        if let Some(facts) = facts
            && self.applied.as_ref().is_none_or(|(applied, _)| *applied != facts.applied)
        {
            // Progress: what stood still goes on.
            self.applied = Some((facts.applied.clone(), now));
        }
    }

    fn wished(&self, verdict: &Verdict, facts: Option<&Facts>, now: Duration) -> Action {
        let since = |at: Option<Duration>| at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        match verdict {
            Verdict::Away(Absence::Unreachable(_)) => Action::RestartServer,
            Verdict::Away(Absence::Silent(..)) => match since(self.kind.map(|(_, at)| at)) >= SILENT {
                true => Action::RestartServer,
                false => Action::Wait,
            },
            Verdict::Away(_)
            | Verdict::SkipsErrors(_)
            | Verdict::Delayed(_)
            | Verdict::Filtered { .. }
            | Verdict::MissingTables(_) => Action::TellPerson,
            Verdict::Connecting { .. } if self.lost.len() > MOST_LOST => Action::NewIdentity,
            Verdict::Rebuilding(_) | Verdict::Connecting { .. } => Action::Wait,
            Verdict::NotReplica
            | Verdict::NoGtids
            | Verdict::OtherPrimary { .. }
            | Verdict::Diverged(_)
            | Verdict::Broken(_) => Action::Rebuild,
            Verdict::Cloned(_) => Action::NewIdentity,
            // The server asks the primary again by itself, and a person may have mended it there.
            Verdict::Refused { .. } => Action::TellPerson,
            Verdict::Stopped(stop) if stop.complaint == Complaint::RelayLog && !self.was_done(Action::FetchAgain) => {
                Action::FetchAgain
            }
            Verdict::Stopped(_) if self.starts_in_vain() >= MOST_STARTS => Action::Rebuild,
            Verdict::Stopped(_) | Verdict::NoRoom(_) => Action::StartThreads,
            Verdict::Writable => Action::SetReadOnly,
            Verdict::Behind { missing, .. } if !missing.is_empty() => {
                match since(self.applied.as_ref().map(|(_, at)| *at)) {
                    stuck if stuck >= 2 * STUCK => Action::Rebuild,
                    stuck if stuck >= STUCK && !self.was_done(Action::RestartServer) => Action::RestartServer,
                    _ => Action::Wait,
                }
            }
            Verdict::Behind { .. } => Action::Wait,
            Verdict::Current { .. } => match facts.is_some_and(|facts| facts.net_timeout > NET_TIMEOUT) {
                true => Action::SetTimeouts,
                false => Action::Nothing,
            },
        }
    }

    /// Whether enough time is over since the action was tried last: more with every time.
    fn is_due(&self, action: Action, now: Duration) -> bool {
        let times = self.tries.iter().filter(|(tried, _)| *tried == action);
        let Some((_, last)) = times.clone().next_back() else { return true };
        let doublings = u32::try_from(times.count() - 1).unwrap_or(u32::MAX).min(16);
        now.saturating_sub(*last) >= (FIRST * 2_u32.pow(doublings)).min(LONGEST)
    }

    fn was_done(&self, action: Action) -> bool {
        self.tries.iter().any(|(tried, _)| *tried == action)
    }

    /// Starts of threads since something was applied last.
    fn starts_in_vain(&self) -> usize {
        let moved = self.applied.as_ref().map_or(Duration::ZERO, |(_, at)| *at);
        self.tries.iter().filter(|(tried, at)| *tried == Action::StartThreads && *at >= moved).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Heartbeat;
    use crate::verdict::cases::{self, healthy};
    use crate::verdict::{Stop, Which};

    const ALL: Means = Means { own_server: true, may_administer: true };

    fn seconds(time: u64) -> Duration {
        Duration::from_secs(time)
    }

    fn stopped(errno: u32) -> Verdict {
        let complaint = Complaint::of(errno, "");
        Verdict::Stopped(Stop { which: Which::Applier, errno, error: String::new(), complaint })
    }

    #[test]
    fn threads_are_started_less_and_less_often_and_in_the_end_the_replica_is_built_anew() {
        let mut history = History::default();
        let mut starts = Vec::new();
        let mut rebuilt = None;
        for now in 0..1000 {
            match history.next(&stopped(1399), Some(&healthy()), ALL, seconds(now)) {
                Action::StartThreads => starts.push(now),
                Action::Rebuild => rebuilt = rebuilt.or(Some(now)),
                other => assert_eq!(other, Action::Wait),
            }
        }
        assert_eq!(starts, [0, 1, 3, 7, 15, 31, 63, 127]);
        assert_eq!(rebuilt, Some(128), "no start is ever followed by skipping an error");
    }

    #[test]
    fn a_start_that_helped_counts_no_more() {
        let mut history = History::default();
        let mut facts = healthy();
        for now in 0..200 {
            // Each time it applies something before it stops again.
            facts.applied = Gtids::parse(facts.version.make, &format!("0-1-{}", 100 + now)).expect("a position");
            assert_ne!(history.next(&stopped(1205), Some(&facts), ALL, seconds(now)), Action::Rebuild);
        }
    }

    #[test]
    fn a_silent_server_is_waited_for_and_then_restarted_one_that_is_gone_at_once() {
        let mut history = History::default();
        let silent = Verdict::Away(Absence::Silent(seconds(5), "its version"));
        let next = |history: &mut History, now| history.next(&silent, None, ALL, seconds(now));
        assert_eq!(
            [next(&mut history, 0), next(&mut history, 29), next(&mut history, 30)],
            [Action::Wait, Action::Wait, Action::RestartServer]
        );
        let gone = Verdict::Away(Absence::Unreachable("refused".to_owned()));
        assert_eq!(History::default().next(&gone, None, ALL, seconds(0)), Action::RestartServer);
    }

    #[test]
    fn a_replica_that_loses_its_primary_again_and_again_gets_a_new_identity() {
        let mut history = History::default();
        let connecting = Verdict::Connecting { address: "db1:3306".to_owned(), error: String::new() };
        let current = Verdict::Current { by: Duration::ZERO };
        let mut actions = Vec::new();
        for now in 0..14 {
            let verdict = if now % 2 == 0 { &current } else { &connecting };
            actions.push(history.next(verdict, Some(&healthy()), ALL, seconds(10 * now)));
        }
        assert_eq!(actions.pop(), Some(Action::NewIdentity));
        assert!(!actions.contains(&Action::NewIdentity), "not before: {actions:?}");
        // Seldom is no sign.
        let mut history = History::default();
        for now in 0..40 {
            let verdict = if now % 2 == 0 { &current } else { &connecting };
            assert_ne!(history.next(verdict, Some(&healthy()), ALL, seconds(100 * now)), Action::NewIdentity);
        }
    }

    #[test]
    fn a_long_transaction_is_waited_for_and_one_that_never_ends_is_not() {
        let mut history = History::default();
        let mut facts = healthy();
        facts.heartbeat = Heartbeat::None(String::new());
        let missing = Gtids::parse(facts.version.make, "0-1-101").expect("a position");
        let behind = Verdict::Behind { by: Some(seconds(90)), missing };
        let mut next = |now| history.next(&behind, Some(&facts), ALL, seconds(now));
        assert_eq!(
            [next(0), next(3_000), next(3_600), next(7_000), next(7_200)],
            [Action::Wait, Action::Wait, Action::RestartServer, Action::Wait, Action::Rebuild]
        );
    }

    #[test]
    fn a_server_that_is_not_the_workers_own_is_for_a_person_to_rebuild() {
        let means = Means { own_server: false, may_administer: true };
        for case in cases::all() {
            let action = History::default().next(&case.verdict(), case.seen.as_ref().ok(), means, seconds(60));
            assert!(!matches!(action, Action::RestartServer | Action::NewIdentity | Action::Rebuild), "{}", case.name);
        }
    }

    #[test]
    fn time_outs_that_hide_a_silent_primary_are_set_once_while_it_works() {
        let mut history = History::default();
        let mut facts = healthy();
        facts.net_timeout = seconds(60);
        let current = Verdict::Current { by: Duration::ZERO };
        assert_eq!(history.next(&current, Some(&facts), ALL, seconds(0)), Action::SetTimeouts);
        facts.net_timeout = NET_TIMEOUT;
        assert_eq!(history.next(&current, Some(&facts), ALL, seconds(1)), Action::Nothing);
        facts.net_timeout = seconds(60);
        let may_not = Means { own_server: false, may_administer: false };
        assert_eq!(History::default().next(&current, Some(&facts), may_not, seconds(0)), Action::Nothing);
    }
}
