//! The one thread that writes: many verbs, one commit.
//!
//! The procedure: take every verb that is queued; load what they need into the working set; run each on it; write what
//! they changed, each row once; commit; only then answer. If the commit fails, or SQLite undoes the whole transaction
//! half-way (a full disk does that), every verb of the group hears that nothing was done, those that had been refused
//! included: what they were refused for may have been undone.
//!
//! Verbs of job control (`crate::work`) are pure and share the set. The store's own work (hand-ins, reports) is done on
//! the connection, in a savepoint each, and what it fails at is undone alone. What writes many rows has a commit of its
//! own, and small verbs go first.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, ffi};
use tokio::sync::{mpsc, oneshot};

use super::{failure::Failure, load, sql, write};
use crate::work::{
    set::{Need, WorkingSet},
    task::{Call, Ran, Task, Verb},
};

/// So many verbs share a commit at most, so that the first of them does not wait for ever.
const GROUP: usize = 128;

/// What writes so many rows has a commit of its own.
pub(super) const HEAVY: usize = 2_000;

/// A verb that is still missing something after so many loads would be for ever.
const MOST_LOADS: u32 = 100_000;

/// Where a verb's answer arrives.
type Answered<V> = oneshot::Receiver<Result<<V as Verb>::Answer, Failure>>;

/// A handle to the thread. Dropping it ends the thread when the queue is empty.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Item>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(connection: Connection) -> std::io::Result<Writer> {
        let (queue, items) = mpsc::channel(2 * GROUP);
        let thread =
            std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || serve(connection, items))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs a verb of job control and waits until it is durable.
    pub(super) async fn run<V: Verb>(&self, verb: V) -> Result<V::Answer, Failure> {
        self.begin(verb).await?.await.map_err(|_| Failure::Ended)?
    }

    /// Queues a verb of job control; where its answer arrives when it is durable.
    pub(super) async fn begin<V: Verb>(&self, verb: V) -> Result<Answered<V>, Failure> {
        let (call, answered) = Call::new(verb);
        self.queue(Item::Verb(Box::new(call))).await?;
        Ok(answered)
    }

    /// Does some work on the connection, about so many rows of it, and waits until it is durable. It may be done more than
    /// once, each time as if it were the first.
    pub(super) async fn call<T, F>(&self, weight: usize, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &mut WorkingSet) -> Result<T, Failure> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.queue(Item::Own(Box::new(Work { work, weight, outcome: None, answer }))).await?;
        answered.await.map_err(|_| Failure::Ended)?
    }

    /// Does a little work that has nothing to do with jobs, as [`call`](Writer::call).
    pub(super) async fn change<T, F>(&self, mut work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        self.call(1, move |connection, _| work(connection)).await
    }

    async fn queue(&self, item: Item) -> Result<(), Failure> {
        let queue = self.queue.as_ref().ok_or(Failure::Ended)?;
        queue.send(item).await.map_err(|_| Failure::Ended)
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

/// What waits for the thread.
enum Item {
    Verb(Box<dyn Task<Failure>>),
    Own(Box<dyn Own>),
}

impl Item {
    fn weight(&self) -> usize {
        match self {
            Item::Verb(verb) => verb.weight(),
            Item::Own(own) => own.weight(),
        }
    }

    fn answer(self, not_committed: Option<&Arc<Failure>>) {
        let not_committed = not_committed.map(|failure| Failure::NotCommitted(Arc::clone(failure)));
        match self {
            Item::Verb(verb) => verb.answer(not_committed),
            Item::Own(own) => own.answer(not_committed),
        }
    }
}

fn serve(mut connection: Connection, mut items: mpsc::Receiver<Item>) {
    let mut set = WorkingSet::new();
    let mut group = Vec::with_capacity(GROUP);
    let mut heavy = VecDeque::new();
    loop {
        if heavy.is_empty() {
            if items.blocking_recv_many(&mut group, GROUP) == 0 {
                return;
            }
        } else {
            while group.len() < GROUP
                && let Ok(item) = items.try_recv()
            {
                group.push(item);
            }
        }
        heavy.extend(group.extract_if(.., |item| item.weight() >= HEAVY));
        commit(&mut connection, &mut set, &mut group);
        if let Some(item) = heavy.pop_front() {
            group.push(item);
            commit(&mut connection, &mut set, &mut group);
        }
    }
}

/// Runs a group in one transaction and answers. When it fails for what one of them does, each gets a transaction of its
/// own, so that it fails alone.
fn commit(connection: &mut Connection, set: &mut WorkingSet, group: &mut Vec<Item>) {
    if group.is_empty() {
        return;
    }
    match run(connection, set, group) {
        Ok(()) => group.drain(..).for_each(|item| item.answer(None)),
        Err(failure) => {
            set.forget();
            if failure.is_away() || group.len() == 1 {
                let failure = Arc::new(failure);
                group.drain(..).for_each(|item| item.answer(Some(&failure)));
                return;
            }
            for mut item in group.drain(..) {
                let alone = run(connection, set, std::slice::from_mut(&mut item));
                let failure = alone.err().map(Arc::new);
                if failure.is_some() {
                    set.forget();
                }
                item.answer(failure.as_ref());
            }
        }
    }
}

/// Runs a group in one transaction. After an error nothing of it was done.
fn run(connection: &mut Connection, set: &mut WorkingSet, group: &mut [Item]) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if set.numbers_left() == 0 {
        set.load_numbers(load::next_attempt(&transaction)?..i64::MAX);
    }
    let mut verbs: Vec<&mut Box<dyn Task<Failure>>> = Vec::with_capacity(group.len());
    for item in group {
        match item {
            Item::Verb(verb) => verbs.push(verb),
            Item::Own(own) => {
                run_verbs(&transaction, set, std::mem::take(&mut verbs))?;
                run_own(&transaction, set, own.as_mut())?;
            }
        }
    }
    run_verbs(&transaction, set, verbs)?;
    Ok(transaction.commit()?)
}

/// Verbs of job control: load, run, write.
fn run_verbs(
    connection: &Connection,
    set: &mut WorkingSet,
    mut verbs: Vec<&mut Box<dyn Task<Failure>>>,
) -> Result<(), Failure> {
    // A caller that is gone (a broken connection) gets nothing done: a job claimed for nobody would only wait.
    verbs.retain(|verb| verb.is_wanted());
    if verbs.is_empty() {
        return Ok(());
    }
    let mut needs = Vec::with_capacity(2 * verbs.len());
    verbs.iter().for_each(|verb| verb.needs(set, &mut needs));
    for need in &needs {
        load::load(connection, set, need)?;
    }
    for verb in verbs {
        let mut loads = 0;
        while let Ran::Missing(needs) = verb.run(set) {
            loads += 1;
            if loads > MOST_LOADS {
                return Err(Failure::Contradiction(format!("a verb is for ever missing {needs:?}")));
            }
            if needs.iter().any(Need::is_query) {
                write::write(connection, set)?;
            }
            for need in &needs {
                load::load(connection, set, need)?;
            }
        }
    }
    write::write(connection, set)?;
    set.end();
    Ok(())
}

/// The store's own work, undone alone when it fails.
fn run_own(connection: &Connection, set: &mut WorkingSet, own: &mut dyn Own) -> Result<(), Failure> {
    connection.prepare_cached(sql::SAVEPOINT)?.execute([])?;
    let keep = own.run(connection, set);
    if connection.is_autocommit() {
        let undone = ffi::Error { code: ErrorCode::DiskFull, extended_code: ffi::SQLITE_FULL };
        let text = "SQLite undid the whole transaction, as it does on a full or failing disk".to_owned();
        return Err(rusqlite::Error::SqliteFailure(undone, Some(text)).into());
    }
    if let Keep::No = keep {
        connection.prepare_cached(sql::UNDO_SAVEPOINT)?.execute([])?;
    }
    connection.prepare_cached(sql::KEEP_SAVEPOINT)?.execute([])?;
    Ok(())
}

/// Whether what was written shall stay.
enum Keep {
    Yes,
    No,
}

/// The store's own work in the queue.
trait Own: Send {
    /// About how many rows it writes.
    fn weight(&self) -> usize;
    /// Does it, and remembers the outcome.
    fn run(&mut self, connection: &Connection, set: &mut WorkingSet) -> Keep;
    /// Tells the caller, after the commit.
    fn answer(self: Box<Self>, not_committed: Option<Failure>);
}

struct Work<T, F> {
    work: F,
    weight: usize,
    outcome: Option<Result<T, Failure>>,
    answer: oneshot::Sender<Result<T, Failure>>,
}

impl<T, F> Own for Work<T, F>
where
    T: Send,
    F: FnMut(&Connection, &mut WorkingSet) -> Result<T, Failure> + Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn run(&mut self, connection: &Connection, set: &mut WorkingSet) -> Keep {
        if self.answer.is_closed() {
            return Keep::No;
        }
        // Its fault must not take the store from everybody else.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(connection, set))).unwrap_or(Err(Failure::Ended));
        let keep = if outcome.is_ok() { Keep::Yes } else { Keep::No };
        self.outcome = Some(outcome);
        keep
    }

    fn answer(self: Box<Self>, not_committed: Option<Failure>) {
        let outcome = match (not_committed, self.outcome) {
            (None, Some(outcome)) => outcome,
            (None, None) => return,
            // Its own error says more than that of the group.
            (Some(_), Some(Err(own @ Failure::Sqlite(_)))) => Err(own),
            (Some(failure), _) => Err(failure),
        };
        // The caller may be gone by now; the work is done all the same, and repeating it is safe.
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
            requirements: Default::default(),
            lease_ms: 1,
            sampled: None,
            max_attempts: 1,
            error_rate: nightshift_wire::ErrorRate::DEFAULT,
            position: None,
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
            let mut begun = Some(begun);
            let wait = move |_: &Connection, _: &mut WorkingSet| {
                let _ = begun.take().map(|begun| begun.send(()));
                released.recv().map_err(|_| Failure::Ended)
            };
            tokio::spawn(async move { store.writer.call(1, wait).await })
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
                let open = move |connection: &Connection, _: &mut WorkingSet| {
                    let batch = crate::sqlite::hand_in::open(connection, &new_batch(name), 0)?;
                    if name == "refused" { Err(Refusal::NoRecords(batch).into()) } else { Ok(batch) }
                };
                store.writer.call(1, open).await.map_err(|failure| failure.of("testing"))
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
                let open = move |connection: &Connection, _: &mut WorkingSet| {
                    let batch = crate::sqlite::hand_in::open(connection, &new_batch(name), 0)?;
                    if name == "broken" { std::panic::resume_unwind(Box::new(name)) } else { Ok(batch) }
                };
                store.writer.call(1, open).await.map_err(|failure| failure.of("testing"))
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
                let open = move |connection: &Connection, _: &mut WorkingSet| {
                    let batch = crate::sqlite::hand_in::open(connection, &new_batch(name), 0)?;
                    match name {
                        "refused" => return Err(Refusal::NoRecords(batch).into()),
                        // What SQLite does by itself when a disk is full.
                        "full" => connection.execute_batch("ROLLBACK")?,
                        _ => {}
                    }
                    Ok(batch)
                };
                store.writer.call(1, open).await.map_err(|failure| failure.of("testing"))
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
            move |connection: &Connection, _: &mut WorkingSet| {
                let used: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
                Ok(connection.pragma_update(None, "max_page_count", used + pages)?)
            }
        };
        store.writer.call(1, limit(20)).await.expect("the disk is small now");
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

        store.writer.call(1, limit(1_000_000)).await.expect("the disk is large again");
        append().await.expect("stored");
        assert_eq!(store.seal_batch(batch).await.expect("sealed").jobs, stored as u64 + 1);
    }
}
