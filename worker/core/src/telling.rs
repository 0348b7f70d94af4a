//! What the core tells its launcher: the same thing not too often, and nothing that could make the core wait.

use std::sync::Mutex;
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
}

impl Telling {
    /// Passes messages on to `tell`.
    pub(crate) fn new(tell: Tell) -> Self {
        Self { tell, last_progress: Mutex::new(None) }
    }

    /// Tells it now.
    pub(crate) fn say(&self, message: FromCore) {
        (self.tell)(message);
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
