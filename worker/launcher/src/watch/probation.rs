//! What a core's words say about a release on trial, or about the last good one while another is under suspicion: one pure
//! state machine. Times are milliseconds since the machine's start.
//!
//! A release on trial proves itself by its first job, or by an answer of the job server that no job waits: its samples
//! have passed before. It fails when its core does not stay up, when jobs of a plugin fail [`JOBS`] times without one that
//! is done, and when the job server says nothing for [`ANSWER_WITHIN`]. A core that was killed each time is told from one
//! that crashed or hung by itself.
//!
//! The last good one is asked for the same. Its jobs are others, and so it has to do as many of the plugin as the other
//! failed at, one after the other: one that fails with it, too, shows that the records may be wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use nightshift_contract::message::FromCore;
use nightshift_engine::{Event, Fault, FaultKind};

/// So many failed jobs of a plugin, and none done, are held against a release.
const JOBS: u32 = 3;
/// How long a core may be silent on its way to a release. A plugin may take five minutes to open, and each one that is
/// begun is told.
const UP_WITHIN: Duration = Duration::from_secs(330);
/// How long it may be without any answer of the job server.
const ANSWER_WITHIN: Duration = Duration::from_secs(30 * 60);

/// Whom to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Suspect {
    /// The release on trial, by its tag.
    OnTrial(String),
    /// The last good one, by its tag, while another is suspected of this.
    LastGood(String, FaultKind),
}

/// What was seen of the core since it was started, or since it uses the release.
#[derive(Debug)]
pub(super) struct Probation {
    suspect: Option<Suspect>,
    since: u64,
    running: bool,
    using: bool,
    in_hand: bool,
    /// A core of it ended, or hung, and nobody else's doing was seen in that.
    crashed_itself: bool,
    done: BTreeMap<String, u32>,
    failed: BTreeMap<String, (u32, String)>,
}

impl Probation {
    pub(super) fn new() -> Probation {
        Probation {
            suspect: None,
            since: 0,
            running: false,
            using: false,
            in_hand: false,
            crashed_itself: false,
            done: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Judges this one from now on; what was seen of the same one counts on.
    pub(super) fn of(&mut self, suspect: Option<Suspect>, now: u64) {
        if self.suspect != suspect {
            let running = self.running;
            *self = Probation { suspect, since: now, running, ..Probation::new() };
        }
    }

    /// A core was started, on the release that is judged.
    pub(super) fn started(&mut self, now: u64) {
        (self.since, self.running, self.using, self.in_hand) = (now, true, false, false);
    }

    /// The core is told to use another release; the job in hand comes first.
    pub(super) fn told(&mut self, now: u64) {
        (self.since, self.using) = (now, false);
    }

    /// The machine slept, or its clock jumped: what was waited for could not happen meanwhile.
    pub(super) fn slept(&mut self, now: u64) {
        self.since = now;
    }

    /// No core runs, and that is nobody's fault.
    pub(super) fn rests(&mut self) {
        self.running = false;
    }

    /// The core said something.
    pub(super) fn hear(&mut self, message: &FromCore, now: u64) -> Option<Event> {
        let tag = match self.suspect.as_ref()? {
            Suspect::OnTrial(tag) | Suspect::LastGood(tag, _) => tag,
        };
        match message {
            FromCore::Using(used) => {
                (self.using, self.in_hand, self.since) = (used == tag, false, now);
                None
            }
            FromCore::Opening(_) => {
                if !self.using {
                    (self.in_hand, self.since) = (false, now);
                }
                None
            }
            FromCore::Working { done, total, .. } if done < total => {
                self.in_hand = true;
                None
            }
            FromCore::Working { plugin, .. } => {
                (self.in_hand, self.since) = (false, now);
                if !self.using {
                    // The job in hand was done with the release before, and says nothing about this one.
                    return None;
                }
                let done = self.done.entry(plugin.clone()).or_default();
                *done += 1;
                let enough = *done >= JOBS && !self.failed.contains_key(plugin);
                self.can(|fault| match fault {
                    FaultKind::Jobs(failing) => failing == plugin && enough,
                    FaultKind::Core | FaultKind::CutOff | FaultKind::Claim => true,
                    _ => false,
                })
            }
            FromCore::Failed { plugin, why, .. } => {
                (self.in_hand, self.since) = (false, now);
                self.job_failed(plugin, why)
            }
            FromCore::Progress if !self.in_hand && self.using => {
                self.since = now;
                let answers =
                    |fault: &FaultKind| matches!(fault, FaultKind::Core | FaultKind::CutOff | FaultKind::Claim);
                if self.failed.is_empty() { self.can(answers) } else { None }
            }
            FromCore::Waiting(_)
            | FromCore::Progress
            | FromCore::Protected(_)
            | FromCore::Spooled { .. }
            | FromCore::Woke(_) => None,
        }
    }

    /// A core that was to go on ended, or could not be started.
    pub(super) fn crashed(&mut self, by_somebody: bool) {
        self.crashed_itself |= !by_somebody;
    }

    /// The core gives no sign of life; `found` says so.
    pub(super) fn hung(&mut self, found: &str) -> Option<Event> {
        self.crashed(false);
        self.gave_up(found)
    }

    /// The core does not stay up; `found` says what it said last.
    pub(super) fn gave_up(&mut self, found: &str) -> Option<Event> {
        self.running = false;
        match self.crashed_itself {
            true => self.cannot(FaultKind::Core, format!("its core does not stay up: {found}")),
            false => {
                let found = format!("its core was killed each time, by somebody or for want of memory: {found}");
                self.cannot(FaultKind::CutOff, found)
            }
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: u64) -> Option<Event> {
        let waited = Duration::from_millis(now.saturating_sub(self.since));
        match (self.running, self.using) {
            (false, _) => None,
            // A job in hand is done with the release before.
            (true, false) if waited >= UP_WITHIN && !self.in_hand => {
                let found = format!("it did not begin within {} s", UP_WITHIN.as_secs());
                self.cannot(FaultKind::Core, format!("its core does not come up: {found}"))
            }
            (true, true) if waited >= ANSWER_WITHIN && !self.in_hand => {
                let found = "its core gets no answer from the job server".to_owned();
                self.cannot(FaultKind::Claim, found)
            }
            _ => None,
        }
    }

    fn job_failed(&mut self, plugin: &str, why: &str) -> Option<Event> {
        if !self.using {
            return None;
        }
        let failed = self.failed.entry(plugin.to_owned()).or_default();
        *failed = (failed.0 + 1, why.to_owned());
        let often = match self.suspect {
            Some(Suspect::LastGood(..)) => true,
            _ => failed.0 >= JOBS && !self.done.contains_key(plugin),
        };
        let found = format!("every job of {plugin} fails: {why}");
        often.then(|| self.cannot(FaultKind::Jobs(plugin.to_owned()), found))?
    }

    /// What was judged can do what shows these faults to be none of its.
    fn can(&mut self, shows: impl Fn(&FaultKind) -> bool) -> Option<Event> {
        match self.suspect.as_ref().filter(|_| self.using)? {
            Suspect::OnTrial(_) => Some(Event::Proved),
            Suspect::LastGood(_, fault) => shows(fault).then_some(Event::LastGoodWell),
        }
    }

    fn cannot(&self, kind: FaultKind, found: String) -> Option<Event> {
        match self.suspect.as_ref()? {
            Suspect::OnTrial(_) => Some(Event::Failed(Fault { kind, found })),
            Suspect::LastGood(_, fault) => {
                // A core that is killed says nothing about one that crashed by itself.
                let same = *fault == kind || (*fault == FaultKind::CutOff && kind == FaultKind::Core);
                same.then_some(Event::LastGoodToo)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_trial() -> Probation {
        let mut probation = Probation::new();
        probation.of(Some(Suspect::OnTrial("v2".into())), 0);
        probation.started(0);
        probation
    }

    fn last_good(fault: FaultKind) -> Probation {
        let mut probation = Probation::new();
        probation.of(Some(Suspect::LastGood("v1".into(), fault)), 0);
        probation.started(0);
        assert_eq!(probation.hear(&using("v1"), 1), None);
        probation
    }

    fn using(tag: &str) -> FromCore {
        FromCore::Using(tag.into())
    }

    fn working(done: u64) -> FromCore {
        FromCore::Working { job: 7, plugin: "p".into(), done, total: 4 }
    }

    fn failed() -> FromCore {
        FromCore::Failed { job: 7, plugin: "p".into(), why: "no table".into() }
    }

    fn kind(event: Option<Event>) -> Option<FaultKind> {
        match event {
            Some(Event::Failed(fault)) => Some(fault.kind),
            _ => None,
        }
    }

    #[test]
    fn the_first_job_done_with_it_proves_a_release_and_one_done_before_does_not() {
        let mut probation = on_trial();
        assert_eq!(probation.hear(&working(4), 1), None, "done with the release before");
        assert_eq!(probation.hear(&using("v2"), 2), None);
        assert_eq!(probation.hear(&working(0), 3), None);
        assert_eq!(probation.hear(&FromCore::Progress, 4), None, "a job is in hand, and decides");
        assert_eq!(probation.hear(&working(4), 5), Some(Event::Proved));
    }

    #[test]
    fn where_no_job_waits_the_job_servers_answer_is_enough() {
        let mut probation = on_trial();
        probation.hear(&using("v2"), 2);
        assert_eq!(probation.hear(&FromCore::Waiting("work".into()), 3), None);
        assert_eq!(probation.hear(&FromCore::Progress, 4), Some(Event::Proved));
    }

    #[test]
    fn a_release_that_fails_every_job_of_a_plugin_fails() {
        let mut probation = on_trial();
        probation.hear(&using("v2"), 2);
        assert_eq!(probation.hear(&failed(), 3), None);
        assert_eq!(probation.hear(&FromCore::Progress, 4), None, "no other job waits, and that proves nothing now");
        assert_eq!(probation.hear(&failed(), 5), None);
        assert_eq!(kind(probation.hear(&failed(), 6)), Some(FaultKind::Jobs("p".into())));
    }

    #[test]
    fn a_job_that_the_release_before_finished_hides_no_job_that_fails() {
        let mut probation = on_trial();
        probation.hear(&working(0), 1);
        assert_eq!(probation.hear(&working(4), 2), None, "it was in hand when the other came into force");
        probation.hear(&using("v2"), 3);
        let events: Vec<_> = (4..7).map(|now| kind(probation.hear(&failed(), now))).collect();
        assert_eq!(events, [None, None, Some(FaultKind::Jobs("p".into()))]);
    }

    #[test]
    fn a_core_that_does_not_stay_up_come_up_or_get_an_answer_fails() {
        let mut crashing = on_trial();
        crashing.crashed(false);
        assert_eq!(kind(crashing.gave_up("a signal")), Some(FaultKind::Core));
        assert_eq!(kind(on_trial().hung("no sign of life")), Some(FaultKind::Core));
        assert_eq!(on_trial().tick(329_000), None);
        assert_eq!(kind(on_trial().tick(330_000)), Some(FaultKind::Core));
        let mut probation = on_trial();
        probation.hear(&using("v2"), 0);
        assert_eq!(probation.tick(1_799_000), None);
        assert_eq!(kind(probation.tick(1_800_000)), Some(FaultKind::Claim));
        probation.rests();
        assert_eq!(probation.tick(9_000_000), None, "outside the hours nothing is expected of it");
    }

    #[test]
    fn a_long_job_of_the_release_before_is_waited_for() {
        let mut probation = on_trial();
        probation.hear(&working(0), 1);
        assert_eq!(probation.tick(9_000_000), None);
    }

    #[test]
    fn a_release_that_came_during_a_long_job_has_its_time_after_it() {
        for last in [working(4), failed()] {
            let mut probation = on_trial();
            probation.hear(&working(0), 1);
            probation.hear(&last, 9_000_000);
            assert_eq!(probation.tick(9_001_000), None, "its plugins are being opened");
            assert_eq!(kind(probation.tick(9_330_000)), Some(FaultKind::Core));
        }
    }

    #[test]
    fn each_plugin_that_is_opened_has_time_of_its_own_and_a_machine_that_sleeps_takes_none() {
        let mut probation = on_trial();
        for plugin in 1..=5 {
            assert_eq!(probation.hear(&FromCore::Opening("p".into()), 300_000 * plugin), None);
            assert_eq!(probation.tick(300_000 * plugin + 299_000), None);
        }
        probation.slept(90_000_000);
        assert_eq!(probation.tick(90_000_001), None);
    }

    #[test]
    fn a_job_that_failed_does_not_hide_that_the_job_server_answers() {
        let mut probation = on_trial();
        probation.hear(&using("v2"), 0);
        probation.hear(&failed(), 1);
        for minutes in 1..=60 {
            assert_eq!(probation.hear(&FromCore::Progress, minutes * 60_000), None);
            assert_eq!(probation.tick(minutes * 60_000 + 1), None);
        }
    }

    #[test]
    fn a_core_that_was_killed_each_time_is_told_from_one_that_crashed_once_by_itself() {
        let mut killed = on_trial();
        (0..3).for_each(|_| killed.crashed(true));
        assert_eq!(kind(killed.gave_up("nothing")), Some(FaultKind::CutOff));
        let mut crashed = on_trial();
        [true, false, true].into_iter().for_each(|by_somebody| crashed.crashed(by_somebody));
        assert_eq!(kind(crashed.gave_up("nothing")), Some(FaultKind::Core));
    }

    #[test]
    fn the_last_good_release_has_to_do_as_many_jobs_as_the_other_failed_at_and_fail_at_none() {
        let jobs = || last_good(FaultKind::Jobs("p".into()));
        let mut probation = jobs();
        assert_eq!([probation.hear(&working(4), 2), probation.hear(&working(4), 3)], [None, None], "luck");
        assert_eq!(probation.hear(&working(4), 4), Some(Event::LastGoodWell));
        let mut probation = jobs();
        assert_eq!(probation.hear(&working(4), 2), None);
        assert_eq!(probation.hear(&failed(), 3), Some(Event::LastGoodToo), "the records may be wrong");
    }

    #[test]
    fn a_last_good_core_that_is_killed_says_nothing_about_one_that_crashed() {
        let mut probation = last_good(FaultKind::Core);
        probation.crashed(true);
        assert_eq!(probation.gave_up("nothing"), None);
        let mut probation = last_good(FaultKind::CutOff);
        probation.crashed(true);
        assert_eq!(probation.gave_up("nothing"), Some(Event::LastGoodToo));
        assert_eq!(last_good(FaultKind::CutOff).hear(&FromCore::Progress, 2), Some(Event::LastGoodWell));
    }

    #[test]
    fn the_last_good_release_is_asked_for_what_the_other_could_not_do() {
        let jobs = || FaultKind::Jobs("p".into());
        assert_eq!(last_good(jobs()).hear(&FromCore::Progress, 2), None, "an answer says nothing about jobs");
        let mut other = last_good(FaultKind::Jobs("other".into()));
        assert_eq!([2, 3, 4].map(|now| other.hear(&working(4), now)), [None, None, None]);
        assert_eq!(last_good(FaultKind::Core).hear(&FromCore::Progress, 2), Some(Event::LastGoodWell));
        assert_eq!(last_good(FaultKind::Core).hung("no sign of life"), Some(Event::LastGoodToo));
        assert_eq!(last_good(FaultKind::Claim).tick(1_800_001), Some(Event::LastGoodToo));
    }

    #[test]
    fn nobody_is_judged_when_nothing_is_on_trial() {
        let mut probation = Probation::new();
        probation.started(0);
        assert_eq!(
            (probation.hear(&working(4), 1), probation.gave_up("x"), probation.tick(9_999_999)),
            (None, None, None)
        );
    }
}
