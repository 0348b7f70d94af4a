//! The named instants between which a core can be killed. Tests stop a core at each of them; a worker passes by.

use async_trait::async_trait;

/// An instant at which what is on disk and what the server knows has just changed, or is just about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The server has answered a claim; nothing of it is on disk.
    Claimed,
    /// The attempt is noted on disk.
    Noted,
    /// The records have arrived; they are not on disk.
    Fetched,
    /// The records are on disk.
    RecordsSaved,
    /// The next job is ready, whole on disk, for the one in hand to end.
    Ahead,
    /// A block is processed; its results are not on disk.
    Processed {
        /// Records processed, this block included.
        done: u64,
    },
    /// The block's results are on disk.
    BlockSaved {
        /// Records whose results are on disk.
        done: u64,
    },
    /// Every result is on disk; nothing is handed in.
    Finished,
    /// The server failed to take the results; they stay on disk, and other work goes on.
    SetAside,
    /// The server has accepted the results; the attempt is still on disk.
    Accepted,
    /// The attempt is no longer on disk.
    Removed,
    /// The server has been told that the job comes back; the attempt is still on disk.
    GivenBack,
}

/// Is told of every moment, and may keep the core there.
#[async_trait]
pub trait Moments: Send + Sync {
    /// The core is at `moment`; it goes on when this returns.
    async fn at(&self, moment: Moment);
}

/// Lets every moment pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

#[async_trait]
impl Moments for Unwatched {
    async fn at(&self, _moment: Moment) {}
}
