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
            lost.push(LostAttempt { attempt, job, worker });
        }
        Ok(lost)
    }

    fn weight(&self) -> usize {
        OVER_AT_ONCE as usize
    }
}
