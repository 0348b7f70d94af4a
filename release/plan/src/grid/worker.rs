//! A worker, and what a job takes on it.

use crate::jobs::Held;
use crate::office::Office;

/// Who a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// A PC's VM, whose first stretch begins so many milliseconds after the simulation.
    Pc { phase: u32 },
    /// The same on a PC where every job fails.
    BadPc { phase: u32 },
    /// The server of today, which never goes away.
    Server,
}

/// A worker. Two lines of the processor's cache: a simulation waits for little else.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Worker {
    pub(super) who: Who,
    pub(super) is_on: bool,
    pub(super) is_drained: bool,
    pub(super) in_hand: Option<Held>,
    pub(super) ahead: Option<Held>,
    /// What of the job in hand is done, as of `runs_since`.
    pub(super) done_ms: u64,
    /// Since when the job in hand is being worked on; in the future while its records are on their way.
    pub(super) runs_since: u64,
    /// Since when it is on, or the moment it comes back.
    pub(super) since: u64,
    pub(super) away_at: u64,
    /// When it looks for a job the next time, where workers look from time to time.
    pub(super) look_at: u64,
}

/// What a job takes on whom, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    pub(super) pc_ms: u64,
    pub(super) server_ms: u64,
    /// Until it has failed on a bad PC.
    pub(super) fails_ms: u64,
}

impl Worker {
    /// When the job in hand is done if nothing comes between.
    pub(super) fn done_at(&self, takes: &Takes) -> u64 {
        self.runs_since.saturating_add(self.work_ms(takes) - self.done_ms)
    }

    /// What the job in hand takes.
    pub(super) fn work_ms(&self, takes: &Takes) -> u64 {
        match self.who {
            Who::Pc { .. } => takes.pc_ms,
            Who::BadPc { .. } => takes.fails_ms,
            Who::Server => takes.server_ms,
        }
    }

    /// How often it looks for a job; 0: whenever it has none. The server of today always has.
    pub(super) fn looks_every(&self, office: &Office) -> u64 {
        if self.who == Who::Server { 0 } else { office.look_every_ms }
    }
}

impl Who {
    /// When the first stretch of a PC begins.
    pub(super) fn phase(self) -> Option<u64> {
        match self {
            Who::Pc { phase } | Who::BadPc { phase } => Some(phase.into()),
            Who::Server => None,
        }
    }

    pub(super) fn is_pc(self) -> bool {
        self != Who::Server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_two_lines_of_the_cache() {
        assert_eq!(size_of::<Worker>(), 128);
    }
}
