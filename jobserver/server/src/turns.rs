//! A worker claims one job at a time: its newer claim ends an older one that still waits.
//!
//! A connection that broke without a word leaves its claim waiting here, with a list of what the worker held back then.
//! Were it to find a job later, it would take away from the worker whatever that has got since, and keep the new job
//! for nobody.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The claims that wait, by worker.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<String, CancellationToken>>);

/// The time in which a claim is its worker's newest.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    worker: &'t str,
    over: CancellationToken,
}

impl Turns {
    /// A worker claims; what it claimed before is over.
    pub(crate) fn begin<'t>(&'t self, worker: &'t str) -> Turn<'t> {
        let over = CancellationToken::new();
        let mut waiting = self.waiting();
        if let Some(older) = waiting.insert(worker.to_owned(), over.clone()) {
            older.cancel();
        }
        drop(waiting);
        Turn { turns: self, worker, over }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Cancelled when the worker claims again.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.over
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.turns.waiting();
        // A newer claim may have come in between.
        if !self.over.is_cancelled() {
            waiting.remove(self.worker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_claim_ends_the_older_one_of_its_worker_alone_and_nothing_is_kept() {
        let turns = Turns::default();
        let (older, other) = (turns.begin("w-1"), turns.begin("w-2"));
        let newer = turns.begin("w-1");
        assert!(older.over().is_cancelled() && !other.over().is_cancelled() && !newer.over().is_cancelled());
        drop(older);
        assert!(turns.waiting().contains_key("w-1"), "the newer one still waits");
        drop((newer, other));
        assert!(turns.waiting().is_empty());
    }
}
