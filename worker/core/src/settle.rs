//! What becomes of an attempt that brought no results, and how results and jobs get back to the job server: in the
//! background, from the [`outbox`](crate::outbox), while the next job is in hand.

use std::convert::Infallible;
use std::sync::Arc;

use nightshift_contract::message::FromCore;
use nightshift_wire::{Claim, GiveBack, GiveBackCause, Problem, code};
use tokio::time::sleep;

use crate::causes::with_causes;
use crate::control::{ControlError, Finished, Refusal, judge};
use crate::desk::{Desk, lock, off};
use crate::job::{Unfinished, finished};
use crate::moments::Moment;
use crate::outbox::{Errand, Failed, Next, Then};
use crate::run::CoreError;
use crate::spool::HeldAttempt;

impl Desk {
    /// Puts finished results into the outbox; they are on disk, and `fresh` is the same in memory.
    pub(crate) async fn hand_in(&self, held: HeldAttempt, fresh: Finished) {
        *lock(&self.fresh) = Some((held.claim.attempt, Arc::new(fresh)));
        let attempt = held.clone();
        let bytes = off(move || attempt.bytes()).await;
        lock(&self.outbox).put(held, Errand::Results, bytes, self.now());
        self.bell.ring();
    }

    /// Puts a job to give back into the outbox.
    pub(crate) fn give_back(&self, held: HeldAttempt, cause: GiveBackCause, reason: String) {
        self.put_back(held, cause, reason, false);
    }

    fn put_back(&self, held: HeldAttempt, cause: GiveBackCause, reason: String, after_claim: bool) {
        let why = match cause {
            GiveBackCause::Stopped => "which does not count against it",
            GiveBackCause::Failed => "which counts against it",
        };
        tracing::warn!("giving job {} back, {why}: {reason}", held.claim.job);
        lock(&self.outbox).put(held, Errand::GiveBack { cause, reason, after_claim }, 0, self.now());
        self.bell.ring();
    }

    /// Deals with an attempt that brought no results.
    ///
    /// # Errors
    /// When the core cannot go on.
    pub(crate) async fn settle(&self, held: &HeldAttempt, unfinished: Unfinished) -> Result<(), CoreError> {
        let job = held.claim.job;
        match unfinished {
            Unfinished::Broken(error) => return Err(error),
            Unfinished::Left => tracing::warn!("job {job} waits on disk for the job server to come back"),
            Unfinished::NotWanted(reason) => {
                tracing::info!("dropping job {job}: {reason}");
                self.let_go(held).await;
            }
            Unfinished::NoRecords(how) => {
                tracing::error!("the job server fails to hand out the records of job {job}: {how}");
                let reason = format!("its records cannot be had: {how}");
                self.put_back(held.clone(), GiveBackCause::Stopped, reason, true);
            }
            Unfinished::Stuck(reason) => {
                self.tell_failed(held, &reason);
                self.give_back(held.clone(), GiveBackCause::Failed, reason.clone());
                return Err(CoreError::Stuck(reason));
            }
            Unfinished::Halted(reason) => {
                self.give_back(held.clone(), GiveBackCause::Stopped, reason);
                self.until_out_of_block(&held.claim.plugin).await?;
            }
            Unfinished::Failed(reason) => {
                self.tell_failed(held, &reason);
                self.give_back(held.clone(), GiveBackCause::Failed, reason);
            }
            Unfinished::Unable(reason) => self.give_back(held.clone(), GiveBackCause::Stopped, reason),
            Unfinished::NoRoom(reason) => {
                self.give_back(held.clone(), GiveBackCause::Stopped, reason.clone());
                self.wait_for_room(&reason);
            }
        }
        Ok(())
    }

    /// The launcher judges a release on trial by such.
    fn tell_failed(&self, held: &HeldAttempt, why: &str) {
        let (job, plugin) = (held.claim.job, held.claim.plugin.clone());
        self.telling.say(FromCore::Failed { job, plugin, why: why.to_owned() });
    }

    /// Delivers what is in the outbox, for ever.
    pub(crate) async fn deliver(&self) -> Infallible {
        let mut told = None;
        loop {
            let mut bell = self.bell.listen();
            let (next, spooled) = {
                let outbox = lock(&self.outbox);
                (outbox.next(self.now()), outbox.spooled())
            };
            if told.replace(spooled) != Some(spooled) {
                let (jobs, bytes) = spooled;
                self.telling.say(FromCore::Spooled { jobs, bytes });
            }
            match next {
                Next::Deliver(held, Errand::Results) => self.deliver_results(&held).await,
                Next::Deliver(held, Errand::GiveBack { cause, reason, .. }) => {
                    self.deliver_back(&held, cause, reason).await;
                }
                Next::Wait(None) => bell.rung().await,
                Next::Wait(Some(wait)) => {
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = bell.rung() => {}
                    }
                }
            }
        }
    }

    async fn deliver_results(&self, held: &HeldAttempt) {
        let claim = &held.claim;
        let Some(finished) = self.results_of(held).await else {
            tracing::error!("the results of job {} cannot be read from disk; the next core tries again", claim.job);
            lock(&self.outbox).forget(claim.attempt);
            self.bell.ring();
            return;
        };
        self.awake().await;
        match self.control.submit(claim.attempt, &finished).await {
            Ok(receipt) => {
                tracing::info!(attempt = claim.attempt, "the results of job {} are accepted", receipt.job);
                lock(&self.outbox).answered();
                self.has_room();
                self.moments.at(Moment::Accepted).await;
                self.let_go(held).await;
            }
            Err(ControlError::Refused(problem)) => {
                lock(&self.outbox).answered();
                match refused_results(problem) {
                    Refused::NotWanted(reason) => {
                        tracing::info!("dropping the results of job {}: {reason}", claim.job);
                        self.let_go(held).await;
                    }
                    Refused::Failed(reason) => self.give_back(held.clone(), GiveBackCause::Failed, reason),
                }
            }
            Err(error) => self.not_delivered("handing in results", held, &error).await,
        }
    }

    /// The results of a finished attempt, from memory or from disk.
    async fn results_of(&self, held: &HeldAttempt) -> Option<Arc<Finished>> {
        let fresh = lock(&self.fresh).as_ref().filter(|(attempt, _)| *attempt == held.claim.attempt).cloned();
        if let Some((_, fresh)) = fresh {
            return Some(fresh);
        }
        let attempt = held.clone();
        let written = off(move || attempt.written()).await?;
        let whole = written.results.len() as u64 == held.claim.records;
        whole.then(|| Arc::new(finished(&held.claim, written)))
    }

    /// Gives a job back. A refusal says that it is not ours any more, which is as good.
    async fn deliver_back(&self, held: &HeldAttempt, cause: GiveBackCause, reason: String) {
        let Claim { attempt, job, secret, .. } = &held.claim;
        let give_back = GiveBack { secret: secret.clone(), cause, reason };
        self.awake().await;
        match self.control.give_back(*attempt, &give_back).await {
            Ok(()) => {}
            Err(ControlError::Refused(problem)) => tracing::info!("job {job}: {}", problem.detail),
            Err(error) => return self.not_delivered("giving a job back", held, &error).await,
        }
        lock(&self.outbox).answered();
        self.moments.at(Moment::GivenBack).await;
        self.let_go(held).await;
    }

    /// Notes that the server did not take what it was to be told.
    async fn not_delivered(&self, doing: &'static str, held: &HeldAttempt, error: &ControlError) {
        let Claim { attempt, job, .. } = held.claim;
        let how = if matches!(error, ControlError::Failing(_)) { Failed::Fault } else { Failed::Away };
        let why = with_causes(error);
        let (then, failures) = {
            let (now, chance) = (self.now(), fastrand::f64());
            let mut outbox = lock(&self.outbox);
            let then = outbox.failed(attempt, (how, why.clone()), now, &self.pace, chance);
            (then, outbox.failures(attempt))
        };
        self.bell.ring();
        match then {
            Then::Again => self.complain(doing, failures, &why),
            // The next claim does not list it, and so the server takes it back.
            Then::LetGo => {
                tracing::error!("the job server fails to take job {job} back: {why}");
                self.let_go(held).await;
            }
            Then::SetAside | Then::StaysAside => {
                if then == Then::SetAside {
                    tracing::error!("the results of job {job} are kept until the job server takes them: {why}");
                }
                let noted = held.clone();
                if let Err(error) = off(move || noted.set_aside(&why)).await {
                    tracing::warn!("{}", with_causes(&error));
                }
                self.moments.at(Moment::SetAside).await;
            }
        }
    }
}

/// What a refusal of finished results leads to.
enum Refused {
    NotWanted(String),
    Failed(String),
}

fn refused_results(problem: Problem) -> Refused {
    let refused = format!("the results were refused: {}", problem.detail);
    match judge(&problem) {
        Refusal::NotWanted => Refused::NotWanted(problem.detail),
        Refusal::Unfit if problem.code == code::TOO_LARGE => Refused::Failed(format!(
            "{refused}; hand the batch in with a smaller --job-size, or let the plugin return less for a record"
        )),
        Refusal::Unfit => Refused::Failed(refused),
    }
}
