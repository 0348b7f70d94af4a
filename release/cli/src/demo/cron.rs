//! Plays cron for a few workers: starts `nightshift-worker run` again whenever it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nightshift_testbed::grid::Worker;

use crate::wait;

/// Between the end of a cycle and the next; real crons take ten minutes.
const PAUSE: Duration = Duration::from_secs(1);

/// Cron for some workers, until it is dropped.
#[derive(Debug)]
pub(super) struct Cron {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Cron {
    /// Starts each worker's first cycle now.
    pub(super) fn start(workers: &[Arc<Worker>]) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let watch = |worker: &Arc<Worker>| {
            let (worker, ended) = (worker.clone(), ended.clone());
            std::thread::spawn(move || keep_running(&worker, &ended))
        };
        Self { threads: workers.iter().map(watch).collect(), ended }
    }
}

impl Drop for Cron {
    /// Ends the cycles that run; their cores end with them.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

fn keep_running(worker: &Worker, ended: &AtomicBool) {
    let over = || ended.load(Ordering::Relaxed);
    while !over() {
        // A cycle that cannot be started is tried again, as cron does; the story notices when nothing happens.
        if let Ok(mut cycle) = worker.start_cycle() {
            wait::while_it(|| cycle.runs() && !over());
        }
        wait::at_most(PAUSE, over);
    }
}
