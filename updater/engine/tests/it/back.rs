//! What the control branch holds back, and the one step back, which needs nobody's signature.

use std::fs;

use nightshift_engine::{BackError, FREE};
use nightshift_manifest::rollout::Holds;
use nightshift_manifest::version::ReleaseVersion;

use crate::fixture::{Fixture, now};
use crate::trials::{Told, sync};

/// A worker that has v1.6.0 in force and had v1.5.0 before.
fn with_1_6_0_after_1_5_0() -> Fixture {
    let mut fixture = Fixture::new();
    for version in ["1.5.0", "1.6.0"] {
        fixture.central.put("data/version.csv", version).expect("put");
        fixture.central.cut(version).expect("cut");
        assert!(fixture.cycle().switched);
    }
    fixture
}

#[test]
fn what_the_control_branch_holds_back_is_seen_and_remembered() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    assert_eq!(fixture.look().holds, Holds::default());
    fixture.central.put_control(&[("ROLLOUT.toml", "pause = \"month's end\"\n")]).expect("put");
    assert_eq!(fixture.look().holds.pause.as_deref(), Some("month's end"));
    let remembered = fixture.engine().last_look().map(|look| look.holds.clone());
    assert_eq!(remembered.and_then(|holds| holds.pause).as_deref(), Some("month's end"));
}

#[test]
fn a_rollout_toml_that_cannot_be_read_says_why() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.put_control(&[("rollout.toml", "pause = yes\n")]).expect("put");
    assert!(fixture.look().holds.unreadable.expect("unreadable").starts_with("rollout.toml, line 1: "));
    fixture.central.put_control(&[("rollout.toml/oops", "")]).expect("put");
    assert!(fixture.look().holds.unreadable.expect("unreadable").contains("no file of text"));
}

#[test]
fn going_back_brings_the_release_before_into_force_and_keeps_the_one_left_out() {
    let fixture = with_1_6_0_after_1_5_0();
    let went = fixture.engine().go_back("it is denied", &Holds::default()).expect("goes back");
    assert_eq!((went.from.tag.as_str(), went.to.tag.as_str()), ("v1.6.0", "v1.5.0"));
    assert_eq!(fs::read_to_string(went.to.tree().join("data/version.csv")).expect("a file"), "1.5.0");
    assert_eq!(fixture.state.in_force().canonicalize().expect("a link"), went.to.slot.canonicalize().expect("a slot"));

    let sync = fixture.cycle();
    assert_eq!((sync.switched, sync.refused, sync.held), (false, vec![], vec![]), "it is not taken again");
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
    assert_eq!(fixture.engine().trust().floor, Some(ReleaseVersion::new(1, 6, 0)));
}

#[test]
fn a_release_on_trial_that_is_denied_is_left_for_the_last_good_one_and_not_called_bad() {
    let told = Told::default();
    let fixture = Fixture::with_1_6_0_on_trial(&told);
    let mut engine = fixture.trying(&told);
    let went = engine.go_back("an admin denied it", &Holds::default()).expect("goes back");
    assert_eq!((went.from.tag.as_str(), went.to.tag.as_str()), ("v1.6.0", "v1.5.0"));
    assert_eq!(fixture.boot_state().trial, None);
    assert!(engine.on_trial().is_none());
    assert_eq!(fixture.state.in_force().canonicalize().expect("a link"), went.to.slot.canonicalize().expect("a slot"));
    assert!(sync(&mut fixture.trying(&told)).switched, "nothing is said against it: nobody denies it any more");
}

#[test]
fn nobody_goes_back_further_than_one_step() {
    let mut fixture = with_1_6_0_after_1_5_0();
    fixture.engine().go_back("it is denied", &Holds::default()).expect("goes back");
    assert!(matches!(fixture.engine().go_back("it is denied", &Holds::default()), Err(BackError::NothingBefore)));
    fixture.central.cut("1.7.0").expect("cut");
    assert!(fixture.cycle().switched, "a higher version is taken as ever");
    assert_eq!(fixture.engine().go_back("it is denied", &Holds::default()).expect("goes back").to.tag, "v1.5.0");
}

#[test]
fn a_worker_with_one_release_has_nothing_to_go_back_to() {
    let fixture = Fixture::with_1_5_0_in_force();
    let error = fixture.engine().go_back("it is denied", &Holds::default()).expect_err("nothing");
    assert!(error.to_string().contains("there is none on this worker"), "{error}");
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
}

#[test]
fn a_damaged_slot_is_made_good_before_it_is_gone_back_to() {
    let fixture = with_1_6_0_after_1_5_0();
    let slot = fixture.engine().trust().previous_slot.clone().expect("a slot");
    let file = fixture.state.slots().join(slot).join("tree/data/version.csv");
    fs::remove_file(&file).expect("removed");
    let went = fixture.engine().go_back("it is denied", &Holds::default()).expect("goes back");
    assert_eq!(fs::read_to_string(went.to.tree().join("data/version.csv")).expect("a file"), "1.5.0");
    let mut engine = fixture.engine();
    engine.verify_slot(&went.to).expect("whole");
    let look = engine.look(&now()).expect("looks");
    engine.sync(&look, FREE).expect("syncs");
}

#[test]
fn a_release_before_that_is_denied_itself_is_not_gone_back_to() {
    let fixture = with_1_6_0_after_1_5_0();
    let both = "[[deny]]\nrelease = \"1.6.0\"\n[[deny]]\nrelease = \"1.5.0\"\nreason = \"wrong prices\"\n";
    let holds = Holds::parse(both).expect(both);
    let error = fixture.engine().go_back("it is denied", &holds).expect_err("denied");
    assert!(error.to_string().contains("v1.5.0 is denied (wrong prices)"), "{error}");
    assert_eq!(fixture.in_force().as_deref(), Some("v1.6.0"));
}
