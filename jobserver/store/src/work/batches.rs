//! What people do with batches that were handed in: suspend, resume; jobs that run go on.

use nightshift_wire::BatchId;

use super::{
    rows::BatchRow,
    set::{Halt, Need, WorkingSet},
    task::Verb,
};
use crate::Refusal;

/// A batch is suspended (with a reason) or resumed, on the way to the store.
#[derive(Debug)]
pub(crate) struct SuspendsBatch {
    pub(crate) batch: BatchId,
    /// `None` resumes it.
    pub(crate) reason: Option<String>,
}

impl Verb for SuspendsBatch {
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
        match &self.reason {
            Some(reason) => {
                row.suspended = Some(match reason.trim() {
                    "" => "suspended by an admin".to_owned(),
                    reason => reason.to_owned(),
                });
            }
            None => {
                row.suspended = None;
                row.counts.judged_results = 0;
                row.counts.judged_errors = 0;
            }
        }
        set.put_batch(row);
        Ok(())
    }
}
