//! Results that a denied release computed: turned down, and their job waits again at once.
//!
//! An attempt that was accepted before the release was denied is acknowledged as ever. A running one is ended as if its
//! worker had stopped, so that nothing is counted against the job.

use nightshift_rules::{
    acceptance::{self, Verdict},
    life::JobEvent,
};
use nightshift_wire::{AttemptId, AttemptState, Moment, Receipt};

use super::{
    attempts::prove,
    moves::{self, Move},
    set::{Halt, Need, WorkingSet},
    task::Verb,
    workers,
};

/// A submission that is turned down, on its way to the store.
#[derive(Debug)]
pub(crate) struct TurnsDown {
    pub(crate) attempt: AttemptId,
    pub(crate) secret: String,
    pub(crate) release: String,
    pub(crate) reason: String,
    pub(crate) now: Moment,
}

impl Verb for TurnsDown {
    type Answer = Option<Receipt>;

    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>) {
        if !set.has_attempt(self.attempt) {
            needs.push(Need::Attempt(self.attempt));
        }
    }

    fn run(&self, set: &mut WorkingSet) -> Result<Option<Receipt>, Halt> {
        let attempt = prove(set, self.attempt, &self.secret)?;
        match acceptance::judge_denied(&attempt.facts(), &self.release, &self.reason) {
            Verdict::Repeated => Ok(Some(Receipt { job: attempt.job, repeated: true })),
            Verdict::NotWanted(why) if attempt.state == AttemptState::Running => {
                let why = why.to_string();
                moves::end(set, attempt.id, AttemptState::GivenBack, &why, self.now)?;
                moves::make(set, attempt.job, &Move::released(JobEvent::Stopped, &why), self.now)?;
                workers::see(set, &attempt.worker, self.now)?;
                Ok(None)
            }
            Verdict::Accept | Verdict::NotWanted(_) | Verdict::OtherPrimary(_) | Verdict::WrongResults(_) => Ok(None),
        }
    }
}
