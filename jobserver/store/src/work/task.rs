//! Verbs on their way through a group: what a store's writer queues, runs and answers, whatever the verb is.
//!
//! A [`Verb`] is plain data and a pure function; [`Call`] carries it to the writer and its answer back. `E` is the
//! store's own failure.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nightshift_wire::{AttemptId, ClaimRequest, Moment};
use tokio::sync::oneshot;

use super::set::{Halt, Need, WorkingSet};
use crate::Refusal;

/// What a worker or a person asks of job control.
pub(crate) trait Verb: Send + 'static {
    /// What it answers.
    type Answer: Send + 'static;

    /// What it will surely need. The rest it asks for when it runs.
    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>);

    /// Does it on the working set. May run several times before it is answered, each time as if it were the first.
    fn run(&self, set: &mut WorkingSet) -> Result<Self::Answer, Halt>;

    /// About how many rows it writes.
    fn weight(&self) -> usize {
        1
    }

    /// How many jobs it may take from the queue.
    fn takes(&self) -> usize {
        0
    }

    /// The attempt whose results it hands in; `None` for other verbs.
    fn hands_in(&self) -> Option<AttemptId> {
        None
    }

    /// What it asks for when it claims jobs; `None` for other verbs.
    fn claims(&self) -> Option<&ClaimRequest> {
        None
    }

    /// When it was asked for; `None` when it has to happen at the moment it knows.
    fn asked_at(&self) -> Option<Moment> {
        None
    }

    /// It happens at this moment, a little after it was asked for, together with the others of its group.
    fn happens_at(&mut self, _now: Moment) {}

    /// Whether it never makes a job wait: then the queue need not hear of it at once.
    fn makes_nothing_wait(&self) -> bool {
        false
    }
}

/// Why a verb failed by itself; the others of its group do not notice.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A rule says no.
    Refused(Refusal),
    /// What is stored contradicts itself or the rules.
    Contradiction(String),
    /// The verb ended without an answer.
    Ended,
}

/// Where a verb stands after it ran.
#[derive(Debug)]
pub(crate) enum Ran {
    /// It has its answer, or a reason why not; what it changed is in the set.
    Through,
    /// Load these and run it again.
    Missing(Vec<Need>),
}

/// A verb in a writer's queue.
pub(crate) trait Task<E>: Send {
    /// Whether somebody still waits for the answer: a job claimed for nobody would only wait.
    fn is_wanted(&self) -> bool;
    /// As [`Verb::needs`].
    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>);
    /// As [`Verb::weight`].
    fn weight(&self) -> usize;
    /// As [`Verb::takes`].
    fn takes(&self) -> usize;
    /// As [`Verb::hands_in`].
    fn hands_in(&self) -> Option<AttemptId>;
    /// As [`Verb::claims`].
    fn claims(&self) -> Option<&ClaimRequest>;
    /// As [`Verb::asked_at`].
    fn asked_at(&self) -> Option<Moment>;
    /// As [`Verb::happens_at`].
    fn happens_at(&mut self, now: Moment);
    /// Runs it once more from its beginning.
    fn run(&mut self, set: &mut WorkingSet) -> Ran;
    /// Tells the caller: what the verb came to, or why nothing was committed.
    fn answer(self: Box<Self>, not_committed: Option<E>);
}

/// Where the answer to a verb arrives.
pub(crate) type Answered<V, E> = oneshot::Receiver<Result<<V as Verb>::Answer, E>>;

/// A verb and who waits for its answer.
pub(crate) struct Call<V: Verb, E> {
    verb: V,
    outcome: Option<Result<V::Answer, Fault>>,
    answer: oneshot::Sender<Result<V::Answer, E>>,
}

impl<V: Verb, E> Call<V, E> {
    /// The call, and where its answer arrives.
    pub(crate) fn new(verb: V) -> (Call<V, E>, Answered<V, E>) {
        let (answer, answered) = oneshot::channel();
        (Call { verb, outcome: None, answer }, answered)
    }
}

impl<V: Verb, E: From<Fault> + Send> Task<E> for Call<V, E> {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>) {
        self.verb.needs(set, needs);
    }

    fn weight(&self) -> usize {
        self.verb.weight()
    }

    fn takes(&self) -> usize {
        self.verb.takes()
    }

    fn hands_in(&self) -> Option<AttemptId> {
        self.verb.hands_in()
    }

    fn claims(&self) -> Option<&ClaimRequest> {
        self.verb.claims()
    }

    fn asked_at(&self) -> Option<Moment> {
        self.verb.asked_at()
    }

    fn happens_at(&mut self, now: Moment) {
        self.verb.happens_at(now);
    }

    fn run(&mut self, set: &mut WorkingSet) -> Ran {
        // One verb's fault must not take the store from everybody else.
        let ran = catch_unwind(AssertUnwindSafe(|| self.verb.run(set)));
        let fault = match ran {
            Ok(Ok(answer)) => {
                set.keep();
                self.outcome = Some(Ok(answer));
                return Ran::Through;
            }
            Ok(Err(Halt::Missing(needs))) => {
                set.undo();
                return Ran::Missing(needs);
            }
            Ok(Err(Halt::Refused(refusal))) => Fault::Refused(refusal),
            Ok(Err(Halt::Contradiction(what))) => Fault::Contradiction(what),
            Err(_) => Fault::Ended,
        };
        set.undo();
        self.outcome = Some(Err(fault));
        Ran::Through
    }

    fn answer(self: Box<Self>, not_committed: Option<E>) {
        let outcome = match (not_committed, self.outcome) {
            (Some(failure), _) => Err(failure),
            (None, Some(outcome)) => outcome.map_err(E::from),
            (None, None) => return,
        };
        // The caller may be gone by now; the verb is done all the same, and repeating it is safe.
        let _ = self.answer.send(outcome);
    }
}
