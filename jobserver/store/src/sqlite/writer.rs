//! The one thread that writes: many verbs, one commit.
//!
//! The procedure: take every verb that is queued; run each in a savepoint of one transaction; undo the savepoint of a
//! verb that fails; commit once; only then answer. If the commit fails, or SQLite undoes the whole transaction half-way
//! (a full disk does that), every verb of the group hears that nothing was done, those that had been refused included:
//! what they were refused for may have been undone.
//!
//! What a verb does is its own business (`hand_in.rs`, `work.rs`, `workers.rs`).

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, ffi};
use tokio::sync::{mpsc, oneshot};

use super::{failure::Failure, sql};

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
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Prepared once, not for every verb as rusqlite's own savepoints are.
    let mut savepoint = transaction.prepare_cached(sql::SAVEPOINT)?;
    let mut keep_savepoint = transaction.prepare_cached(sql::KEEP_SAVEPOINT)?;
    for verb in group {
        savepoint.execute([])?;
        let keep = verb.run(&transaction);
        if transaction.is_autocommit() {
            let undone = ffi::Error { code: ErrorCode::DiskFull, extended_code: ffi::SQLITE_FULL };
            let text = "SQLite undid the whole transaction, as it does on a full or failing disk".to_owned();
            return Err(rusqlite::Error::SqliteFailure(undone, Some(text)));
        }
        if let Keep::No = keep {
            transaction.prepare_cached(sql::UNDO_SAVEPOINT)?.execute([])?;
        }
        keep_savepoint.execute([])?;
    }
    drop((savepoint, keep_savepoint));
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
        // One verb's fault must not take the store from everybody else.
        let outcome = catch_unwind(AssertUnwindSafe(|| run(connection))).unwrap_or(Err(Failure::Ended));
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

#[cfg(test)]
mod tests {
    use std::iter::successors;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinHandle;

    use super::*;
    use crate::{NewBatch, Refusal, Store as _, StoreError, sqlite::SqliteStore};

    fn new_batch(name: &str) -> NewBatch {
        NewBatch {
            name: name.to_owned(),
            plugin: "p".to_owned(),
            priority: 0,
            columns: vec!["text".to_owned()],
            outputs: vec!["count".to_owned()],
            lease_ms: 1,
            max_attempts: 1,
        }
    }

    fn store() -> (Arc<SqliteStore>, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        (Arc::new(SqliteStore::open(&folder.path().join("store.sqlite")).expect("open")), folder)
    }

    /// Queues verbs while the thread is busy, so that they form one group; `gone` callers leave before their turn.
    async fn group<T, F>(store: &Arc<SqliteStore>, verbs: Vec<F>, gone: &[usize]) -> Vec<Option<Result<T, StoreError>>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (release, released) = std::sync::mpsc::channel();
        let (begun, beginning) = oneshot::channel();
        let busy = {
            let store = Arc::clone(store);
            let wait = move |_: &Connection| {
                let _ = begun.send(());
                released.recv().map_err(|_| Failure::Ended)
            };
            tokio::spawn(async move { store.writer.call(wait).await })
        };
        beginning.await.expect("the thread is busy");
        let callers: Vec<JoinHandle<_>> = verbs.into_iter().map(tokio::spawn).collect();
        // One turn of this thread's runtime: every caller has queued its verb.
        tokio::task::yield_now().await;
        for &caller in gone {
            callers[caller].abort();
        }
        tokio::task::yield_now().await;
        release.send(()).expect("the thread waits");
        busy.await.expect("no panic").expect("the thread goes on");
        let mut answers = Vec::new();
        for caller in callers {
            answers.push(caller.await.ok());
        }
        answers
    }

    fn opening(store: &Arc<SqliteStore>, name: &str) -> impl Future<Output = Result<i64, StoreError>> + use<> {
        let (store, batch) = (Arc::clone(store), new_batch(name));
        async move { store.open_batch(batch, 0).await }
    }

    async fn names(store: &SqliteStore) -> Vec<String> {
        let batches = store.batches(u32::MAX).await.expect("batches");
        batches.into_iter().rev().map(|batch| batch.name).collect()
    }

    #[tokio::test]
    async fn verbs_queued_together_share_one_commit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("store.sqlite");
        let mut connection = crate::sqlite::connect(&path).expect("connect");
        let commits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&commits);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        connection.commit_hook(Some(count)).expect("the hook is set");
        let lock = crate::sqlite::lock::Lock::take(&path).expect("lock");
        let store = Arc::new(SqliteStore::start(connection, path, lock, Default::default()).expect("start"));

        let verbs = (0..100).map(|name| opening(&store, &name.to_string())).collect();
        let answers = group(&store, verbs, &[]).await;
        assert!(answers.iter().all(|answer| matches!(answer, Some(Ok(_)))));
        assert_eq!(names(&store).await.len(), 100);
        // One of the busy thread's empty transaction, one of the group.
        assert_eq!(commits.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_refused_verb_undoes_its_own_work_and_nobody_elses() {
        let (store, _folder) = store();
        let verb = |name: &'static str| {
            let store = Arc::clone(&store);
            async move {
                let open = move |connection: &Connection| {
                    let batch = crate::sqlite::hand_in::open(connection, &new_batch(name), 0)?;
                    if name == "refused" { Err(Refusal::NoRecords(batch).into()) } else { Ok(batch) }
                };
                store.writer.call(open).await.map_err(|failure| failure.of("testing"))
            }
        };
        let mut answers = group(&store, ["first", "refused", "last"].map(verb).into(), &[]).await;
        assert!(matches!(answers.remove(1), Some(Err(StoreError::Refused(_)))));
        assert!(answers.iter().all(|answer| matches!(answer, Some(Ok(_)))));
        assert_eq!(names(&store).await, ["first", "last"]);
    }

    #[tokio::test]
    async fn a_caller_that_is_gone_before_its_turn_gets_nothing_done() {
        let (store, _folder) = store();
        let verbs = ["first", "gone", "last"].map(|name| opening(&store, name)).into();
        let answers = group(&store, verbs, &[1]).await;
        assert!(answers[1].is_none());
        assert_eq!(names(&store).await, ["first", "last"]);
    }

    #[tokio::test]
    async fn a_verb_that_panics_fails_alone() {
        let (store, _folder) = store();
        let verb = |name: &'static str| {
            let store = Arc::clone(&store);
            async move {
                let open = move |connection: &Connection| {
                    let batch = crate::sqlite::hand_in::open(connection, &new_batch(name), 0)?;
                    if name == "broken" { std::panic::resume_unwind(Box::new(name)) } else { Ok(batch) }
                };
                store.writer.call(open).await.map_err(|failure| failure.of("testing"))
            }
        };
        let mut answers = group(&store, ["first", "broken", "last"].map(verb).into(), &[]).await;
        assert!(matches!(answers.remove(1), Some(Err(StoreError::Fault { .. }))));
        assert!(answers.iter().all(|answer| matches!(answer, Some(Ok(_)))));
        assert_eq!(names(&store).await, ["first", "last"]);
    }

    #[tokio::test]
    async fn when_sqlite_undoes_the_transaction_nobody_of_the_group_is_told_otherwise() {
        let (store, _folder) = store();
        let verb = |name: &'static str| {
            let store = Arc::clone(&store);
            async move {
                let open = move |connection: &Connection| {
                    let batch = crate::sqlite::hand_in::open(connection, &new_batch(name), 0)?;
                    match name {
                        "refused" => return Err(Refusal::NoRecords(batch).into()),
                        // What SQLite does by itself when a disk is full.
                        "full" => connection.execute_batch("ROLLBACK")?,
                        _ => {}
                    }
                    Ok(batch)
                };
                store.writer.call(open).await.map_err(|failure| failure.of("testing"))
            }
        };
        let answers = group(&store, ["first", "refused", "full", "last"].map(verb).into(), &[]).await;
        for answer in answers {
            let error = answer.expect("an answer").expect_err("nothing was done");
            assert!(error.is_retryable(), "{error:?}");
            let deepest = successors(Some(&error as &dyn std::error::Error), |error| error.source()).last();
            assert!(deepest.is_some_and(|cause| cause.to_string().contains("full")), "the log says why: {error:?}");
        }
        assert_eq!(names(&store).await, [""; 0]);
        store.open_batch(new_batch("later"), 0).await.expect("the thread goes on");
    }

    #[tokio::test]
    async fn a_full_disk_is_worth_a_retry_and_acknowledges_nothing_that_is_not_stored() {
        let (store, _folder) = store();
        let limit = |pages: i64| {
            move |connection: &Connection| {
                let used: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
                Ok(connection.pragma_update(None, "max_page_count", used + pages)?)
            }
        };
        store.writer.call(limit(20)).await.expect("the disk is small now");
        let batch = store.open_batch(new_batch("b"), 0).await.expect("open");
        let records = vec![vec!["x".repeat(1_000)]; 50];
        let append = || {
            let (store, records) = (Arc::clone(&store), records.clone());
            async move { store.append_job(batch, records).await }
        };
        let answers = group(&store, (0..5).map(|_| append()).collect(), &[]).await;
        let answers: Vec<Result<(), StoreError>> = answers.into_iter().flatten().collect();
        let stored = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(stored < 5, "the disk is full");
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert!(error.is_retryable(), "{error:?}");
        }
        let kept = store.batch(batch).await.expect("batch");
        assert_eq!((kept.jobs, kept.records), (stored as u64, 50 * stored as u64));

        store.writer.call(limit(1_000_000)).await.expect("the disk is large again");
        append().await.expect("stored");
        assert_eq!(store.seal_batch(batch).await.expect("sealed").jobs, stored as u64 + 1);
    }
}
