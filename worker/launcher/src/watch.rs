//! The watch over a core: hears what it does, looks at the repository meanwhile, and does what [`care`] decides.
//!
//! Every second the local stop file and the working hours are checked; every `look_every`, and when the job server hears
//! of a stop, the repository is visited on a thread of its own, so that a repository that hangs delays nothing. A release
//! that came into force is told to the core, which changes over after the job in hand. Nothing is started without its
//! files being checked against the signed tree. However the watch ends, no process of the core's is left.
//!
//! When time jumped (the machine slept, a virtual machine was resumed, this process was frozen), the repository is looked
//! at and the job server is asked at once. A core that says it woke writes and hands in nothing until it hears that both
//! are done ([`waking`]).

pub mod care;
mod core_process;
mod ends;
mod probation;
mod starting;
mod stopping;
mod telling;
mod trial;
mod visiting;
mod waking;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use nightshift_contract::handoff::HostArgs;
use nightshift_contract::message::{FromCore, PluginStop};
use nightshift_engine::{Event as TrialEvent, Release, StopFlag};
use nightshift_wire::Spool;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{MissedTickBehavior, interval};

use crate::cycle::Cycle;
use crate::decide;
use crate::hearing::{Hearing, Told};
use crate::replica::Keeper;
use crate::report::Step;
use crate::repository::Repository;
use crate::sender::Stream;
use crate::{clock, decide::Facts, leftovers};
pub use care::Finish;
use care::{Act, Care, Event, Phase};
use core_process::{CoreProcess, Did};
use ends::Ends;
use probation::Probation;
use starting::still_in_use;
use telling::Telling;
use visiting::{Place, Visited, visited};
use waking::{Owed, Wakefulness};

/// How long everything that a core started may take to end, once it is killed.
pub const ENDED_WITHIN: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_secs(1);
/// After so many ticks the core's descendants are noted anew.
const NOTE_EVERY: u32 = 5;
/// How long the job server may take to say what is stopped when a core waits for it.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// Watches over a core until it may run no longer, and says why.
pub async fn watch(cycle: &mut Cycle<'_>, repository: Repository) -> Finish {
    let now = clock::since_start();
    if let Err(error) = nightshift_kin::adopt_orphans() {
        tracing::warn!("orphans go to init and are found by their mark alone: {error}");
    }
    let mut watch = Watch {
        told_stops: Vec::new(),
        wakefulness: Wakefulness::new(clock::clocks()),
        ticks: 0,
        owed: Owed::default(),
        asking: None,
        next_visit: now + millis(cycle.settings.look_every),
        reports: cycle.sender.stream(),
        hearing: Hearing::begin(cycle.sender.client(), &cycle.heard),
        look_again: false,
        telling: Telling::default(),
        cycle,
        care: Care::new(now),
        core: None,
        core_program: PathBuf::new(),
        core_host: HostArgs::default(),
        probation: Probation::new(),
        to_judge: None,
        said: None,
        last_words: None,
        survivors: None,
        told: Vec::new(),
        place: Place::Here(Box::new(repository)),
    };
    watch.judge_whom();
    watch.run().await
}

struct Watch<'c, 's> {
    cycle: &'c mut Cycle<'s>,
    care: Care,
    core: Option<CoreProcess>,
    /// The program of the core that was started last.
    core_program: PathBuf,
    /// What it was told of the machine.
    core_host: HostArgs,
    /// What the core's words say about a release on trial.
    probation: Probation,
    /// What they said, until it can be noted.
    to_judge: Option<TrialEvent>,
    /// The last thing the core said about its work.
    said: Option<FromCore>,
    /// The last complaint of the core before this one.
    last_words: Option<String>,
    /// What of the core before this one could not be ended.
    survivors: Option<String>,
    /// The releases whose files the core may still read: the one it said it uses, and those it was told since.
    told: Vec<Release>,
    /// The stopped plugins that the core was told of last.
    told_stops: Vec<PluginStop>,
    wakefulness: Wakefulness,
    ticks: u32,
    /// What a core that woke waits for.
    owed: Owed,
    /// The job server is being asked what is stopped.
    asking: Option<JoinHandle<Option<Vec<StopFlag>>>>,
    place: Place,
    next_visit: u64,
    /// Something was heard while a visit was under way, which may have come too early for it.
    look_again: bool,
    hearing: Hearing,
    reports: Stream,
    telling: Telling,
}

enum Happened {
    Core(Did),
    Visited(Result<Visited, JoinError>),
    /// The job server told what is stopped.
    Heard(Told),
    /// A look beside a long visit saw these stops.
    SeenBeside(Vec<StopFlag>),
    /// The job server was asked what is stopped; `None` when it did not answer.
    Asked(Option<Vec<StopFlag>>),
    /// The replica stands otherwise than before.
    Replica,
    Tick,
    Terminated,
}

impl Watch<'_, '_> {
    async fn run(mut self) -> Finish {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ends = Ends::new();
        loop {
            let happened = tokio::select! {
                did = next_of(&mut self.core) => Happened::Core(did),
                visited = visited(&mut self.place) => Happened::Visited(visited),
                told = self.hearing.changed() => Happened::Heard(told),
                seen = self.cycle.lookout.seen() => Happened::SeenBeside(seen),
                asked = asked(&mut self.asking) => Happened::Asked(asked),
                () = stands_otherwise(&mut self.cycle.replica) => Happened::Replica,
                _ = ticks.tick() => Happened::Tick,
                () = ends.asked() => Happened::Terminated,
            };
            let events = self.understand(happened).await;
            self.cycle.break_off_when_stopped();
            let mut finish = self.act(events).await;
            self.judge();
            if matches!(finish, Some(Finish::Crashed | Finish::Misunderstood)) && self.gave_up().await {
                self.care = Care::new(clock::since_start());
                finish = None;
            }
            // After a stop was told, if there is one: a core that woke and is stopped goes on with nothing.
            self.pay_what_is_owed().await;
            if let Some(finish) = finish {
                self.note_the_end(finish);
                return finish;
            }
            self.tell_people();
        }
    }

    /// Makes events of what happened.
    async fn understand(&mut self, happened: Happened) -> VecDeque<Event> {
        match happened {
            Happened::Core(Did::Said(message)) => VecDeque::from([self.understand_core(message)]),
            Happened::Core(Did::Ended(how)) => {
                if self.care.phase() == Phase::Running {
                    self.probation.crashed(how.by_somebody);
                }
                let core = self.core.take();
                self.survivors = core.as_ref().and_then(|core| core.survivors().map(ToOwned::to_owned));
                self.last_words = core.and_then(|core| core.last_words().map(ToOwned::to_owned));
                self.said = None;
                self.cycle.core_uses = None;
                self.probation.rests();
                self.owed = Owed::default();
                VecDeque::from([Event::Ended(how.code)])
            }
            Happened::Visited(visited) => {
                let in_time = !self.look_again;
                self.take_in(visited);
                self.cycle.keep_replica().await;
                if in_time {
                    self.owed.visited();
                }
                let mut events = VecDeque::from([Event::Wanted(decide::next(&self.facts()))]);
                events.extend(self.tell_release().await);
                self.tell_stops().await;
                events
            }
            Happened::Heard(told) => {
                self.cycle.hear(told.stops);
                self.tell_stops().await;
                if told.look {
                    self.look_again = matches!(self.place, Place::Visiting(_));
                    self.begin_visit();
                }
                VecDeque::from([Event::Wanted(decide::next(&self.facts()))])
            }
            Happened::SeenBeside(seen) => {
                self.see_beside(seen).await;
                VecDeque::from([Event::Wanted(decide::next(&self.facts()))])
            }
            Happened::Asked(answer) => {
                self.asking = None;
                if let Some(stops) = answer {
                    self.cycle.hear(stops);
                    self.tell_stops().await;
                }
                self.owed.asked();
                VecDeque::from([Event::Wanted(decide::next(&self.facts()))])
            }
            Happened::Replica => {
                self.cycle.hear_of_replica();
                let mut events = VecDeque::from([Event::Wanted(decide::next(&self.facts()))]);
                // A core knows the way to the data from its start.
                let knows = self.core.is_none() || self.core_host == self.cycle.settings.host();
                events.extend((!knows).then_some(Event::OtherCore));
                events
            }
            Happened::Tick => {
                match self.place {
                    Place::Visiting(_) => self.cycle.mark_progress(),
                    Place::Here(_) | Place::Lost => self.cycle.lock.mark_progress(),
                }
                self.ticks += 1;
                if self.ticks.is_multiple_of(NOTE_EVERY)
                    && let Some(core) = &self.core
                {
                    leftovers::note_family(&self.cycle.settings.state, core.mark());
                }
                if let Some(jump) = self.wakefulness.tick(clock::clocks(), TICK) {
                    tracing::info!("{jump}: looking for stops now");
                    if let Some(replica) = &self.cycle.replica {
                        replica.time_jumped();
                    }
                    self.probation.slept(clock::since_start());
                    self.look_anew();
                }
                let seen = self.probation.tick(clock::since_start());
                self.to_judge = self.to_judge.take().or(seen);
                if clock::since_start() >= self.next_visit {
                    self.begin_visit();
                }
                VecDeque::from([Event::Wanted(decide::next(&self.facts())), Event::Tick])
            }
            Happened::Terminated => VecDeque::from([Event::Terminated]),
        }
    }

    /// Takes in what the core says of itself.
    fn understand_core(&mut self, message: FromCore) -> Event {
        match &message {
            FromCore::Using(tag) => {
                tracing::info!("the core uses {tag}");
                self.cycle.core_uses = Some(tag.clone());
                still_in_use(&mut self.told, tag);
            }
            FromCore::Spooled { jobs, bytes } => self.cycle.spool = Spool { jobs: *jobs, bytes: *bytes },
            FromCore::Protected(protections) => self.cycle.findings.protections(*protections),
            FromCore::Woke(number) => {
                tracing::info!("the core woke: looking for stops before it goes on");
                self.owed.core_woke(*number);
                self.look_anew();
            }
            FromCore::Opening(_) | FromCore::Waiting(_) | FromCore::Working { .. } => self.said = Some(message.clone()),
            _ => {}
        }
        let seen = self.probation.hear(&message, clock::since_start());
        self.to_judge = self.to_judge.take().or(seen);
        Event::Heard(message)
    }

    /// Does what care decides, until it has nothing more to say.
    async fn act(&mut self, mut events: VecDeque<Event>) -> Option<Finish> {
        while let Some(event) = events.pop_front() {
            for act in self.care.on(event, clock::since_start()) {
                match act {
                    Act::Start => match self.start().await {
                        Ok(event) => events.extend(event),
                        Err(finish) => return Some(finish),
                    },
                    Act::Tell(message) => match &mut self.core {
                        Some(core) => {
                            tracing::info!("telling the core: {}", message.for_log());
                            core.tell(&message).await;
                        }
                        None => events.push_back(Event::Ended(Some(0))),
                    },
                    Act::Kill(why) => {
                        tracing::warn!("killing the core: {why}");
                        if self.care.phase() == Phase::Running {
                            self.to_judge = self.to_judge.take().or(self.probation.hung(why));
                        }
                        if let Some(core) = &self.core {
                            core.kill();
                        }
                    }
                    Act::Finish(finish) => return Some(finish),
                }
            }
        }
        None
    }

    fn facts(&self) -> Facts {
        self.cycle.facts()
    }

    fn release_in_force(&self) -> Option<Release> {
        self.cycle.visit.as_ref()?.release.clone()
    }

    /// Notes how the last core ended.
    fn note_the_end(&mut self, finish: Finish) {
        const NEXT: &str = "the logs in the state folder say more; the next cycle tries again";
        let findings = &mut self.cycle.findings;
        match finish {
            Finish::AsWanted | Finish::Terminated => match self.survivors.take() {
                None => findings.good(Step::Core, "ended; no process of it is left"),
                Some(survivors) => findings.bad(Step::Core, format!("ended, but {survivors}"), "restart the machine"),
            },
            Finish::Crashed => {
                let words = self.last_words.take().unwrap_or_else(|| "nothing".to_owned());
                findings.bad(Step::Core, format!("ended by itself, several times in a row; it said: {words}"), NEXT);
            }
            Finish::Misunderstood => {
                let next = "install boot, launcher and core from the same build";
                findings.bad(Step::Core, "it does not understand this launcher", next);
            }
            Finish::Unusable => {} // noted where it was found
        }
    }

    /// Writes the status file and sends a report, as far as something changed.
    fn tell_people(&mut self) {
        let facts = self.facts();
        self.cycle.note_hours(&facts);
        let (state, reason) = telling::in_words(&self.care, self.said.as_ref());
        self.cycle.findings.good(Step::Core, reason.clone());
        let mut report = self.cycle.report(state, reason);
        report.reason = telling::and_replica(state, report.reason, report.replica.as_ref());
        let due = self.telling.due(&report, clock::since_start());
        if due.status {
            self.cycle.write_status(report.clone(), None);
        }
        if due.report {
            self.reports.put(report);
        }
    }
}

async fn next_of(core: &mut Option<CoreProcess>) -> Did {
    match core {
        Some(core) => core.next().await,
        None => std::future::pending().await,
    }
}

async fn stands_otherwise(replica: &mut Option<Keeper>) {
    match replica {
        Some(keeper) => keeper.changed().await,
        None => std::future::pending().await,
    }
}

async fn asked(asking: &mut Option<JoinHandle<Option<Vec<StopFlag>>>>) -> Option<Vec<StopFlag>> {
    match asking {
        Some(asking) => asking.await.ok().flatten(),
        None => std::future::pending().await,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
