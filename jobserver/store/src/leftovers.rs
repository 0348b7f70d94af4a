//! Batches that nobody sees any more and whose rows are still there: which, in words for the log, and in which steps they are
//! removed.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
};

use nightshift_wire::BatchId;

use crate::StoreError;

/// The batches that this server removes.
#[derive(Debug, Default)]
pub(crate) struct Leftovers(Mutex<BTreeSet<BatchId>>);

impl Leftovers {
    /// Notes one; whether it is new.
    pub(crate) fn note(&self, batch: BatchId) -> bool {
        self.with(|batches| batches.insert(batch))
    }

    /// Nothing is left of one.
    pub(crate) fn gone(&self, batch: BatchId) {
        self.with(|batches| batches.remove(&batch));
    }

    /// Removes each of them. One that cannot be removed keeps no other, but where the store takes nothing at all.
    ///
    /// # Errors
    /// What kept the first of those that are left.
    pub(crate) async fn remove_each<F>(&self, remove: impl Fn(BatchId) -> F) -> Result<(), StoreError>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let mut removed = Ok(());
        for batch in self.with(|batches| batches.clone()) {
            match remove(batch).await {
                Ok(()) => {
                    self.gone(batch);
                    tracing::info!(batch, "nothing is left of batch {batch}");
                }
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => removed = removed.and(Err(error)),
            }
        }
        removed
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeSet<BatchId>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A hand-in that its server did not live to finish, or a batch that it did not live to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) batch: BatchId,
    pub(crate) name: String,
    pub(crate) plugin: String,
    /// Who handed it in, where that is known.
    pub(crate) owner: Option<String>,
    /// So many records had arrived.
    pub(crate) records: u64,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Leftover { batch, name, plugin, owner, records } = self;
        let by = owner.as_deref().unwrap_or("anybody");
        write!(
            f,
            "removing batch {batch} ({name:?} for {plugin}, handed in by {by}): its hand-in broke off after {records} \
             records, or its removal did"
        )
    }
}

/// How far the removal of a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// There is more: call again.
    GoesOn,
    /// Nothing of the batch is left.
    Finished,
}

impl Removal {
    /// So many jobs are removed in one step at most.
    pub(crate) const JOBS_AT_ONCE: u32 = 200;
    /// A step ends with the job in which it has removed so many records: nobody waits long for it.
    pub(crate) const RECORDS_AT_ONCE: u64 = 5_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> StoreError {
        StoreError::Fault { doing: "removing", source: "a row refers to it".into() }
    }

    fn away() -> StoreError {
        StoreError::Away { doing: "removing", source: "the disk is full".into() }
    }

    /// What is left of batches 1, 2 and 3 when one of them cannot be removed.
    async fn left_when(kept: BatchId, why: fn() -> StoreError) -> Vec<BatchId> {
        let leftovers = Leftovers::default();
        assert!((1..=3).all(|batch| leftovers.note(batch)) && !leftovers.note(2));
        let remove = async |batch| if batch == kept { Err(why()) } else { Ok(()) };
        let error = leftovers.remove_each(remove).await.expect_err("one is left");
        assert_eq!(error.to_string(), why().to_string());
        leftovers.with(|batches| batches.iter().copied().collect())
    }

    #[tokio::test]
    async fn a_batch_that_cannot_be_removed_keeps_no_other_unless_the_store_is_away() {
        assert_eq!(left_when(1, fault).await, [1]);
        assert_eq!(left_when(2, away).await, [2, 3]);
        let none = async |_| Ok(());
        Leftovers::default().remove_each(none).await.expect("nothing to do");
    }

    #[test]
    fn what_broke_off_is_named_with_who_and_how_far() {
        let left = Leftover {
            batch: 7,
            name: "monday".to_owned(),
            plugin: "count".to_owned(),
            owner: Some("anna".to_owned()),
            records: 5_000,
        };
        let said = "removing batch 7 (\"monday\" for count, handed in by anna): its hand-in broke off after 5000 records, or \
                    its removal did";
        assert_eq!(left.to_string(), said);
        let nobodys = Leftover { owner: None, ..left };
        assert!(nobodys.to_string().contains("handed in by anybody"));
    }
}
