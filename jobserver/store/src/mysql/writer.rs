//! The group writer: many verbs of job control, one transaction, one commit.
//!
//! The procedure, for all verbs that are queued (as far as they fit a group):
//! 1. begin; load what they need, locked, in few statements (`load.rs`); see that the queue has enough to offer;
//! 2. run each on the working set (`crate::work`); load what one turns out to miss, after writing what changed so far when
//!    that is asked for by a rule;
//! 3. write every change in bulk (`write.rs`), and the group's own mark; commit; only then answer.
//!
//! While a group commits, the next one, if it is large enough, is loaded, run and written, and waits with its own commit until the earlier
//! one's outcome is known. It sees nothing of the earlier one but what is committed, and waits where they meet in a row; so
//! it is right whatever becomes of the earlier. A group that changes what is read without a lock ([`Written::Alone`]) is not
//! overlapped. Each of the two has a mark of its own.
//!
//! A round that fails for a reason that passes by itself is followed by another, with everything read anew, and with no other
//! group under way. When it is not known whether a commit took place, the next round looks for the group's mark first. A
//! group that fails for what one verb does is taken apart: each verb gets a transaction of its own, and fails alone.
//!
//! Other servers write to the same tables. What is right does not depend on the queue: a job is handed out only if it waits
//! when its row is locked. The queue is read anew every second, so that it does not miss for long what others did.
//!
//! All of this runs on a thread of its own: a group is a dozen questions to the database one after the other, and among a
//! thousand requests on the server's own threads each answer would wait for its turn longer than the database took.
//!
//! There are three writers, each with connections and a working set of its own. One has the queue: claims, and whatever may
//! make a job wait. Submissions and signs of life go to another, which works while the first waits for its commit; what
//! they do to waiting jobs is seen when a claim locks those. Submissions of many rows have the third, so that small ones
//! do not wait for them.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use mysql_async::{Opts, params};
use nightshift_wire::{AttemptId, ClaimRequest, Moment};
use tokio::{
    runtime::Builder,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

use super::{
    connection::{Connections, Limits, Rounds, Tx},
    failure::Failure,
    given::{Begun, Done, Given},
    load::{self, Jobs, Lanes},
    numbers::Numbers,
    sql,
    write::{self, Rows, Written},
};
use crate::work::{
    set::{Need, WorkingSet},
    task::{Answered, Call, Ran, Task, Verb},
};

/// So many verbs share a commit at most, so that the first of them does not wait for ever. What a group costs beside its
/// verbs (syncs of the disk, statements, the wait of one writer for the other at a batch's row) is the less for each of
/// them the more they are.
const GROUP: usize = 1_024;

/// A group is full when its verbs write about so many rows.
const FULL: usize = 2_000;

/// Verbs that write so many rows are worth a group of their own while another commits; fewer wait for it to end, since a
/// group costs the more for each verb the smaller it is.
const WORTH: usize = 96;

/// What writes so many rows goes to the writer of large ones.
const LARGE: usize = 500;

/// A verb that is still missing something after so many loads would be for ever.
const MOST_LOADS: u32 = 10_000;

/// What was asked for within so many milliseconds happens at the same moment, when it shares a commit: a column that is alike
/// in all rows of a statement is one value in it.
const AT_ONE_MOMENT_MS: Moment = 50;

/// How often the queue is read anew.
const READ_ANEW: Duration = Duration::from_secs(1);

/// The writers of a server. Dropping them ends them when their queues are empty.
#[derive(Debug)]
pub(super) struct Writers {
    jobs: mpsc::Sender<Item>,
    results: mpsc::Sender<Item>,
    large: mpsc::Sender<Item>,
    news: Arc<News>,
}

/// What the writer with the queue has not heard yet.
#[derive(Debug, Default)]
struct News {
    lanes_changed: AtomicBool,
    read_anew: AtomicBool,
}

type Item = Box<dyn Task<Failure>>;

impl Writers {
    /// Starts them, on a thread and connections of their own; `name` is this server's, never used by another.
    pub(super) fn start(opts: &Opts, limits: Limits, numbers: &Arc<Numbers>, name: &str) -> io::Result<Writers> {
        let news = Arc::new(News::default());
        let [(jobs, to_jobs), (results, to_results), (large, to_large)] = [(); 3].map(|()| mpsc::channel(2 * GROUP));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let kinds = [("jobs", to_jobs), ("results", to_results), ("large", to_large)];
        let (opts, numbers, heard, name) = (opts.clone(), Arc::clone(numbers), Arc::clone(&news), name.to_owned());
        let given = Arc::new(Given::default());
        let serve = async move {
            let connections = Connections::to_write(&opts, limits);
            let mut serving = JoinSet::new();
            for (kind, items) in kinds {
                let writer = Writer {
                    marks: [format!("{name} {kind} 0"), format!("{name} {kind} 1")],
                    groups: 0,
                    flight: None,
                    connections: connections.clone(),
                    numbers: Arc::clone(&numbers),
                    news: Arc::clone(&heard),
                    given: Arc::clone(&given),
                    set: WorkingSet::new(),
                    lanes: Lanes::default(),
                };
                serving.spawn(writer.serve(items));
            }
            serving.join_all().await;
        };
        thread::Builder::new().name("store-writer".to_owned()).spawn(move || runtime.block_on(serve))?;
        Ok(Writers { jobs, results, large, news })
    }

    /// Runs a verb and waits until it is durable.
    pub(super) async fn run<V: Verb>(&self, verb: V) -> Result<V::Answer, Failure> {
        self.begin(verb).await?.await.map_err(|_| Failure::Ended)?
    }

    /// Queues a verb; where its answer will arrive when it is durable.
    pub(super) async fn begin<V: Verb>(&self, verb: V) -> Result<Answered<V, Failure>, Failure> {
        let queue = match (verb.makes_nothing_wait(), verb.weight()) {
            (true, LARGE..) => &self.large,
            (true, _) => &self.results,
            (false, _) => &self.jobs,
        };
        let (call, answered) = Call::new(verb);
        queue.send(Box::new(call)).await.map_err(|_| Failure::Ended)?;
        Ok(answered)
    }

    /// A hand-in of this server ended: its jobs go out from the next claim on.
    pub(super) fn lanes_changed(&self) {
        self.news.lanes_changed.store(true, Ordering::Release);
    }

    /// A batch was resumed: jobs that were dropped from the queue, because their batch was found suspended, are back in it
    /// from the next claim on.
    pub(super) fn read_anew(&self) {
        self.news.read_anew.store(true, Ordering::Release);
    }
}

/// Verbs that share a commit.
struct Group {
    items: Vec<Item>,
    /// Never used before by its writer.
    number: u64,
    /// Which of the writer's marks is its own.
    mark: usize,
    /// What is to be known of it when it is committed.
    done: Done,
    /// Its first round failed, perhaps for what was remembered: all of it is read.
    repeated: bool,
}

/// A group whose commit is under way: it is answered there when it is committed, and comes back with its failure otherwise.
type Flight = JoinHandle<Result<(), (Group, Failure)>>;

struct Writer {
    /// The names of its marks: groups use them in turns, so that none overwrites that of the one before it.
    marks: [String; 2],
    groups: u64,
    flight: Option<Flight>,
    connections: Connections,
    numbers: Arc<Numbers>,
    news: Arc<News>,
    given: Arc<Given>,
    set: WorkingSet,
    lanes: Lanes,
}

impl Writer {
    async fn serve(mut self, mut items: mpsc::Receiver<Item>) {
        let mut waiting: VecDeque<Item> = VecDeque::new();
        let mut arrived = Vec::with_capacity(GROUP);
        let mut mark = 0;
        let mut anew = interval(READ_ANEW);
        anew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = anew.tick() => {
                    self.settle().await;
                    self.set.forget_queue();
                    self.given.forget_workers();
                }
                received = items.recv_many(&mut arrived, GROUP), if waiting.is_empty() => {
                    if received == 0 {
                        self.settle().await;
                        return;
                    }
                }
                () = std::future::ready(()), if !waiting.is_empty() => {}
                failed = landed(&mut self.flight), if self.flight.is_some() => {
                    if let Some((group, failure)) = failed {
                        self.again(group, failure).await;
                    }
                }
            }
            waiting.extend(arrived.drain(..));
            while self.flight.is_some() && waiting.iter().map(|item| item.weight()).sum::<usize>() < WORTH {
                tokio::select! {
                    biased;
                    failed = landed(&mut self.flight) => {
                        if let Some((group, failure)) = failed {
                            self.again(group, failure).await;
                        }
                    }
                    received = items.recv_many(&mut arrived, GROUP) => {
                        waiting.extend(arrived.drain(..));
                        if received == 0 {
                            break;
                        }
                    }
                }
            }
            while waiting.len() < GROUP
                && let Ok(item) = items.try_recv()
            {
                waiting.push_back(item);
            }
            let mut group = Vec::with_capacity(waiting.len());
            let mut weight = 0;
            while let Some(item) = waiting.pop_front_if(|item| weight == 0 || weight + item.weight() <= FULL) {
                weight += item.weight().max(1);
                group.push(item);
            }
            if !group.is_empty() {
                mark = 1 - mark;
                let group = self.group(group, mark);
                self.commit(group).await;
            }
        }
    }

    fn group(&mut self, items: Vec<Item>, mark: usize) -> Group {
        self.groups += 1;
        Group { items, number: self.groups, mark, done: Done::default(), repeated: false }
    }

    /// Runs a group in one transaction, which is left to its commit when nothing speaks against it.
    async fn commit(&mut self, mut group: Group) {
        match self.round(&mut group, false).await {
            Ok(Some((tx, written))) => {
                let earlier = landed(&mut self.flight).await;
                self.set.end();
                if written == Written::Beside && earlier.is_none() {
                    self.flight = Some(tokio::spawn(fly(group, tx, Arc::clone(&self.given))));
                    return;
                }
                // Whatever may be repeated has to find no other group's locks in its way.
                let landed = fly(group, tx, Arc::clone(&self.given)).await;
                for (group, failure) in [earlier, landed.err()].into_iter().flatten() {
                    self.again(group, failure).await;
                }
            }
            Ok(None) => group.answer(&self.given),
            Err(failure) => {
                self.settle().await;
                self.again(group, failure).await;
            }
        }
    }

    /// Waits for the commit that is under way, and repeats its group when it failed.
    async fn settle(&mut self) {
        if let Some((group, failure)) = landed(&mut self.flight).await {
            self.again(group, failure).await;
        }
    }

    /// Further rounds of a group whose first one failed, and answers.
    async fn again(&mut self, mut group: Group, failure: Failure) {
        group.repeated = true;
        let Err(failure) = self.rounds(&mut group, Some(failure)).await else {
            group.answer(&self.given);
            return;
        };
        if failure.is_away() || group.items.len() == 1 {
            let failure = Arc::new(failure);
            group.items.into_iter().for_each(|item| item.answer(Some(Failure::NotCommitted(Arc::clone(&failure)))));
            return;
        }
        for item in group.items {
            let mut alone = Group { repeated: true, ..self.group(vec![item], group.mark) };
            match self.rounds(&mut alone, None).await {
                Ok(()) => alone.answer(&self.given),
                Err(failure) => {
                    let failure = Arc::new(failure);
                    let told = |item: Item| item.answer(Some(Failure::NotCommitted(Arc::clone(&failure))));
                    alone.items.into_iter().for_each(told);
                }
            }
        }
    }

    /// Rounds of one transaction each, until the group is committed; the outcome of the first may be known.
    async fn rounds(&mut self, group: &mut Group, failed: Option<Failure>) -> Result<(), Failure> {
        let mut rounds = Rounds::default();
        let mut failed = failed;
        loop {
            let outcome = match failed.take() {
                Some(failure) => Err(failure),
                None => match self.round(group, rounds.in_doubt).await {
                    Ok(None) => Ok(()),
                    Ok(Some((tx, _))) => {
                        // Nothing can commit an earlier round any more: its mark was locked by it until it ended.
                        rounds.in_doubt = false;
                        tx.commit().await
                    }
                    Err(failure) => Err(failure),
                },
            };
            match &outcome {
                Ok(()) => self.set.end(),
                Err(_) => self.set.forget(),
            }
            if let Some(outcome) = rounds.after(outcome).await {
                return outcome;
            }
        }
    }

    /// One transaction up to its commit; none when the group turns out to be committed.
    async fn round(&mut self, group: &mut Group, in_doubt: bool) -> Result<Option<(Tx, Written)>, Failure> {
        let takes = group.items.iter().map(|item| item.takes()).sum();
        if self.set.numbers_left() < i64::try_from(takes).unwrap_or(i64::MAX) {
            self.set.load_numbers(self.numbers.attempts(&self.connections, takes).await?);
        }
        let mut tx = self.connections.begin().await?;
        if in_doubt && self.is_committed(&mut tx, group.number, group.mark).await? {
            return Ok(None);
        }
        if takes > 0 {
            if self.news.read_anew.swap(false, Ordering::Acquire) {
                self.set.forget_queue();
            }
            if self.news.lanes_changed.swap(false, Ordering::Acquire) {
                self.set.lanes_changed();
            }
        }
        let written = self.run(&mut tx, group, takes).await?;
        group.done.workers_changed |= written == Written::Alone;
        let mark = params! { "writer" => &self.marks[group.mark], "group" => group.number };
        tx.change(sql::NOTE_GROUP, mark).await?;
        // Everybody wants the rows of batches: whoever has one goes on to its commit at once.
        write::batches(&mut tx, &mut self.set).await?;
        Ok(Some((tx, written)))
    }

    /// Whether a group is in the database.
    async fn is_committed(&self, tx: &mut Tx, number: u64, mark: usize) -> Result<bool, Failure> {
        match tx.first(sql::LAST_GROUP, params! { "writer" => &self.marks[mark] }).await? {
            None => Ok(false),
            Some(mut row) => Ok(row.get::<u64>("last")? == number),
        }
    }

    /// Loads, runs, writes all but the batches.
    async fn run(&mut self, tx: &mut Tx, group: &mut Group, mut takes: usize) -> Result<Written, Failure> {
        let Writer { set, lanes, given, .. } = self;
        let Group { items, done, repeated, .. } = group;
        *done = Done::default();
        // A caller that is gone (a broken connection) gets nothing done: a job claimed for nobody would only wait.
        let mut group: Vec<&mut Item> = items.iter_mut().filter(|item| item.is_wanted()).collect();
        let asked: Vec<Moment> = group.iter().filter_map(|item| item.asked_at()).collect();
        if let (Some(first), Some(last)) = (asked.iter().min(), asked.iter().max())
            && last.saturating_sub(*first) <= AT_ONE_MOMENT_MS
        {
            group.iter_mut().for_each(|item| item.happens_at(*last));
        }
        let hand_in: Option<Vec<AttemptId>> = group.iter().map(|item| item.hands_in()).collect();
        if let Some(remembered) = hand_in.and_then(|attempts| given.take(&attempts)).filter(|_| !*repeated) {
            let accepted = accept(tx, set, lanes, group, remembered).await;
            if accepted.is_err() {
                // What was taken out may run on.
                given.forget_workers();
            }
            return accepted;
        }
        let claims: Option<Vec<&ClaimRequest>> = group.iter().map(|item| item.claims()).collect();
        let claims = claims.filter(|_| !*repeated).unwrap_or_default();
        let unknown = recall_workers(set, given, &claims);
        let mut needs = Vec::with_capacity(2 * group.len());
        group.iter().for_each(|item| item.needs(set, &mut needs));
        load::load(tx, set, lanes, needs, Jobs::Meant).await?;
        for (row, held) in unknown.into_iter().filter_map(|worker| set.loaded_worker(worker)) {
            given.keep_worker(row, held);
        }
        let mut foreseen = if takes > 0 { set.foreseen(takes) } else { None };
        while let Some(need) = foreseen {
            load::load(tx, set, lanes, [need.clone()], Jobs::Meant).await?;
            foreseen = set.foreseen(takes).filter(|next| *next != need);
        }
        let mut written = Written::Beside;
        for item in group {
            let mut loads = 0;
            while let Ran::Missing(mut needs) = item.run(set) {
                loads += 1;
                if loads > MOST_LOADS {
                    return Err(Failure::Contradiction("a verb is never content with what it gets".to_owned()));
                }
                if needs.iter().any(Need::is_query) {
                    done.begun.extend(begun_by(set));
                    written = written.max(write::write(tx, set).await?);
                }
                if item.takes() > 0
                    && let Some(Need::Job(first)) = needs.first()
                {
                    // The claims behind this one want the jobs behind this one's.
                    needs.extend(set.offered_after(*first, takes).into_iter().map(Need::Job));
                }
                let how = if item.takes() > 0 { Jobs::Offered } else { Jobs::Meant };
                load::load(tx, set, lanes, needs, how).await?;
            }
            takes = takes.saturating_sub(item.takes());
        }
        done.begun.extend(begun_by(set));
        done.ended.extend(set.not_running());
        done.workers_changed |= set.takes_up();
        Ok(written.max(write::rows(tx, set, Rows::Read).await?))
    }
}

/// Loads workers that are known; the names of those that claim and have to be read.
fn recall_workers<'a>(set: &mut WorkingSet, given: &Given, claims: &[&'a ClaimRequest]) -> BTreeSet<&'a str> {
    let known: Vec<_> = claims.iter().map(|request| (request, given.worker(request))).collect();
    // Of a worker that says two things at once nothing is recalled: what is written of it is written whole.
    let unknown: BTreeSet<&str> =
        known.iter().filter(|(_, known)| known.is_none()).map(|(request, _)| request.worker.as_str()).collect();
    for (request, known) in known {
        if let Some((row, held)) = known.filter(|_| !unknown.contains(request.worker.as_str())) {
            set.load_held(&request.worker, held);
            set.load_worker(&request.worker, Some(row));
        }
    }
    unknown
}

/// Runs and writes submissions on what is remembered of their attempts; fails when it does not come to accepting each of them.
async fn accept(
    tx: &mut Tx,
    set: &mut WorkingSet,
    lanes: &mut Lanes,
    group: Vec<&mut Item>,
    remembered: Vec<Begun>,
) -> Result<Written, Failure> {
    let mut all = load::recall(tx, set, lanes, remembered).await?;
    let submissions = group.len();
    for item in group {
        all &= matches!(item.run(set), Ran::Through);
    }
    all &= set.results().len() == submissions;
    if !all {
        // Whoever is refused has to be told what is, and not what was.
        return Err(Failure::Changed("what was remembered of an attempt".to_owned()));
    }
    write::rows(tx, set, Rows::Remembered).await
}

/// What is to be remembered of a group that was not written yet.
fn begun_by(set: &WorkingSet) -> impl Iterator<Item = Begun> {
    set.begun().map(|(attempt, job, worker)| Begun::of(attempt, job, worker))
}

impl Group {
    /// Tells the callers what their verbs came to.
    fn answer(self, given: &Given) {
        given.note(self.done);
        self.items.into_iter().for_each(|item| item.answer(None));
    }
}

/// Commits a group and answers.
async fn fly(group: Group, tx: Tx, given: Arc<Given>) -> Result<(), (Group, Failure)> {
    match tx.commit().await {
        Ok(()) => {
            group.answer(&given);
            Ok(())
        }
        Err(failure) => Err((group, failure)),
    }
}

/// Waits for the commit that is under way, if there is one; the group comes back when it failed.
async fn landed(flight: &mut Option<Flight>) -> Option<(Group, Failure)> {
    let landed = flight.as_mut()?.await;
    *flight = None;
    // A commit that ended by a panic has dropped its verbs, whose callers hear that.
    landed.ok()?.err()
}
