//! Leases that ran out: their jobs wait again.

use nightshift_rules::lease;
use nightshift_wire::{AttemptId, Moment};

use super::{
    moves,
    set::{Halt, Need, WorkingSet},
    task::Verb,
};
use crate::LostAttempt;

/// So many leases are taken back in one step.
pub(crate) const OVER_AT_ONCE: u32 = 200;

/// Leases are extended when no server was alive for longer than this.
pub(crate) const GAP_TOLERANCE_MS: u64 = 10_000;

/// Requests that are answered at the same time read the clock one after the other and are noted in any order: only a clock
/// that is earlier by more than this went back.
const OUT_OF_ORDER_MS: Moment = 1_000;

/// Whether the clock went back since the latest moment that was noted.
pub(crate) fn went_back(now: Moment, latest: Moment) -> bool {
    now < latest.saturating_sub(OUT_OF_ORDER_MS)
}

/// Taking back jobs whose lease is over.
#[derive(Debug)]
pub(crate) struct Expires {
    pub(crate) now: Moment,
}

impl Verb for Expires {
    type Answer = Vec<LostAttempt>;

    fn needs(&self, _: &WorkingSet, needs: &mut Vec<Need>) {
        needs.push(Need::Over(self.now));
    }

    fn run(&self, set: &mut WorkingSet) -> Result<Vec<LostAttempt>, Halt> {
        let over: Vec<AttemptId> = set.over(self.now)?.to_vec();
        let unknown: Vec<Need> = over.iter().filter(|id| !set.has_attempt(**id)).map(|id| Need::Attempt(*id)).collect();
        if !unknown.is_empty() {
            return Err(Halt::Missing(unknown));
        }
        let mut lost = Vec::with_capacity(over.len());
        for attempt in over {
            let row = set.known_attempt(attempt)?;
            // A sign of life of the same group may have come first.
            if row.lease_until.is_none_or(|until| !lease::is_over(until, self.now)) {
                continue;
            }
            let worker = row.worker.clone();
            let reason = format!("the lease of attempt {attempt} ran out");
            let job = moves::lose(set, attempt, &reason, self.now)?;
            let row = set.known_job(job)?;
            lost.push(LostAttempt { attempt, job, worker, state: row.state, reason: row.reason.clone() });
        }
        Ok(lost)
    }

    fn weight(&self) -> usize {
        OVER_AT_ONCE as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_are_noted_out_of_order_are_no_clock_that_went_back() {
        assert!(!went_back(5_000, 5_001));
        assert!(!went_back(5_000, 5_000 + OUT_OF_ORDER_MS));
        assert!(went_back(5_000, 5_001 + OUT_OF_ORDER_MS));
        assert!(went_back(5_000, Moment::MAX), "what was given before a start is not known");
    }
}
