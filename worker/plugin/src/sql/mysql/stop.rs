//! Breaks off a query from any thread: when [`Stop::now`] returns, the server was told to end it, if it answers at all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::watch;

use super::session::kill;
use crate::replica::Replica;

/// Whoever stops waits no longer than this for a server; it ends the query by its own limit then.
const STOPPING: Duration = Duration::from_millis(500);

/// Shared between the one who asks and the one who stops.
pub(super) struct Stop {
    replica: Replica,
    on: watch::Sender<bool>,
    /// The connection a query runs on; 0 when none does.
    connection: AtomicU32,
}

impl Stop {
    pub(super) fn new(replica: Replica) -> Stop {
        Stop { replica, on: watch::Sender::new(false), connection: AtomicU32::new(0) }
    }

    /// A query runs on the connection `id` from now on; with 0, none does.
    pub(super) fn watch(&self, id: u32) {
        self.connection.store(id, Ordering::SeqCst);
    }

    /// Takes an earlier stop back.
    pub(super) fn forget(&self) {
        self.on.send_replace(false);
    }

    pub(super) fn is_on(&self) -> bool {
        *self.on.borrow()
    }

    /// Waits for the stop.
    pub(super) async fn on(&self) {
        if self.on.subscribe().wait_for(|on| *on).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Stops, and has the server end the query.
    pub(super) fn now(&self) {
        self.on.send_replace(true);
        let id = self.connection.load(Ordering::SeqCst);
        if id == 0 {
            return;
        }
        // On a thread of its own: the one that stops may be an async one, which must not wait in another runtime.
        let (done, wait) = mpsc::channel();
        let replica = self.replica.clone();
        let end = move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                // One that cannot be told is away, or ends the query by its own limit.
                drop(runtime.block_on(kill(&replica, id)));
            }
            // Nobody may be waiting any more.
            let _ = done.send(());
        };
        if std::thread::Builder::new().name("query-stopper".to_owned()).spawn(end).is_ok() {
            let _ = wait.recv_timeout(STOPPING);
        }
    }
}
