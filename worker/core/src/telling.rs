//! What the core tells its launcher: the same thing not too often, and nothing that could make the core wait.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nightshift_contract::message::FromCore;

use crate::clock::Stopwatch;

/// Takes the core's messages; must not block.
pub type Tell = Box<dyn Fn(FromCore) + Send + Sync>;

/// Progress within a job is told this often at most, except its first and its last.
const OFTEN: Duration = Duration::from_millis(500);

/// Tells the launcher.
pub(crate) struct Telling {
    tell: Tell,
    last_progress: Mutex<Option<Stopwatch>>,
    /// A job is in hand: whatever else is waited for meanwhile is not what the core does.
    in_hand: AtomicBool,
}

impl Telling {
    /// Passes messages on to `tell`.
    pub(crate) fn new(tell: Tell) -> Self {
        Self { tell, last_progress: Mutex::new(None), in_hand: AtomicBool::new(false) }
    }

    /// Tells it now.
    pub(crate) fn say(&self, message: FromCore) {
        (self.tell)(message);
    }

    /// Tells what the core waits for, unless a job is in hand.
    pub(crate) fn waiting(&self, what: String) {
        if !self.in_hand.load(Ordering::Relaxed) {
            self.say(FromCore::Waiting(what));
        }
    }

    /// Tells that the core got somewhere.
    pub(crate) fn progress(&self) {
        self.say(FromCore::Progress);
    }

    /// A job is taken in hand.
    pub(crate) fn take_in_hand(&self) {
        self.in_hand.store(true, Ordering::Relaxed);
    }

    /// No job is in hand any more.
    pub(crate) fn put_down(&self) {
        self.in_hand.store(false, Ordering::Relaxed);
    }

    /// Tells how far a job is, unless that was told just now.
    pub(crate) fn working(&self, job: i64, plugin: &str, done: u64, total: u64) {
        let mut last = self.last_progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if done > 0 && done < total && last.is_some_and(|last| last.elapsed() < OFTEN) {
            return;
        }
        *last = Some(Stopwatch::start());
        drop(last);
        self.say(FromCore::Working { job, plugin: plugin.to_owned(), done, total });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_fast_job_tells_its_beginning_and_its_end() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = {
            let told = Arc::clone(&told);
            Telling::new(Box::new(move |message| told.lock().expect("no panic").push(message)))
        };
        for done in 0..=4 {
            telling.working(7, "p", done, 4);
        }
        let told: Vec<FromCore> = told.lock().expect("no panic").clone();
        let working = |done| FromCore::Working { job: 7, plugin: "p".into(), done, total: 4 };
        assert_eq!(told, [working(0), working(4)]);
    }
}
