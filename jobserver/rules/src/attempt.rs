//! The facts about an attempt and its job that the other rules judge by.

pub use nightshift_wire::AttemptState;
use nightshift_wire::{AttemptId, JobState, RecordId};

/// What is known of a job when an attempt of it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobFacts {
    /// Where it stands.
    pub state: JobState,
    /// Its revision.
    pub revision: u32,
    /// The attempt that holds it or did it.
    pub attempt: Option<AttemptId>,
    /// Its first record; the numbers of a job's records follow one another.
    pub first_record: RecordId,
    /// How many records it has.
    pub records: u64,
}

/// What is known of the attempt that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptFacts {
    /// The attempt.
    pub id: AttemptId,
    /// Where it stands.
    pub state: AttemptState,
    /// The revision of the job it was given.
    pub revision: u32,
}
