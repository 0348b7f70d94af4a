//! Releases on trial: what proves itself stays, what fails is left by itself and not taken again, and what only had bad
//! luck is taken later.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightshift_contract::boot_state::{AtWork, BootState};
use nightshift_engine::binaries::FetchLimits;
use nightshift_engine::{
    BreakOff, Check, Checked, Engine, Event, FREE, Fault, FaultKind, HeldBy, Means, Release, Repair, Shown, Sync,
    cycle_ended, has_looked,
};
use nightshift_manifest::version::ReleaseVersion;

use crate::fixture::{Fixture, now};

/// A self-check that says what it was told to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(Arc<Mutex<(Option<Checked>, Option<Shown>)>>);

impl Told {
    pub(crate) fn check_says(&self, checked: Checked) {
        self.0.lock().expect("no panic").0 = Some(checked);
    }

    pub(crate) fn comparing_shows(&self, shown: Option<Shown>) {
        self.0.lock().expect("no panic").1 = shown;
    }
}

impl Check for Told {
    fn check(&self, _staged: &Release) -> Checked {
        self.0.lock().expect("no panic").0.clone().unwrap_or(Checked::Passed)
    }

    fn compare(&self, last_good: Option<&Release>, _suspected: &Release, fault: &FaultKind) -> Option<Shown> {
        match fault {
            FaultKind::Launcher | FaultKind::Look => Some(Shown::Better),
            FaultKind::Samples | FaultKind::Jobs(_) if last_good.is_none() => Some(Shown::NoBetter),
            _ => self.0.lock().expect("no panic").1,
        }
    }
}

pub(crate) fn fault(kind: FaultKind) -> Fault {
    Fault { kind, found: "it hangs".to_owned() }
}

impl Fixture {
    /// The engine of a worker that tries releases, as a new process opens it. Nothing waits for its next trial.
    pub(crate) fn trying(&self, told: &Told) -> Engine {
        self.trying_until(told, Arc::new(|| false))
    }

    /// The same, broken off when `break_off` says so.
    fn trying_until(&self, told: &Told, break_off: BreakOff) -> Engine {
        let mut engine = self.engine();
        let means = Means {
            check: Arc::new(told.clone()),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            job_server: None,
            limits: FetchLimits::default(),
            again_after: Duration::ZERO,
            break_off,
        };
        engine.try_by(means).expect("the state folder can be written");
        engine
    }

    pub(crate) fn boot_state(&self) -> BootState {
        let text = std::fs::read_to_string(self.state.boot_state()).expect("written");
        BootState::parse(&text).expect("whole")
    }

    /// A worker with v1.5.0 as its last good release and v1.6.0 in force on trial.
    pub(crate) fn with_1_6_0_on_trial(told: &Told) -> Fixture {
        let mut fixture = Fixture::new();
        fixture.central.cut("1.5.0").expect("cut");
        sync(&mut fixture.trying(told));
        fixture.central.cut("1.6.0").expect("cut");
        assert!(sync(&mut fixture.trying(told)).switched);
        fixture
    }
}

pub(crate) fn sync(engine: &mut Engine) -> Sync {
    let look = engine.look(&now()).expect("looks");
    engine.sync(&look, FREE).expect("syncs")
}

fn tag(engine: &Engine) -> Option<String> {
    engine.in_force().map(|release| release.tag)
}

fn slot(boot: &BootState) -> Option<String> {
    boot.trial.as_ref().map(|trial| trial.slot[..6].to_owned())
}

#[test]
fn a_release_on_trial_is_in_force_and_the_floor_rises_when_it_has_proved_itself() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    let mut engine = fixture.trying(&told);
    assert_eq!(tag(&engine).as_deref(), Some("v1.6.0"));
    assert_eq!(engine.trust().floor, Some(ReleaseVersion::new(1, 5, 0)));
    assert_eq!(slot(&fixture.boot_state()).as_deref(), Some("v1.6.0"));
    assert!(!sync(&mut engine).switched);

    engine.judge(Event::Proved).expect("noted");
    let engine = fixture.trying(&told);
    assert_eq!((tag(&engine).as_deref(), engine.on_trial()), (Some("v1.6.0"), None));
    assert_eq!(engine.trust().floor, Some(ReleaseVersion::new(1, 6, 0)));
    assert!(fixture.boot_state().good.is_some_and(|slot| slot.starts_with("v1.6.0")));
    assert_eq!(fixture.boot_state().trial, None);
}

#[test]
fn the_first_release_of_all_has_nobody_to_fall_back_to_and_is_taken_at_once() {
    let mut fixture = Fixture::new();
    fixture.central.cut("1.5.0").expect("cut");
    let mut engine = fixture.trying(&Told::default());
    assert!(sync(&mut engine).switched);
    assert_eq!((tag(&engine).as_deref(), engine.on_trial()), (Some("v1.5.0"), None));
}

#[test]
fn a_release_that_fails_is_left_and_never_taken_again_once_the_one_before_does_better() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    let mut engine = fixture.trying(&told);
    assert!(engine.judge(Event::Failed(fault(FaultKind::Core))).expect("noted"));
    assert_eq!(tag(&engine).as_deref(), Some("v1.5.0"));
    assert_eq!(fixture.boot_state().trial, None);
    assert_eq!(sync(&mut engine).held[0].kind, HeldBy::Trial);

    let mut engine = fixture.trying(&told);
    engine.judge(Event::LastGoodWell).expect("noted");
    for _ in 0..3 {
        let mut engine = fixture.trying(&told);
        let sync = sync(&mut engine);
        assert_eq!((sync.switched, tag(&engine).as_deref()), (false, Some("v1.5.0")));
        assert_eq!((sync.held[0].kind, sync.held[0].tag.as_str()), (HeldBy::Trial, "v1.6.0"));
        assert!(
            sync.held[0].why.contains("it hangs") && sync.held[0].why.contains("higher version"),
            "{:?}",
            sync.held
        );
        assert!(engine.is_rolled_back(&sync.held[0].tag_id));
    }
}

#[test]
fn a_release_whose_samples_fail_never_comes_into_force() {
    for (shown, denied) in [(Shown::Outdone, true), (Shown::NoBetter, false), (Shown::NotAgain, false)] {
        let told = Told::default();
        let mut fixture = Fixture::new();
        fixture.central.cut("1.5.0").expect("cut");
        sync(&mut fixture.trying(&told));
        fixture.central.cut("1.6.0").expect("cut");
        told.check_says(Checked::Failed(fault(FaultKind::Samples)));
        told.comparing_shows(Some(shown));
        let mut engine = fixture.trying(&told);
        assert!(!sync(&mut engine).switched);
        told.check_says(Checked::Passed);
        let mut engine = fixture.trying(&told);
        sync(&mut engine);
        assert_eq!(engine.journal().denied.len(), usize::from(denied));
        assert_eq!(tag(&engine).as_deref(), Some(if denied { "v1.5.0" } else { "v1.6.0" }), "{shown:?}");
    }
}

#[test]
fn a_launcher_that_boot_fell_back_from_is_bad_once_the_old_one_has_looked() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    for _ in 0..3 {
        let decided = fixture.boot_state().decide("start", AtWork::Nobody, None);
        std::fs::write(fixture.state.boot_state(), decided.note.expect("a note").to_text()).expect("written");
    }
    let mut engine = fixture.trying(&told);
    assert_eq!(tag(&engine).as_deref(), Some("v1.5.0"));
    sync(&mut engine);
    assert_eq!(engine.journal().denied.len(), 1, "the old launcher did its cycle");
}

#[test]
fn a_launcher_that_could_not_look_is_bad_only_when_that_happens_in_two_trials() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    for round in 1..=2 {
        for _ in 0..3 {
            let decided = fixture.boot_state().decide("start", AtWork::Nobody, None);
            std::fs::write(fixture.state.boot_state(), decided.note.expect("a note").to_text()).expect("written");
            if decided.slot.is_some_and(|slot| slot.starts_with("v1.6.0")) {
                drop(fixture.trying(&told));
                cycle_ended(&fixture.state, Some("the repository did not answer")).expect("noted");
            }
        }
        let mut engine = fixture.trying(&told);
        assert_eq!(tag(&engine).as_deref(), Some("v1.5.0"), "round {round}");
        sync(&mut engine);
        assert_eq!(engine.journal().denied.len(), round - 1, "round {round}");
        // It is due at once here, and tried again.
        sync(&mut engine);
    }
    assert_eq!(tag(&fixture.trying(&told)).as_deref(), Some("v1.5.0"));
}

#[test]
fn a_launcher_that_was_killed_twice_after_it_had_looked_is_taken_later_and_not_denied() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    for _ in 0..3 {
        let decided = fixture.boot_state().decide("start", AtWork::Nobody, None);
        std::fs::write(fixture.state.boot_state(), decided.note.expect("a note").to_text()).expect("written");
        if decided.slot.is_some_and(|slot| slot.starts_with("v1.6.0")) {
            has_looked(&fixture.state).expect("noted");
        }
    }
    let mut engine = fixture.trying(&told);
    assert_eq!(tag(&engine).as_deref(), Some("v1.5.0"));
    let (_, suspicion) = engine.suspected().expect("under suspicion");
    assert_eq!(suspicion.kind, FaultKind::CutOff);
    sync(&mut engine);
    assert!(engine.suspected().is_some(), "a look alone says nothing: its core has to get as far");
    engine.judge(Event::LastGoodWell).expect("noted");
    assert_eq!(engine.journal().denied.len(), 0);
    assert!(sync(&mut engine).switched, "it is due at once here");
    engine.judge(Event::Proved).expect("noted");
    assert_eq!(tag(&fixture.trying(&told)).as_deref(), Some("v1.6.0"));
}

#[test]
fn a_good_release_that_met_wrong_records_is_taken_later_and_not_denied() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    let mut engine = fixture.trying(&told);
    for shown in [Shown::NoBetter, Shown::NotAgain, Shown::NoBetter] {
        engine.judge(Event::Failed(fault(FaultKind::Jobs("twice".to_owned())))).expect("noted");
        assert_eq!(tag(&engine).as_deref(), Some("v1.5.0"), "{shown:?}");
        told.comparing_shows(Some(shown));
        assert!(sync(&mut engine).switched, "{shown:?}: it is due at once here");
        assert_eq!(engine.journal().denied.len(), 0);
    }
}

#[test]
fn a_release_that_fails_at_the_same_records_again_beside_the_last_good_one_is_bad_at_once() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    let mut engine = fixture.trying(&told);
    engine.judge(Event::Failed(fault(FaultKind::Jobs("twice".to_owned())))).expect("noted");
    told.comparing_shows(Some(Shown::Outdone));
    assert!(!sync(&mut engine).switched);
    assert_eq!(engine.journal().denied.len(), 1);
}

#[test]
fn nothing_found_bad_is_taken_again_when_the_journal_is_damaged_or_lost() {
    let damage: [fn(&Path); 4] = [
        |journal| std::fs::remove_file(journal).expect("lost"),
        |journal| std::fs::write(journal, "").expect("emptied"),
        |journal| std::fs::write(journal, "{\"trial\": null, \"denied\"").expect("torn"),
        |journal| std::fs::write(journal, "{\"trial\": null}").expect("replaced by an empty one"),
    ];
    for damage in damage {
        let told = Told::default();
        let fixture = Fixture::with_1_6_0_on_trial(&told);
        let mut engine = fixture.trying(&told);
        engine.judge(Event::Failed(fault(FaultKind::Core))).expect("noted");
        engine.judge(Event::LastGoodWell).expect("noted");
        let denied = engine.journal().denied.clone();
        drop(engine);
        damage(&fixture.state.trial());
        for repaired in [vec![(Repair::Journal, 1)], vec![]] {
            let mut engine = fixture.trying(&told);
            assert_eq!(engine.take_repairs().into_iter().collect::<Vec<_>>(), repaired);
            let synced = sync(&mut engine);
            assert_eq!((synced.switched, tag(&engine).as_deref()), (false, Some("v1.5.0")));
            assert!(engine.is_rolled_back(&synced.held[0].tag_id), "and it is told as before");
            assert_eq!(engine.journal().denied, denied);
        }
        assert_eq!(fixture.trying(&told).all_repairs()[&Repair::Journal], 1);
    }
}

#[test]
fn a_release_on_trial_whose_journal_is_lost_is_tried_again_and_nothing_is_forgotten() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    std::fs::write(fixture.state.trial(), "[").expect("damaged");
    let mut engine = fixture.trying(&told);
    assert_eq!(tag(&engine).as_deref(), Some("v1.5.0"), "the last good one");
    assert!(sync(&mut engine).switched);
    assert_eq!(tag(&engine).as_deref(), Some("v1.6.0"));
}

#[test]
fn a_stop_breaks_off_fetching_a_release_and_nothing_is_held_against_it() {
    let told = Told::default();
    let mut fixture = Fixture::new();
    fixture.central.cut("1.5.0").expect("cut");
    sync(&mut fixture.trying(&told));
    fixture.central.put("data/more.txt", "more").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    let is_stopped = Arc::new(AtomicBool::new(true));
    let stopped = Arc::clone(&is_stopped);
    let mut engine = fixture.trying_until(&told, Arc::new(move || stopped.load(Ordering::Relaxed)));
    let look = engine.look(&now()).expect("a look is never broken off");
    let error = engine.sync(&look, FREE).expect_err("broken off");
    assert!(error.to_string().contains("because this worker is stopped"), "{error}");
    is_stopped.store(false, Ordering::Relaxed);
    let synced = sync(&mut engine);
    assert!(synced.switched && synced.unfetched.is_empty());
}

#[test]
fn a_cycle_that_ended_in_order_gives_its_try_back() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    for _ in 0..5 {
        let decided = fixture.boot_state().decide("start", AtWork::Nobody, None);
        assert!(decided.slot.is_some_and(|slot| slot.starts_with("v1.6.0")));
        std::fs::write(fixture.state.boot_state(), decided.note.expect("a note").to_text()).expect("written");
        drop(fixture.trying(&told));
        cycle_ended(&fixture.state, None).expect("noted");
    }
}

#[test]
fn a_release_that_had_bad_luck_is_taken_later() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    let mut engine = fixture.trying(&told);
    engine.judge(Event::Hindered("the disk is full".to_owned())).expect("noted");
    assert_eq!(tag(&engine).as_deref(), Some("v1.5.0"));
    assert!(sync(&mut engine).switched);
    engine.judge(Event::Proved).expect("noted");
    assert_eq!(tag(&fixture.trying(&told)).as_deref(), Some("v1.6.0"));
}

#[test]
fn a_worker_that_slept_through_five_releases_goes_straight_to_the_newest() {
    let told = Told::default();
    let mut fixture = Fixture::with_1_6_0_on_trial(&told);
    for version in ["1.7.0", "1.8.0", "1.9.0", "1.10.0", "1.11.0"] {
        fixture.central.cut(version).expect("cut");
    }
    let mut engine = fixture.trying(&told);
    assert!(sync(&mut engine).switched, "a release on trial makes way for a higher one");
    assert_eq!(tag(&engine).as_deref(), Some("v1.11.0"));
    engine.judge(Event::Failed(fault(FaultKind::Core))).expect("noted");
    assert_eq!(tag(&engine).as_deref(), Some("v1.5.0"), "the last good one, not one that never proved itself");
    assert!(!sync(&mut engine).switched, "nothing below one under suspicion is taken");
}

#[test]
fn a_new_tag_of_a_denied_version_is_another_release() {
    let told = Told::default();
    let mut fixture = Fixture::with_1_6_0_on_trial(&told);
    let mut engine = fixture.trying(&told);
    engine.judge(Event::Failed(fault(FaultKind::Core))).expect("noted");
    engine.judge(Event::LastGoodWell).expect("noted");
    fixture.central.put("data/mended.txt", "mended").expect("put");
    fixture.central.cut("1.6.1").expect("cut");
    assert!(sync(&mut fixture.trying(&told)).switched);
    assert_eq!(tag(&fixture.trying(&told)).as_deref(), Some("v1.6.1"));
}
