//! The core's loop: finish what is held, change over to another release when one is ordered, claim, and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nightshift_contract::handoff::ReleaseArgs;
use nightshift_contract::layout::StateDir;
use nightshift_contract::message::FromCore;
use nightshift_wire::{AttemptId, Claim, ClaimRequest, GiveBack, GiveBackCause, Machine, Problem, Submission, code};
use tokio::sync::watch;

use crate::aside::Aside;
use crate::causes::with_causes;
use crate::clock::Stopwatch;
use crate::control::{ControlError, JobControl, Refusal, judge};
use crate::job::{Desk, Unanswered, Unfinished};
use crate::moments::{Moment, Moments};
use crate::orders::{self, Orders};
use crate::retry::{self, Patience};
use crate::spool::{HeldAttempt, Spool, SpoolError};
use crate::telling::{Tell, Telling};
use crate::workbench::{Broken, Catalogue, Workbench};

/// A core, ready to run.
pub struct Core {
    /// Who hands out jobs.
    pub control: Arc<dyn JobControl>,
    /// The worker's state folder.
    pub state: StateDir,
    /// The worker's enrolled identity.
    pub worker: String,
    /// The release to begin with.
    pub release: ReleaseArgs,
    /// What the launcher orders.
    pub orders: watch::Receiver<Orders>,
    /// Tells the launcher; must not block.
    pub tell: Tell,
    /// How long to wait for what.
    pub pace: Pace,
    /// Is told of every named instant.
    pub moments: Box<dyn Moments>,
}

/// How long the core waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long the server may hold a claim open until work comes up.
    pub claim_wait: Duration,
    /// Between a claim that brought nothing and the next.
    pub between_claims: Duration,
    /// The same after an answer that came early: a grid that is stopped has no work, and waiting brings none.
    pub after_early_answer: Duration,
    /// After the first failure to reach the server; doubles with each further one.
    pub away_first: Duration,
    /// The longest of these waits.
    pub away_most: Duration,
    /// Between the tries to hand in results that the server failed to take; doubles with each.
    pub aside_first: Duration,
    /// The longest of these waits.
    pub aside_most: Duration,
    /// After the disk took no checkpoint for the first time; doubles with each further one.
    pub disk_first: Duration,
    /// The longest of these waits.
    pub disk_most: Duration,
    /// So many times its plugin's own limit may a block take, because parts of it are tried again …
    pub block_limits: u32,
    /// … and so much longer, before the plugin counts as stuck where no limit reaches it.
    pub block_grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            claim_wait: Duration::from_secs(10),
            between_claims: Duration::from_millis(200),
            after_early_answer: Duration::from_secs(2),
            away_first: Duration::from_millis(500),
            away_most: Duration::from_secs(30),
            aside_first: Duration::from_secs(60),
            aside_most: Duration::from_secs(15 * 60),
            disk_first: Duration::from_secs(30),
            disk_most: Duration::from_secs(600),
            block_limits: 20,
            block_grace: Duration::from_secs(5 * 60),
        }
    }
}

/// Why a core ended as it was told to. Holds the launcher's reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop; the last checkpoint stands.
    Stopped(String),
    /// It was told to drain, and the job in hand is done (or waits on disk for a server that is away).
    Drained(String),
}

/// Why a core cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The attempts on disk cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The thread that runs plugins cannot be started.
    #[error("starting the thread that runs the plugins")]
    Thread(#[source] std::io::Error),
    /// A plugin does not come back, and so no other can run; its job was given back as failed.
    #[error("{0}; only a new core can go on")]
    Stuck(String),
    /// The thread that runs plugins has ended.
    #[error("the thread that runs the plugins has ended; the log says why")]
    Broken,
}

impl From<Broken> for CoreError {
    fn from(_: Broken) -> Self {
        CoreError::Broken
    }
}

impl Core {
    /// Runs until the launcher ends it.
    ///
    /// # Errors
    /// When it cannot go on; started again it may.
    pub async fn run(self) -> Result<Ended, CoreError> {
        let mut orders = self.orders.clone();
        tokio::select! {
            biased;
            reason = orders::until(&mut orders, |orders| orders.stop.clone()) => Ok(Ended::Stopped(reason)),
            ended = self.work() => ended,
        }
    }

    async fn work(self) -> Result<Ended, CoreError> {
        let state = self.state;
        let (spool, held) = off(move || {
            let (spool, mut held) = Spool::open(&state)?;
            held.sort_by_cached_key(|attempt| !is_finished(attempt));
            Ok::<_, SpoolError>((spool, held))
        })
        .await?;
        let desk = Desk {
            control: self.control,
            bench: Workbench::start().map_err(CoreError::Thread)?,
            release: self.release.clone(),
            catalogue: Catalogue::default(),
            orders: self.orders,
            telling: Telling::new(self.tell),
            moments: self.moments,
            pace: self.pace,
        };
        let holding = held.iter().map(|attempt| attempt.claim.attempt).collect();
        let mut running = Running {
            desk,
            spool,
            worker: self.worker,
            holding,
            aside: Aside::default(),
            refused_claims: 0,
            full_disks: 0,
        };
        running.use_release(self.release).await?;
        running.run(held).await
    }
}

/// A core at work.
struct Running {
    desk: Desk,
    spool: Spool,
    worker: String,
    /// The attempts on disk.
    holding: BTreeSet<AttemptId>,
    /// Those that must not keep others waiting.
    aside: Aside,
    /// Claims in a row that brought no answer.
    refused_claims: u32,
    /// Attempts in a row that the disk had no room for.
    full_disks: u32,
}

/// Whether to go on after an attempt.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    /// An attempt was left on disk because the core drains.
    End,
}

impl Running {
    async fn run(&mut self, held: Vec<HeldAttempt>) -> Result<Ended, CoreError> {
        let drained = |desk: &Desk| Ended::Drained(desk.drain().unwrap_or_default());
        for attempt in held {
            if let Some(reason) = attempt.why_set_aside() {
                self.aside.inherit(attempt, reason);
            } else if self.see_through(&attempt, Patience::Full).await? == Next::End {
                return Ok(drained(&self.desk));
            }
        }
        loop {
            if let Some(reason) = self.desk.drain() {
                self.give_back_set_aside().await;
                return Ok(Ended::Drained(reason));
            }
            let ordered = self.desk.orders.borrow().release.clone();
            if let Some(release) = ordered.filter(|release| *release != self.desk.release) {
                self.use_release(release).await?;
            }
            for attempt in self.aside.due() {
                if self.see_through(&attempt, Patience::Once).await? == Next::End {
                    return Ok(drained(&self.desk));
                }
            }
            if let Some(wait) = self.aside.full_for() {
                let waiting = format!("the job server to take results{}", self.aside.in_words());
                self.desk.telling.say(FromCore::Waiting(waiting));
                self.desk.pause_unless_draining(wait).await;
                continue;
            }
            let claimed = self.claim().await;
            self.give_back_set_aside().await;
            if let Some(attempt) = claimed {
                let patience = self.aside.patience_with(attempt.claim.job);
                if self.see_through(&attempt, patience).await? == Next::End {
                    return Ok(drained(&self.desk));
                }
            }
        }
    }

    /// Changes over to the plugins of `release`.
    async fn use_release(&mut self, release: ReleaseArgs) -> Result<(), CoreError> {
        let desk = &mut self.desk;
        desk.catalogue = match desk.bench.open(release.slot.clone()).await? {
            Ok(catalogue) => catalogue,
            Err(reason) => {
                let left_out = [(format!("release {}", release.tag), reason)].into();
                Catalogue { left_out, ..Catalogue::default() }
            }
        };
        for (plugin, reason) in &desk.catalogue.left_out {
            tracing::error!("{plugin} is left out: {reason}");
        }
        tracing::info!("using {} with {} plugins", release.tag, desk.catalogue.ready.len());
        desk.telling.say(FromCore::Using(release.tag.clone()));
        desk.release = release;
        Ok(())
    }

    /// Asks for a job and notes it. `None`: none came, or something else has to be looked at first.
    async fn claim(&mut self) -> Option<HeldAttempt> {
        let desk = &self.desk;
        desk.telling.say(FromCore::Waiting(waiting_for(&desk.catalogue) + &self.aside.in_words()));
        let mut orders = desk.orders.clone();
        let in_use = &desk.release;
        let another_release =
            orders::until(&mut orders, |orders| orders.release.as_ref().filter(|release| *release != in_use).map(drop));
        if desk.catalogue.ready.is_empty() {
            let mut orders = desk.orders.clone();
            tokio::select! {
                () = another_release => {}
                _ = orders::until(&mut orders, |orders| orders.drain.clone()) => {}
            }
            return None;
        }
        let request = ClaimRequest {
            worker: self.worker.clone(),
            release: desk.release.tag.clone(),
            commit: desk.release.commit.clone(),
            plugins: desk.catalogue.ready.keys().cloned().collect(),
            holding: self.holding.iter().copied().collect(),
            wait_ms: u64::try_from(desk.pace.claim_wait.as_millis()).unwrap_or(u64::MAX),
            max: 1,
            behind: None,
            machine: Machine::default(),
        };
        // A claim that is broken off may have been granted: the next one, which follows at once, does not list it, and
        // the server takes it back. A drain lets the claim come to its end instead, because no other would follow.
        let asked = Stopwatch::start();
        let answer = tokio::select! {
            answer = desk.control.claim(&request) => answer,
            () = another_release => return None,
        };
        match answer {
            Ok(claim) => {
                self.refused_claims = 0;
                desk.telling.say(FromCore::Progress);
                match claim {
                    Some(claim) => self.take(claim).await,
                    None => {
                        let early = asked.elapsed() < desk.pace.claim_wait / 2;
                        let Pace { between_claims, after_early_answer, .. } = desk.pace;
                        desk.pause(if early { after_early_answer } else { between_claims }).await;
                        None
                    }
                }
            }
            Err(error) => {
                self.refused_claims += 1;
                if let ControlError::Refused(problem) = &error {
                    tracing::error!("the job server refuses to give work: {}", problem.detail);
                }
                self.desk.wait_for_server("claiming a job", self.refused_claims, &error).await;
                None
            }
        }
    }

    /// Notes a claim on disk.
    async fn take(&mut self, claim: Claim) -> Option<HeldAttempt> {
        self.desk.moments.at(Moment::Claimed).await;
        if let Some(reason) = self.desk.drain() {
            self.give_back(&claim, GiveBackCause::Stopped, reason).await;
            return None;
        }
        let (spool, to_note) = (self.spool.clone(), claim.clone());
        match off(move || spool.note(to_note)).await {
            Ok(held) => {
                self.holding.insert(held.claim.attempt);
                self.desk.moments.at(Moment::Noted).await;
                Some(held)
            }
            Err(error) => {
                let reason = with_causes(&error);
                self.give_back(&claim, GiveBackCause::Stopped, reason.clone()).await;
                self.wait_for_room(&reason).await;
                None
            }
        }
    }

    /// Works on an attempt until it is no longer held, or set aside.
    async fn see_through(&mut self, held: &HeldAttempt, patience: Patience) -> Result<Next, CoreError> {
        let claim = &held.claim;
        let unfinished = match self.desk.work_on(held, patience).await {
            Ok(submission) => {
                self.aside.has_records(claim.job);
                match self.hand_in(claim, &submission, patience).await {
                    Ok(()) => return Ok(self.let_go(held).await),
                    Err(unfinished) => unfinished,
                }
            }
            Err(unfinished) => unfinished,
        };
        let (cause, reason, has_room) = match unfinished {
            Unfinished::Broken(error) => return Err(error),
            Unfinished::Left => {
                tracing::warn!("job {} waits on disk for the job server to come back", claim.job);
                return Ok(Next::End);
            }
            Unfinished::NotWanted(reason) => {
                tracing::info!("dropping job {}: {reason}", claim.job);
                return Ok(self.let_go(held).await);
            }
            Unfinished::NotTaken(how) => {
                self.set_aside(held, how).await;
                return Ok(Next::GoOn);
            }
            Unfinished::NoRecords(how) => {
                tracing::error!("the job server fails to hand out the records of job {}: {how}", claim.job);
                self.aside.back(held, format!("its records cannot be had: {how}"));
                return Ok(Next::GoOn);
            }
            Unfinished::Stuck(reason) => {
                if self.give_back(claim, GiveBackCause::Failed, reason.clone()).await == Next::GoOn {
                    self.let_go(held).await;
                }
                return Err(CoreError::Stuck(reason));
            }
            Unfinished::Failed(reason) => (GiveBackCause::Failed, reason, true),
            Unfinished::Unable(reason) => (GiveBackCause::Stopped, reason, true),
            Unfinished::NoRoom(reason) => (GiveBackCause::Stopped, reason, false),
        };
        if self.give_back(claim, cause, reason.clone()).await == Next::End {
            return Ok(Next::End);
        }
        let next = self.let_go(held).await;
        if !has_room {
            self.wait_for_room(&reason).await;
        }
        Ok(next)
    }

    /// Hands results in, however long the server is away.
    async fn hand_in(&mut self, claim: &Claim, submission: &Submission, patience: Patience) -> Result<(), Unfinished> {
        let submit = async || self.desk.control.submit(claim.attempt, submission).await;
        match self.desk.until_answered("handing in results", patience, submit).await {
            Ok(receipt) => {
                tracing::info!(attempt = claim.attempt, "the results of job {} are accepted", receipt.job);
                self.full_disks = 0;
                self.desk.moments.at(Moment::Accepted).await;
                Ok(())
            }
            Err(Unanswered::Left) => Err(Unfinished::Left),
            Err(Unanswered::Failing(how)) => Err(Unfinished::NotTaken(how)),
            Err(Unanswered::Refused(problem)) => Err(refused_results(problem)),
        }
    }

    /// Keeps finished results until the server takes them.
    async fn set_aside(&mut self, held: &HeldAttempt, how: String) {
        let job = held.claim.job;
        if self.aside.results(held, how.clone(), &self.desk.pace) {
            tracing::error!("the results of job {job} are kept until the job server takes them: {how}");
        }
        let attempt = held.clone();
        if let Err(error) = off(move || attempt.set_aside(&how)).await {
            tracing::warn!("{}", with_causes(&error));
        }
        self.desk.moments.at(Moment::SetAside).await;
    }

    /// Gives back the attempts whose records the server failed to hand out.
    async fn give_back_set_aside(&mut self) {
        for (held, reason) in self.aside.take_back() {
            // A core that drains leaves those it cannot give back on disk.
            if self.give_back(&held.claim, GiveBackCause::Stopped, reason).await == Next::GoOn {
                self.let_go(&held).await;
            }
        }
    }

    /// Gives a job back. A refusal says that it is not ours any more, which is as good.
    async fn give_back(&self, claim: &Claim, cause: GiveBackCause, reason: String) -> Next {
        tracing::warn!("giving job {} back ({cause:?}): {reason}", claim.job);
        let give_back = GiveBack { secret: claim.secret.clone(), cause, reason };
        let give = async || self.desk.control.give_back(claim.attempt, &give_back).await;
        match self.desk.until_answered("giving a job back", Patience::Full, give).await {
            Err(Unanswered::Left) => return Next::End,
            // The next claim does not list it, and so the server takes it back.
            Err(Unanswered::Failing(how)) => {
                tracing::error!("the job server fails to take job {} back: {how}", claim.job);
            }
            Err(Unanswered::Refused(problem)) => tracing::info!("job {}: {}", claim.job, problem.detail),
            Ok(()) => {}
        }
        self.desk.moments.at(Moment::GivenBack).await;
        Next::GoOn
    }

    /// Removes an attempt from disk. One that cannot be removed is found again by the next core, and then not wanted.
    async fn let_go(&mut self, held: &HeldAttempt) -> Next {
        let attempt = held.clone();
        if let Err(error) = off(move || attempt.remove()).await {
            tracing::error!("{}", with_causes(&error));
        }
        self.holding.remove(&held.claim.attempt);
        self.aside.forget(held);
        self.desk.moments.at(Moment::Removed).await;
        Next::GoOn
    }

    /// Takes no job for a while, because the disk would not take its checkpoints either.
    async fn wait_for_room(&mut self, reason: &str) {
        self.full_disks += 1;
        let desk = &self.desk;
        desk.telling.say(FromCore::Waiting(format!("room on the disk: {reason}")));
        let wait = retry::wait(self.full_disks, desk.pace.disk_first, desk.pace.disk_most, fastrand::f64());
        desk.pause_unless_draining(wait).await;
    }
}

/// What a core without a job waits for, in words a person reads.
fn waiting_for(catalogue: &Catalogue) -> String {
    let left_out: String =
        catalogue.left_out.iter().map(|(plugin, reason)| format!("; {plugin} is left out: {reason}")).collect();
    match (catalogue.ready.is_empty(), catalogue.left_out.is_empty()) {
        (false, _) => format!("work{left_out}"),
        (true, false) => format!("a release with a plugin that works{left_out}"),
        (true, true) => "a release with a plugin".to_owned(),
    }
}

/// What a refusal of finished results leads to.
fn refused_results(problem: Problem) -> Unfinished {
    let refused = format!("the results were refused: {}", problem.detail);
    match judge(&problem) {
        Refusal::NotWanted => Unfinished::NotWanted(problem.detail),
        Refusal::Unfit if problem.code == code::TOO_LARGE => Unfinished::Failed(format!(
            "{refused}; hand the batch in with a smaller --job-size, or let the plugin return less for a record"
        )),
        Refusal::Unfit => Unfinished::Failed(refused),
    }
}

fn is_finished(attempt: &HeldAttempt) -> bool {
    attempt.written().is_some_and(|written| written.results.len() as u64 == attempt.claim.records)
}

/// Runs something that waits for the disk off the async threads.
pub(crate) async fn off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
