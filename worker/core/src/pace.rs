//! How long a core waits for what, and how far it looks ahead. Numbers only; what is made of them is decided elsewhere.

use std::time::Duration;

/// How long the core waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long the server may hold a claim open until work comes up.
    pub claim_wait: Duration,
    /// Between a claim that brought nothing and the next.
    pub between_claims: Duration,
    /// The same after an answer that came early: a grid that is stopped has no work, and waiting brings none.
    pub after_early_answer: Duration,
    /// After the first failure to reach the server; doubles with each further one.
    pub away_first: Duration,
    /// The longest of these waits.
    pub away_most: Duration,
    /// Between the tries to hand in results that the server failed to take; doubles with each.
    pub aside_first: Duration,
    /// The longest of these waits.
    pub aside_most: Duration,
    /// After the disk took no checkpoint for the first time; doubles with each further one.
    pub disk_first: Duration,
    /// The longest of these waits.
    pub disk_most: Duration,
    /// After a plugin did not get at its data for the first time; doubles with each further one.
    pub data_first: Duration,
    /// The longest of these waits.
    pub data_most: Duration,
    /// How long the replica's data may take to become as new as the job in hand asks for, before that goes back.
    pub data_wait: Duration,
    /// Between two looks at a replica that some plugin waits for without a job.
    pub data_look: Duration,
    /// So many times its plugin's own limit may a block take, because parts of it are tried again …
    pub block_limits: u32,
    /// … and so much longer, before the plugin counts as stuck where no limit reaches it.
    pub block_grace: Duration,
    /// How long a plugin may take to leave a block that was broken off, before it counts as stuck.
    pub halt: Duration,
    /// The longest time between two heartbeats, and so until the core hears that a job is no longer wanted.
    pub heartbeat: Duration,
    /// When the next job is claimed ahead, and when not.
    pub ahead: AheadPace,
}

/// When the next job is claimed while one is in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AheadPace {
    /// So long before the expected end of the job in hand. A job server may be away for so long without idling anybody,
    /// and no job waits longer for a worker that is busy while others are not.
    pub lead: Duration,
    /// A job that is expected to end sooner needs none ahead: the next is claimed when it ends.
    pub least: Duration,
    /// A job of which nobody knows how long it takes is expected to last once it has taken so long.
    pub unmeasured: Duration,
    /// Between a claim ahead that brought nothing and the next.
    pub again: Duration,
    /// None ahead with fewer bytes free on the disk.
    pub least_disk: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            claim_wait: Duration::from_secs(10),
            between_claims: Duration::from_millis(200),
            after_early_answer: Duration::from_secs(2),
            away_first: Duration::from_millis(500),
            away_most: Duration::from_secs(30),
            aside_first: Duration::from_secs(60),
            aside_most: Duration::from_secs(15 * 60),
            disk_first: Duration::from_secs(30),
            disk_most: Duration::from_secs(600),
            data_first: Duration::from_secs(5),
            data_most: Duration::from_secs(5 * 60),
            data_wait: Duration::from_secs(30),
            data_look: Duration::from_millis(500),
            block_limits: 20,
            block_grace: Duration::from_secs(5 * 60),
            halt: Duration::from_secs(30),
            heartbeat: Duration::from_secs(60),
            ahead: AheadPace {
                lead: Duration::from_secs(5 * 60),
                least: Duration::from_millis(50),
                unmeasured: Duration::from_secs(2),
                again: Duration::from_secs(30),
                least_disk: 512 << 20,
            },
        }
    }
}
