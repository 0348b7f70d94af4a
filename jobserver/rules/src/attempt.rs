//! Where an attempt stands, and the facts about it and its job that the other rules judge by.

use nightshift_wire::{AttemptId, JobState, RecordId};

/// Where an attempt stands. All but `Running` are ends, though a lost attempt may take its job up again, and its
/// results or those of an attempt given back are still accepted while the job needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptState {
    /// It holds the lease on its job.
    Running,
    /// Its lease ran out, or its worker no longer holds it.
    Lost,
    /// Its worker gave the job back.
    GivenBack,
    /// Its results are the job's results.
    Accepted,
    /// Another attempt's results were accepted first.
    Superseded,
}

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
