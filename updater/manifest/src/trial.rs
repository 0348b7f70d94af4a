//! The life of an update on one worker, and what was found bad there: `trial.json`, the journal. Pure; what is done about
//! it is in `updater/engine` and `worker/launcher`. A test prints the moves into `docs/diagrams/update-life.md`.
//!
//! ```text
//! staged ──▶ checked ──▶ switched ──▶ good            the floor rises to it
//!   │                        │
//!   └──────────┬─────────────┘
//!              ├──▶ suspected ──▶ bad                 its tag object is never taken again
//!              │         │
//!              └─────────┴──▶ later ──▶ staged        tried again after a while
//! ```
//! *Switched* is the one stage in which the release on trial is in force; in every other the last good one is. A release
//! under suspicion is bad only when the last good one shows on the same machine that it can do what the other could
//! not. Best is that both do the same once more, side by side: the samples, the self-check, the records that failed. Then
//! one fault is enough. What may as well be the world's fault (a repository out of reach, records that are wrong, somebody
//! who kills processes) and can only be compared with what the last good one does afterwards, has to happen in two trials.

mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::held::HeldBy;
use crate::offline::{self, Moment, Offline};
use crate::trust::{Denied, InForce};

/// The journal; `trial.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The update under way, or the last one that has to be tried again.
    pub trial: Option<Trial>,
    /// Releases that were found bad on this worker, by the id of the tag object. They are never taken again.
    #[serde(default)]
    pub denied: BTreeMap<String, Denial>,
}

/// A release on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The release.
    pub release: InForce,
    /// How far it is.
    pub stage: Stage,
    /// Trials that ended in doubt: it failed, the last good release did not, and it may have been the world's fault.
    pub doubts: u32,
}

/// How far an update is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its slot is whole; nothing of it was run.
    Staged,
    /// Its own programs start, and its plugins pass their own samples.
    Checked,
    /// It is in force, on trial.
    Switched,
    /// It showed a fault; the last good release is in force and has to show that it does not.
    Suspected(Fault),
    /// Nothing can be said about it; it is tried again after a while.
    Later {
        /// Why.
        why: String,
        /// Since when.
        since: Moment,
    },
}

/// What a release on trial did wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What it could not do.
    pub kind: FaultKind,
    /// What was seen, in words for the person who made the release.
    pub found: String,
}

/// What a release on trial could not do, and so what the last good one has to show that it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Its launcher does not do a cycle: it was not even seen to look at the repository.
    Launcher,
    /// Its launcher does not pass its self-check.
    SelfCheck,
    /// Its core does not stay up, and nobody else ended it.
    Core,
    /// Its launcher or its core ended in the middle of its work, which may have been somebody else's doing: a person, or
    /// the kernel for want of memory.
    CutOff,
    /// Its plugins fail their own samples.
    Samples,
    /// Every job of this plugin fails.
    Jobs(String),
    /// Its launcher cannot look at the repository.
    Look,
    /// Its core gets no answer from the job server.
    Claim,
}

impl FaultKind {
    /// Whether the world may be at fault: something out of reach, wrong records or a kill from outside look like this, too.
    pub const fn may_be_the_worlds(&self) -> bool {
        matches!(self, FaultKind::CutOff | FaultKind::Jobs(_) | FaultKind::Look | FaultKind::Claim)
    }

    /// Whether both releases can be had to do the same once more, apart from any job.
    pub const fn is_seen_side_by_side(&self) -> bool {
        matches!(self, FaultKind::SelfCheck | FaultKind::Samples | FaultKind::Jobs(_))
    }
}

/// A release that was found bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Its tag.
    pub tag: String,
    /// What it did, in words for the person who made it.
    pub why: String,
}

/// What happened to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It passed its self-check.
    Checked,
    /// It comes into force.
    Switched,
    /// It did its first cycle and its first job, or no job waits and its samples passed.
    Proved,
    /// It showed a fault.
    Failed(Fault),
    /// Nothing can be said about it: a full disk, a power cut, a bad download.
    Hindered(String),
    /// Both did the same once more, side by side: the suspected one failed at it again, the last good one did not.
    Outdone,
    /// Both did the same once more, and neither failed at it.
    NotAgain,
    /// The last good release does by itself what the suspected one could not.
    LastGoodWell,
    /// The last good release cannot do it either.
    LastGoodToo,
    /// It is time to try it again.
    Due,
}

/// What an event makes of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on from this stage.
    Goes(Trial),
    /// It is the last good release from now on.
    Good,
    /// It is never taken again. Holds why.
    Bad(Denial),
}

/// An event that cannot happen to an update at its stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the update to {tag} is {stage}; this cannot follow: {event}; the log says how it came there")]
pub struct IllegalMove {
    tag: String,
    stage: String,
    event: String,
}

impl Trial {
    /// What `event` makes of it at `now`.
    pub fn after(&self, event: Event, now: &Moment) -> Result<Outcome, IllegalMove> {
        let goes = |stage| Ok(Outcome::Goes(Trial { stage, ..self.clone() }));
        let later = |why: String, doubts| {
            let stage = Stage::Later { why, since: now.clone() };
            Ok(Outcome::Goes(Trial { release: self.release.clone(), stage, doubts }))
        };
        match (&self.stage, event) {
            (Stage::Staged, Event::Checked) => goes(Stage::Checked),
            (Stage::Checked, Event::Switched) => goes(Stage::Switched),
            (Stage::Switched, Event::Proved) => Ok(Outcome::Good),
            (Stage::Staged | Stage::Switched, Event::Failed(fault)) => goes(Stage::Suspected(fault)),
            (Stage::Staged | Stage::Checked | Stage::Switched, Event::Hindered(why)) => later(why, self.doubts),
            (Stage::Suspected(fault), Event::LastGoodWell) if fault.kind.may_be_the_worlds() && self.doubts == 0 => {
                later(fault.found.clone(), 1)
            }
            (Stage::Suspected(fault), Event::LastGoodWell | Event::Outdone) => {
                Ok(Outcome::Bad(Denial { tag: self.release.version.tag(), why: fault.found.clone() }))
            }
            // What fails at jobs again and again, and not at their records alone, the last good one's own jobs tell.
            (Stage::Suspected(fault), Event::NotAgain)
                if matches!(fault.kind, FaultKind::Jobs(_)) && self.doubts > 0 =>
            {
                goes(Stage::Suspected(fault.clone()))
            }
            (Stage::Suspected(fault), Event::NotAgain) => {
                later(format!("{}; tried once more, it did not", fault.found), 1)
            }
            (Stage::Suspected(fault), Event::LastGoodToo) => {
                later(format!("{}; so does the release before it", fault.found), self.doubts)
            }
            (Stage::Later { .. }, Event::Due) => goes(Stage::Staged),
            (stage, event) => {
                Err(IllegalMove { tag: self.release.version.tag(), stage: stage.to_string(), event: event.to_string() })
            }
        }
    }
}

impl Journal {
    /// The release in force: the one on trial, when it was switched in, else the last good one.
    pub fn in_force<'j>(&'j self, last_good: Option<&'j InForce>) -> Option<&'j InForce> {
        self.on_trial().map(|trial| &trial.release).or(last_good)
    }

    /// The trial whose release is in force.
    pub fn on_trial(&self) -> Option<&Trial> {
        self.trial.as_ref().filter(|trial| trial.stage == Stage::Switched)
    }

    /// The release under suspicion, and what of.
    pub fn suspected(&self) -> Option<(&Trial, &Fault)> {
        match &self.trial {
            Some(trial) => match &trial.stage {
                Stage::Suspected(fault) => Some((trial, fault)),
                _ => None,
            },
            None => None,
        }
    }

    /// Takes in what the trust state says was found bad here, beside what the journal says, which may have been lost. How
    /// much of it was.
    pub fn remember(&mut self, denied: &BTreeMap<String, Denied>) -> usize {
        let before = self.denied.len();
        for (tag_id, denied) in denied.iter().filter(|(_, denied)| denied.by == HeldBy::Trial) {
            let denial = || Denial {
                tag: denied.tag.clone(),
                why: denied.why.strip_suffix(MEND_IT).unwrap_or(&denied.why).to_owned(),
            };
            self.denied.entry(tag_id.clone()).or_insert_with(denial);
        }
        self.denied.len() - before
    }

    /// A release was staged. What is known of an earlier trial of the same tag object counts on.
    pub fn begin(&mut self, release: InForce) {
        let doubts = self.trial.as_ref().filter(|old| old.release.tag_id == release.tag_id).map_or(0, |old| old.doubts);
        self.trial = Some(Trial { release, stage: Stage::Staged, doubts });
    }

    /// Takes an event in; what came of it.
    pub fn take(&mut self, event: Event, now: &Moment) -> Result<Option<Outcome>, IllegalMove> {
        let Some(trial) = &self.trial else { return Ok(None) };
        let outcome = trial.after(event, now)?;
        match &outcome {
            Outcome::Goes(trial) => self.trial = Some(trial.clone()),
            Outcome::Good => self.trial = None,
            Outcome::Bad(denial) => {
                self.denied.insert(trial.release.tag_id.clone(), denial.clone());
                self.trial = None;
            }
        }
        Ok(Some(outcome))
    }

    /// Whether this tag object may not be taken now, and why.
    pub fn holds(&self, tag_id: &str, now: &Moment, again_after: std::time::Duration) -> Option<HeldBack<'_>> {
        if let Some(denial) = self.denied.get(tag_id) {
            return Some(HeldBack::Denied(denial));
        }
        let trial = self.trial.as_ref().filter(|trial| trial.release.tag_id == tag_id)?;
        match &trial.stage {
            Stage::Suspected(fault) => Some(HeldBack::Suspected(fault)),
            Stage::Later { why, since } => match offline::judge(now, Some(since), again_after) {
                Offline::CarryOn { .. } => Some(HeldBack::Later(why)),
                Offline::Over { .. } => None,
            },
            Stage::Staged | Stage::Checked | Stage::Switched => None,
        }
    }
}

/// Why a release may not be taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack<'j> {
    /// It was found bad here.
    Denied(&'j Denial),
    /// It failed here, and the last good release has to show that it does not.
    Suspected(&'j Fault),
    /// Its trial ended with nothing said; it is tried again after a while.
    Later(&'j str),
}

/// What the people who made a bad release can do.
const MEND_IT: &str = "; mend it and cut a release under a higher version";

impl HeldBack<'_> {
    /// In words for the person who made the release, with what to do.
    pub fn in_words(self) -> String {
        match self {
            HeldBack::Denied(denial) => {
                format!("{}{MEND_IT}", denial.why)
            }
            HeldBack::Suspected(fault) => {
                format!("{}; the release before it is in force and shows whether it does better", fault.found)
            }
            HeldBack::Later(why) => format!("{why}; it is tried again by itself"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::version::ReleaseVersion;

    const HOUR: Duration = Duration::from_secs(3600);

    fn release(minor: u64) -> InForce {
        let text = |what: &str| format!("{what}-{minor}");
        InForce {
            version: ReleaseVersion::new(1, minor, 0),
            tag_id: text("tag"),
            commit: text("commit"),
            tree: text("tree"),
            signer: "ann".into(),
            judged_by: String::new(),
            slot: text("slot"),
        }
    }

    pub(super) fn at(seconds: i64) -> Moment {
        let wall = jiff::Timestamp::from_second(1_772_000_000 + seconds).expect("a time");
        Moment { wall, since_boot_ms: u64::try_from(seconds).expect("later") * 1000, boot: "a".into() }
    }

    pub(super) fn fault(kind: FaultKind) -> Fault {
        Fault { kind, found: "it hangs".into() }
    }

    pub(super) fn stages() -> [Stage; 5] {
        [
            Stage::Staged,
            Stage::Checked,
            Stage::Switched,
            Stage::Suspected(fault(FaultKind::Core)),
            Stage::Later { why: "x".into(), since: at(0) },
        ]
    }

    pub(super) fn events() -> [Event; 10] {
        [
            Event::Checked,
            Event::Switched,
            Event::Proved,
            Event::Failed(fault(FaultKind::Core)),
            Event::Hindered("x".into()),
            Event::Outdone,
            Event::NotAgain,
            Event::LastGoodWell,
            Event::LastGoodToo,
            Event::Due,
        ]
    }

    fn through(journal: &mut Journal, events: &[Event]) -> Outcome {
        let outcomes = events.iter().map(|event| journal.take(event.clone(), &at(0)).expect("legal").expect("a trial"));
        outcomes.last().expect("one event")
    }

    pub(super) fn switched() -> Journal {
        let mut journal = Journal::default();
        journal.begin(release(6));
        through(&mut journal, &[Event::Checked, Event::Switched]);
        journal
    }

    #[test]
    fn a_release_is_in_force_from_its_switch_to_its_first_fault() {
        let good = release(5);
        let in_force = |journal: &Journal| journal.in_force(Some(&good)).map(|release| release.version.tag());
        let mut journal = Journal::default();
        journal.begin(release(6));
        assert_eq!(in_force(&journal).as_deref(), Some("v1.5.0"));
        through(&mut journal, &[Event::Checked]);
        assert_eq!(in_force(&journal).as_deref(), Some("v1.5.0"));
        through(&mut journal, &[Event::Switched]);
        assert_eq!(in_force(&journal).as_deref(), Some("v1.6.0"));
        through(&mut journal, &[Event::Failed(fault(FaultKind::Core))]);
        assert_eq!(in_force(&journal).as_deref(), Some("v1.5.0"));
    }

    #[test]
    fn a_fault_that_the_last_good_release_does_not_show_is_bad_for_good() {
        let mut journal = switched();
        let outcome = through(&mut journal, &[Event::Failed(fault(FaultKind::Core)), Event::LastGoodWell]);
        assert!(matches!(outcome, Outcome::Bad(_)), "{outcome:?}");
        assert!(matches!(journal.holds("tag-6", &at(999_999), HOUR), Some(HeldBack::Denied(_))));
        assert_eq!(journal.holds("tag-7", &at(0), HOUR), None);
    }

    #[test]
    fn a_fault_that_the_last_good_release_shows_too_is_nobodys_and_the_release_is_taken_later() {
        let mut journal = switched();
        through(&mut journal, &[Event::Failed(fault(FaultKind::Samples)), Event::LastGoodToo]);
        assert!(matches!(journal.holds("tag-6", &at(3599), HOUR), Some(HeldBack::Later(_))));
        assert_eq!(journal.holds("tag-6", &at(3600), HOUR), None);
    }

    #[test]
    fn what_may_be_the_worlds_fault_has_to_happen_twice() {
        for kind in [FaultKind::Look, FaultKind::Claim, FaultKind::CutOff, FaultKind::Jobs("twice".into())] {
            let mut journal = switched();
            let failed = Event::Failed(fault(kind));
            let first = through(&mut journal, &[failed.clone(), Event::LastGoodWell]);
            assert!(matches!(first, Outcome::Goes(Trial { stage: Stage::Later { .. }, doubts: 1, .. })), "{first:?}");
            journal.begin(release(6));
            let second = through(&mut journal, &[Event::Checked, Event::Switched, failed, Event::LastGoodWell]);
            assert!(matches!(second, Outcome::Bad(_)), "{second:?}");
        }
    }

    #[test]
    fn one_fault_is_enough_when_both_did_the_same_side_by_side() {
        for kind in [FaultKind::SelfCheck, FaultKind::Samples, FaultKind::Jobs("twice".into())] {
            let mut journal = switched();
            let outcome = through(&mut journal, &[Event::Failed(fault(kind)), Event::Outdone]);
            assert!(matches!(outcome, Outcome::Bad(_)), "{outcome:?}");
        }
    }

    #[test]
    fn what_does_not_fail_once_more_is_taken_later_and_not_denied() {
        for kind in [FaultKind::SelfCheck, FaultKind::Samples] {
            let mut journal = switched();
            for _ in 0..5 {
                through(&mut journal, &[Event::Failed(fault(kind.clone())), Event::NotAgain]);
                assert!(matches!(journal.holds("tag-6", &at(3599), HOUR), Some(HeldBack::Later(_))));
                journal.begin(release(6));
                through(&mut journal, &[Event::Checked, Event::Switched]);
            }
            assert_eq!(journal.denied, BTreeMap::new());
        }
    }

    #[test]
    fn jobs_that_fail_in_two_trials_and_not_once_more_are_for_the_last_good_releases_jobs_to_tell() {
        let failed = || Event::Failed(fault(FaultKind::Jobs("twice".into())));
        let mut journal = switched();
        through(&mut journal, &[failed(), Event::NotAgain]);
        assert_eq!(journal.suspected(), None, "the first time it may have been anything");
        journal.begin(release(6));
        through(&mut journal, &[Event::Checked, Event::Switched, failed(), Event::NotAgain]);
        assert!(journal.suspected().is_some());
        let outcome = through(&mut journal, &[Event::LastGoodWell]);
        assert!(matches!(outcome, Outcome::Bad(_)), "{outcome:?}");
    }

    #[test]
    fn power_cuts_full_disks_and_bad_downloads_deny_nothing_however_often() {
        let mut journal = Journal::default();
        for _ in 0..10 {
            journal.begin(release(6));
            through(&mut journal, &[Event::Checked, Event::Switched, Event::Hindered("the disk is full".into())]);
            assert_eq!(journal.denied, BTreeMap::new());
        }
        assert_eq!(journal.holds("tag-6", &at(3600), HOUR), None);
    }

    #[test]
    fn only_the_moves_of_the_picture_are_legal() {
        let (stages, events) = (stages(), events());
        let mut table = "# The life of an update\n\nPrinted by a test of `updater/manifest/src/trial.rs` (`UPDATE_DIAGRAMS=1 cargo \
                         test -p nightshift-manifest`). An empty cell is a move that no update makes.\n\n|"
            .to_owned();
        for event in &events {
            table += &format!(" | {}", words(&format!("{event:?}")));
        }
        table += &format!(" |\n|---{}|\n", "|---".repeat(events.len()));
        for stage in &stages {
            let trial = Trial { release: release(6), stage: stage.clone(), doubts: 1 };
            table += &format!("| **{}**", words(&format!("{stage:?}")));
            for event in &events {
                let to = match trial.after(event.clone(), &at(0)) {
                    Ok(Outcome::Goes(trial)) => words(&format!("{:?}", trial.stage)),
                    Ok(Outcome::Good) => "good".to_owned(),
                    Ok(Outcome::Bad(_)) => "bad".to_owned(),
                    Err(_) => String::new(),
                };
                table += &format!(" | {to}");
            }
            table += " |\n";
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/diagrams/update-life.md");
        #[expect(clippy::disallowed_methods, reason = "a test has no main to read the environment in")]
        if std::env::var("UPDATE_DIAGRAMS").is_ok() {
            std::fs::write(file, &table).expect("written");
        }
        assert_eq!(std::fs::read_to_string(file).expect("the diagram"), table);
    }

    /// `LastGoodWell(…)` as `last good well`.
    fn words(name: &str) -> String {
        let name = name.split(['(', ' ', '{']).next().unwrap_or_default();
        let mut words = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.extend(letter.to_lowercase());
        }
        words
    }

    #[test]
    fn what_the_trust_state_says_was_found_bad_is_bad_also_for_a_journal_that_was_lost() {
        let mut journal = switched();
        through(&mut journal, &[Event::Failed(fault(FaultKind::Core)), Event::LastGoodWell]);
        let held = journal.holds("tag-6", &at(0), HOUR).map(HeldBack::in_words).expect("denied");
        let denied = |by| Denied { tag: "v1.6.0".into(), by, why: held.clone() };
        let trust =
            BTreeMap::from([("tag-6".to_owned(), denied(HeldBy::Trial)), ("tag-7".to_owned(), denied(HeldBy::Denied))]);
        assert_eq!(journal.remember(&trust), 0, "nothing was lost");
        let mut lost = Journal::default();
        assert_eq!(lost.remember(&trust), 1, "what a person denied is no trial's");
        assert_eq!(lost.denied, journal.denied);
    }

    #[test]
    fn the_journal_is_read_as_it_was_written() {
        let mut journal = switched();
        through(&mut journal, &[Event::Failed(fault(FaultKind::Jobs("twice".into()))), Event::LastGoodWell]);
        journal.begin(release(7));
        through(&mut journal, &[Event::Hindered("x".into())]);
        let text = toml::to_string(&journal).expect("plain data");
        assert_eq!(toml::from_str::<Journal>(&text).expect("read"), journal);
    }
}
