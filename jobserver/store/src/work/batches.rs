//! What people do with batches that were handed in: suspend, resume; jobs that run go on.

use nightshift_wire::{BatchId, ErrorRate};

use super::{
    rows::BatchRow,
    set::{Halt, Need, WorkingSet},
    task::Verb,
};
use crate::Refusal;

/// A batch is suspended or resumed, on the way to the store.
#[derive(Debug)]
pub(crate) struct ChangesBatch {
    pub(crate) batch: BatchId,
    pub(crate) change: BatchChange,
}

/// What happens to it.
#[derive(Debug)]
pub(crate) enum BatchChange {
    Suspend {
        reason: String,
    },
    Resume {
        /// How many errors it is allowed from now on, when that is another.
        error_rate: Option<ErrorRate>,
    },
}

impl Verb for ChangesBatch {
    type Answer = ();

    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>) {
        if !set.has_batch(self.batch) {
            needs.push(Need::Batch(self.batch));
        }
    }

    fn run(&self, set: &mut WorkingSet) -> Result<(), Halt> {
        let Some(row) = set.batch(self.batch)? else {
            return Err(Refusal::NoSuchBatch(self.batch).into());
        };
        let mut row: BatchRow = row.clone();
        match &self.change {
            BatchChange::Suspend { reason } => {
                row.suspended = Some(match reason.trim() {
                    "" => "suspended by an admin".to_owned(),
                    reason => reason.to_owned(),
                });
            }
            BatchChange::Resume { error_rate } => {
                row.suspended = None;
                row.error_rate = error_rate.unwrap_or(row.error_rate);
                row.counts.judged_results = 0;
                row.counts.judged_errors = 0;
            }
        }
        set.put_batch(row);
        Ok(())
    }
}
