//! The one thread that writes: many verbs, one commit.
//!
//! The procedure: take every verb that is queued; run each in a savepoint of one transaction; undo the savepoint of a
//! verb that fails; commit once; only then answer. If the commit fails, or SQLite undoes the whole transaction half-way
//! (a full disk does that), every verb of the group hears that nothing was done, those that had been refused included:
//! what they were refused for may have been undone.
//!
//! What a verb does is its own business (`hand_in.rs`, `work.rs`, `workers.rs`).

use std::{sync::Arc, thread::JoinHandle};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, ffi};
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;

/// So many verbs share a commit at most, so that the first of them does not wait for ever.
const GROUP: usize = 128;

/// A handle to the thread. Dropping it ends the thread when the queue is empty.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Verb>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(connection: Connection) -> std::io::Result<Writer> {
        let (queue, verbs) = mpsc::channel(2 * GROUP);
        let thread =
            std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || serve(connection, verbs))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs a verb and waits until it is durable.
    pub(super) async fn call<T, F>(&self, run: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let verb = Box::new(Call { run: Some(run), outcome: None, answer });
        let queue = self.queue.as_ref().ok_or(Failure::Ended)?;
        queue.send(verb).await.map_err(|_| Failure::Ended)?;
        answered.await.map_err(|_| Failure::Ended)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writing thread ended by a fault");
        }
    }
}

fn serve(mut connection: Connection, mut verbs: mpsc::Receiver<Box<dyn Verb>>) {
    let mut group = Vec::with_capacity(GROUP);
    while verbs.blocking_recv_many(&mut group, GROUP) > 0 {
        let committed = run(&mut connection, &mut group).map_err(Arc::new);
        for verb in group.drain(..) {
            verb.answer(&committed);
        }
    }
}

/// Runs a group of verbs in one transaction. After an error none of them has done anything.
fn run(connection: &mut Connection, group: &mut [Box<dyn Verb>]) -> rusqlite::Result<()> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for verb in group {
        let savepoint = transaction.savepoint()?;
        match verb.run(&savepoint) {
            Keep::Yes => savepoint.commit()?,
            Keep::No => drop(savepoint),
        }
        if transaction.is_autocommit() {
            let undone = ffi::Error { code: ErrorCode::DiskFull, extended_code: ffi::SQLITE_FULL };
            let text = "SQLite undid the whole transaction, as it does on a full or failing disk".to_owned();
            return Err(rusqlite::Error::SqliteFailure(undone, Some(text)));
        }
    }
    transaction.commit()
}

/// Whether what a verb wrote shall stay.
enum Keep {
    Yes,
    No,
}

/// A verb in the queue.
trait Verb: Send {
    /// Does its work, once, and remembers the outcome.
    fn run(&mut self, connection: &Connection) -> Keep;
    /// Tells the caller, after the commit.
    fn answer(self: Box<Self>, committed: &Result<(), Arc<rusqlite::Error>>);
}

struct Call<T, F> {
    run: Option<F>,
    outcome: Option<Result<T, Failure>>,
    answer: oneshot::Sender<Result<T, Failure>>,
}

impl<T, F> Verb for Call<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Failure> + Send,
{
    fn run(&mut self, connection: &Connection) -> Keep {
        // A caller that is gone (a broken connection) gets nothing done: a job claimed for nobody would only wait.
        let Some(run) = self.run.take().filter(|_| !self.answer.is_closed()) else {
            return Keep::No;
        };
        let outcome = run(connection);
        let keep = if outcome.is_ok() { Keep::Yes } else { Keep::No };
        self.outcome = Some(outcome);
        keep
    }

    fn answer(self: Box<Self>, committed: &Result<(), Arc<rusqlite::Error>>) {
        let outcome = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => return,
            // Its own error says more than that of the group.
            (Err(_), Some(Err(own @ Failure::Sqlite(_)))) => Err(own),
            (Err(error), _) => Err(Failure::NotCommitted(Arc::clone(error))),
        };
        // The caller may be gone by now; the verb is done all the same, and repeating it is safe.
        let _ = self.answer.send(outcome);
    }
}
