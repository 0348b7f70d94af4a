//! Batches that are being removed: a hand-in that its server did not live to finish, in words for the log, and in which steps
//! all that is removed goes.

use std::fmt;

use nightshift_wire::BatchId;

/// What is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokenOff {
    pub(crate) batch: BatchId,
    pub(crate) name: String,
    pub(crate) plugin: String,
    /// Who handed it in, where that is known.
    pub(crate) owner: Option<String>,
    /// So many records had arrived.
    pub(crate) records: u64,
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BrokenOff { batch, name, plugin, owner, records } = self;
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

    #[test]
    fn what_broke_off_is_named_with_who_and_how_far() {
        let left = BrokenOff {
            batch: 7,
            name: "monday".to_owned(),
            plugin: "count".to_owned(),
            owner: Some("anna".to_owned()),
            records: 5_000,
        };
        let said = "removing batch 7 (\"monday\" for count, handed in by anna): its hand-in broke off after 5000 records, or \
                    its removal did";
        assert_eq!(left.to_string(), said);
        let nobodys = BrokenOff { owner: None, ..left };
        assert!(nobodys.to_string().contains("handed in by anybody"));
    }
}
