//! What a worker may do now, given what is known: one pure function for the cycle and for the watch over its core.
//!
//! The order is the rule. A stop file or stop flag comes before everything, one that stops at once before one that lets the
//! job in hand be finished; then a repository out of reach for so long that a stop flag could have been missed; then
//! whether there is a release at all, and whether its launcher is another one, which takes over; then the working hours; then
//! whether anything can run without a replica that only a person can mend.

use jiff::Timestamp;
use nightshift_contract::exit::Exit;
use nightshift_manifest::hours::Window;
use nightshift_wire::WorkerState;

use crate::repository::SAFE_MODE;

/// What is known when a decision is due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The reason in the local stop file, when there is one.
    pub stop_file: Option<String>,
    /// The stop flags that stop this worker at once, as far as anybody could see them.
    pub stop_flag: Option<String>,
    /// The stop flags that stop this worker after the job in hand.
    pub stop_after_job: Option<String>,
    /// Why the job server does not let this worker in, and what to do about it, when it does not.
    pub out: Option<(String, &'static str)>,
    /// Why a stop flag could have been missed, when nobody has really looked at the repository for too long.
    pub unseen_for_too_long: Option<String>,
    /// Why the repository could not be looked at or fetched from, when it could not.
    pub trouble: Option<String>,
    /// The tag of the release in force.
    pub release: Option<String>,
    /// The launcher in force is another program than this one.
    pub another_launcher: bool,
    /// The working hours at this moment; `None` when no release says.
    pub hours: Option<Window>,
    /// Why nothing could run, when every plugin needs the replica and nobody but a person makes it current.
    pub no_data: Option<String>,
    /// Releases that are offered and refused.
    pub refused: usize,
    /// Why no new release may come in, when what was trusted here is lost.
    pub safe_mode: Option<String>,
}

/// What a worker may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing may run, by the local stop file. Holds the reason.
    StoppedHere(String),
    /// Nothing may run, by the grid's stop flag. Holds the reason.
    StoppedByFlag(String),
    /// The job in hand may be finished and no other taken, by the grid's stop flag. Holds the reason.
    StoppedAfterJob(String),
    /// No new job may be taken: a stop flag could have been missed. Holds why.
    Unseen(String),
    /// There is no release to run. Holds why none could be fetched, when that is the reason.
    NoRelease(Option<String>),
    /// There are releases, and all of them are refused.
    NoGoodRelease,
    /// What was trusted here is lost, and nothing proves to be what was in force. Holds what is wrong.
    SafeMode(String),
    /// The launcher of the release in force takes over. Holds the release.
    GiveWay(String),
    /// The job server does not let this worker in. Holds why, and what to do about it.
    Out(String, &'static str),
    /// Outside the working hours; holds when they begin.
    Rest(Timestamp),
    /// Every plugin needs the replica, and only a person makes it current. Holds what is wrong.
    NoData(String),
    /// A core may run.
    Work,
}

/// Decides what a worker may do now.
pub fn next(facts: &Facts) -> Next {
    if let Some(reason) = &facts.stop_file {
        return Next::StoppedHere(reason.clone());
    }
    if let Some(reason) = &facts.stop_flag {
        return Next::StoppedByFlag(reason.clone());
    }
    if let Some(reason) = &facts.stop_after_job {
        return Next::StoppedAfterJob(reason.clone());
    }
    if let (None, Some(why)) = (&facts.release, &facts.safe_mode) {
        return Next::SafeMode(why.clone());
    }
    if facts.release.is_none() {
        return match facts.trouble.is_none() && facts.refused > 0 {
            true => Next::NoGoodRelease,
            false => Next::NoRelease(facts.trouble.clone()),
        };
    }
    if let Some(tag) = facts.release.as_ref().filter(|_| facts.another_launcher) {
        return Next::GiveWay(tag.clone());
    }
    if let Some(reason) = &facts.unseen_for_too_long {
        return Next::Unseen(reason.clone());
    }
    if let Some((reason, to_do)) = &facts.out {
        return Next::Out(reason.clone(), to_do);
    }
    match facts.hours {
        Some(Window::Closed { opens }) => Next::Rest(opens),
        Some(Window::Open { .. }) | None => match &facts.no_data {
            Some(reason) => Next::NoData(reason.clone()),
            None => Next::Work,
        },
    }
}

impl Next {
    /// Whether the grid or this worker is stopped, at once or after the job in hand.
    pub fn is_stopped(&self) -> bool {
        self.is_stop() || matches!(self, Next::StoppedAfterJob(_))
    }

    /// Whether whatever runs has to be stopped at once.
    pub fn is_stop(&self) -> bool {
        matches!(self, Next::StoppedHere(_) | Next::StoppedByFlag(_))
    }

    /// How a cycle ends that can do nothing else. A refused release that is still offered shows in the exit code
    /// unless the grid is stopped.
    pub fn exit(&self, facts: &Facts) -> Exit {
        match self {
            Next::StoppedHere(_) | Next::StoppedByFlag(_) | Next::StoppedAfterJob(_) => Exit::Stopped,
            _ if facts.safe_mode.is_some() => Exit::Failed,
            _ if facts.refused > 0 => Exit::ReleaseRefused,
            Next::Out(..) => Exit::NotAllowed,
            Next::SafeMode(_) => Exit::Failed,
            Next::NoData(_) => Exit::ReplicaBehind,
            Next::Unseen(_) | Next::NoRelease(_) | Next::NoGoodRelease => Exit::TryLater,
            Next::Rest(_) | Next::Work | Next::GiveWay(_) => Exit::Done,
        }
    }

    /// The worker's state while it does nothing else.
    pub fn state(&self) -> WorkerState {
        match self {
            Next::StoppedHere(_) | Next::StoppedByFlag(_) | Next::StoppedAfterJob(_) => WorkerState::Stopped,
            Next::NoData(_)
            | Next::Out(..)
            | Next::Unseen(_)
            | Next::NoRelease(_)
            | Next::NoGoodRelease
            | Next::SafeMode(_) => WorkerState::Blocked,
            Next::Rest(_) => WorkerState::Resting,
            Next::Work | Next::GiveWay(_) => WorkerState::Waiting,
        }
    }

    /// The reason as a sentence for people, and what they can do about it (empty when nothing).
    pub fn in_words(&self) -> (String, &'static str) {
        match self {
            Next::StoppedHere(reason) => {
                (format!("stop file: {reason}"), "start it again with: nightshift-worker start")
            }
            Next::StoppedByFlag(reason) | Next::StoppedAfterJob(reason) => {
                (format!("stop flag: {reason}"), "start it again with: nightshift start")
            }
            Next::Unseen(reason) => (
                format!("no new jobs, because a stop flag could be missed: {reason}"),
                "make the central repository reachable; the next cycle goes on by itself",
            ),
            Next::SafeMode(why) => (why.clone(), SAFE_MODE),
            Next::NoRelease(Some(trouble)) => {
                (format!("there is no release here yet: {trouble}"), "the next cycle tries again")
            }
            Next::NoRelease(None) => {
                ("there is no release yet".to_owned(), "make the first one with: nightshift release cut 1.0.0")
            }
            Next::NoGoodRelease => (
                "every release in the repository is refused here".to_owned(),
                "compare `signers` in worker.toml with who signed them, or cut a release that is signed by one of these",
            ),
            Next::Out(reason, to_do) => (reason.clone(), to_do),
            Next::NoData(reason) => (
                format!("no jobs, because every plugin needs the replica: {reason}"),
                "see to the replica (nightshift-worker doctor); the next cycle goes on by itself",
            ),
            Next::Rest(opens) => (format!("outside the working hours; they begin at {opens}"), ""),
            Next::GiveWay(tag) => (format!("the launcher of {tag} takes over"), ""),
            Next::Work => ("working hours".to_owned(), ""),
        }
    }
}

impl Next {
    /// What a cycle that ends so says to the person: the refused releases, one a line, then what keeps it from working.
    /// Where no release is in force both are one story, told once.
    pub fn last_words(&self, facts: &Facts, refused: &[String]) -> String {
        let (reason, to_do) = self.in_words();
        let exit = self.exit(facts);
        if let (Exit::ReleaseRefused, None, [first, more @ ..]) = (exit, &facts.release, refused) {
            let more = match more.len() {
                0 => String::new(),
                number => format!(" ({number} more refused)"),
            };
            return format!("{reason}: {first}{more}; {to_do}");
        }
        let mut words: Vec<String> = Vec::new();
        if exit != Exit::Done {
            words.extend(refused.iter().cloned());
        }
        if let (Some(why), Exit::Failed) = (facts.safe_mode.as_ref().filter(|why| **why != reason), exit) {
            words.push(format!("{why}; {SAFE_MODE}"));
        }
        if !to_do.is_empty() {
            words.push(format!("{reason}; {to_do}"));
        }
        words.join("\n")
    }
}

/// The working hours at a moment as a sentence.
pub fn window_in_words(window: Window) -> String {
    match window {
        Window::Open { until: None } => "working hours, for a week at least".to_owned(),
        Window::Open { until: Some(until) } => format!("working hours until {until}"),
        Window::Closed { opens } => format!("outside the working hours; they begin at {opens}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn working() -> Facts {
        Facts { release: Some("v1.0.0".into()), hours: Some(Window::Open { until: None }), ..Facts::default() }
    }

    fn noon() -> Timestamp {
        "2026-01-05T12:00:00Z".parse().expect("a moment")
    }

    #[test]
    fn a_worker_with_a_release_in_its_hours_works() {
        assert_eq!(next(&working()), Next::Work);
        assert_eq!(Next::Work.exit(&working()), Exit::Done);
    }

    #[test]
    fn a_stop_comes_before_everything_else() {
        let all = Facts {
            stop_flag: Some("a reason".into()),
            unseen_for_too_long: Some("yesterday".into()),
            release: None,
            hours: Some(Window::Closed { opens: noon() }),
            refused: 2,
            ..Facts::default()
        };
        assert_eq!(next(&all), Next::StoppedByFlag("a reason".into()));
        assert_eq!(next(&all).exit(&all), Exit::Stopped);
        let here = Facts { stop_file: Some("here".into()), ..all };
        assert_eq!(next(&here), Next::StoppedHere("here".into()));
        assert!(next(&here).is_stop());
    }

    #[test]
    fn a_worker_that_could_miss_a_stop_flag_takes_no_new_jobs() {
        let facts = Facts { unseen_for_too_long: Some("yesterday".into()), ..working() };
        assert_eq!(next(&facts), Next::Unseen("yesterday".into()));
        assert_eq!(next(&facts).exit(&facts), Exit::TryLater);
        assert!(!next(&facts).is_stop(), "the job in hand is finished");
    }

    #[test]
    fn without_a_release_a_cycle_asks_to_be_tried_later_and_names_the_command() {
        let facts = Facts { release: None, ..working() };
        let away = Facts { trouble: Some("no route".into()), ..facts.clone() };
        assert!(next(&away).in_words().0.contains("no route"));
        assert_eq!(next(&facts).exit(&facts), Exit::TryLater);
        assert!(next(&facts).in_words().1.contains("nightshift release cut 1.0.0"));
    }

    #[test]
    fn where_every_release_is_refused_nobody_is_told_to_make_the_first_one() {
        let facts = Facts { release: None, refused: 8, ..working() };
        assert_eq!(next(&facts), Next::NoGoodRelease);
        assert_eq!(next(&facts).exit(&facts), Exit::ReleaseRefused);
        assert!(next(&facts).in_words().1.contains("`signers` in worker.toml"));
    }

    #[test]
    fn without_any_release_refusals_and_their_consequence_are_one_line() {
        let facts = Facts { release: None, refused: 2, ..working() };
        let refused = ["v1.1.0 is refused: not signed; sign it".to_owned(), "v1.0.0 is refused: x; y".to_owned()];
        let words = next(&facts).last_words(&facts, &refused);
        assert_eq!(words.lines().count(), 1, "{words}");
        assert!(words.starts_with("every release in the repository is refused here: v1.1.0 is refused: not signed"));
        assert!(words.contains("(1 more refused); compare `signers`"), "{words}");
        assert_eq!(next(&working()).last_words(&Facts { refused: 2, ..working() }, &refused), refused.join("\n"));
    }

    #[test]
    fn a_worker_that_is_not_let_in_takes_no_job_and_says_why() {
        let facts = Facts { out: Some(("waits for approval".into(), "approve it")), ..working() };
        assert_eq!(next(&facts), Next::Out("waits for approval".into(), "approve it"));
        assert_eq!(next(&facts).exit(&facts), Exit::NotAllowed);
        assert!(!next(&facts).is_stop(), "the job in hand is finished");
        assert_eq!(next(&facts).last_words(&facts, &[]), "waits for approval; approve it");
    }

    #[test]
    fn in_safe_mode_the_release_in_force_works_on_and_the_exit_code_says_that_something_is_lost() {
        let why = "safe mode: what is trusted here is lost".to_owned();
        let facts = Facts { safe_mode: Some(why.clone()), ..working() };
        assert_eq!((next(&facts), next(&facts).exit(&facts)), (Next::Work, Exit::Failed));
        assert_eq!(next(&facts).last_words(&facts, &[]), format!("{why}; {SAFE_MODE}"));
        let nothing = Facts { release: None, ..facts.clone() };
        assert_eq!((next(&nothing), next(&nothing).exit(&nothing)), (Next::SafeMode(why.clone()), Exit::Failed));
        assert_eq!(next(&nothing).last_words(&nothing, &[]), format!("{why}; {SAFE_MODE}"));
        let stopped = Facts { stop_flag: Some("r".into()), ..facts };
        assert_eq!(next(&stopped).exit(&stopped), Exit::Stopped, "a stop comes before everything");
    }

    #[test]
    fn another_launcher_takes_over_unless_the_grid_is_stopped() {
        let facts = Facts { another_launcher: true, hours: Some(Window::Closed { opens: noon() }), ..working() };
        assert_eq!(next(&facts), Next::GiveWay("v1.0.0".into()));
        assert!(!next(&facts).is_stop(), "the job in hand is finished");
        let stopped = Facts { stop_flag: Some("a reason".into()), ..facts };
        assert!(next(&stopped).is_stop());
    }

    #[test]
    fn outside_its_hours_a_worker_rests() {
        let facts = Facts { hours: Some(Window::Closed { opens: noon() }), ..working() };
        assert_eq!(next(&facts), Next::Rest(noon()));
        assert_eq!(next(&facts).exit(&facts), Exit::Done);
    }

    #[test]
    fn a_stop_after_the_job_is_one_that_lets_it_be_finished_and_one_at_once_comes_before_it() {
        let facts = Facts { stop_after_job: Some("s".into()), unseen_for_too_long: Some("u".into()), ..working() };
        let after = next(&facts);
        assert_eq!(after, Next::StoppedAfterJob("s".into()));
        assert!(!after.is_stop(), "the core drains");
        assert_eq!((after.exit(&facts), after.state()), (Exit::Stopped, WorkerState::Stopped));
        let both = Facts { stop_flag: Some("now".into()), ..facts };
        assert_eq!(next(&both), Next::StoppedByFlag("now".into()));
    }

    #[test]
    fn a_refused_release_shows_in_the_exit_code_of_a_cycle_that_went_on() {
        let facts = Facts { refused: 1, ..working() };
        assert_eq!(next(&facts).exit(&facts), Exit::ReleaseRefused);
        let closed = Facts { hours: Some(Window::Closed { opens: noon() }), ..facts };
        assert_eq!(next(&closed).exit(&closed), Exit::ReleaseRefused);
    }
}
