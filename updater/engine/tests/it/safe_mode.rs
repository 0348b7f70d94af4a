//! The trust state damaged, in one copy and in both.

use std::fs;

use nightshift_engine::{FREE, Repair, Rule};
use nightshift_manifest::version::ReleaseVersion;

use crate::fixture::{Fixture, now, rules};

fn lose(fixture: &Fixture) {
    for path in fixture.state.trust() {
        fs::write(path, "{").expect("damaged");
    }
}

#[test]
fn a_damaged_copy_of_the_trust_state_is_made_good_from_the_other() {
    for lost in 0..2 {
        let mut fixture = Fixture::with_1_5_0_in_force();
        let path = &fixture.state.trust()[lost];
        match lost {
            0 => fs::write(path, "{").expect("damaged"),
            _ => fs::remove_file(path).expect("gone"),
        }
        let mut engine = fixture.engine();
        assert_eq!(engine.trust().floor, Some(ReleaseVersion::new(1, 5, 0)));
        assert_eq!(engine.safe_mode(), None);
        let look = engine.look(&now()).expect("looks");
        engine.sync(&look, FREE).expect("syncs");
        assert_eq!(engine.take_repairs().into_iter().collect::<Vec<_>>(), [(Repair::TrustCopy, 1)]);
        // Now the other one is lost.
        fs::write(&fixture.state.trust()[1 - lost], "{").expect("damaged");
        assert_eq!(fixture.engine().trust().floor, Some(ReleaseVersion::new(1, 5, 0)));
        fixture.central.cut("1.4.0").expect("cut");
        assert_eq!(rules(&fixture.cycle().refused), [("v1.4.0", Rule::BelowFloor)]);
    }
}

#[test]
fn with_both_copies_lost_nothing_new_comes_in_and_the_release_in_force_goes_on() {
    for damaged in [true, false] {
        let mut fixture = Fixture::with_1_5_0_in_force();
        match damaged {
            true => lose(&fixture),
            false => fixture.state.trust().iter().for_each(|path| fs::remove_file(path).expect("gone")),
        }
        for version in ["1.4.0", "1.6.0"] {
            fixture.central.cut(version).expect("cut");
        }
        for _ in 0..2 {
            let sync = fixture.cycle();
            let why = sync.safe_mode.expect("safe mode");
            assert!(why.starts_with("safe mode: ") && why.contains("v1.5.0 goes on"), "{why}");
            assert!(!sync.switched);
            let release = fixture.engine().in_force().expect("in force");
            assert_eq!(release.tag, "v1.5.0");
            fixture.engine().verify_slot(&release).expect("it proves to be what was signed");
        }
        fixture.central.stop("reason = \"r\"").expect("stopped");
        assert!(!fixture.look().stops.is_empty(), "it can be stopped as ever");
    }
}

#[test]
fn in_safe_mode_a_slot_that_does_not_prove_what_it_is_does_not_go_on() {
    type Fault = (&'static str, fn(&str) -> String, &'static str);
    let faults: [Fault; 5] = [
        ("slot.json", |_| "{".to_owned(), "cannot be read"),
        ("slot.json", |text| text.replace("1.5.0", "1.6.0"), "says that it is another"),
        ("tag", |text| text.replace("Release v", "Release w"), "another tag than it says"),
        ("commit", |text| text.replace("change", "chance"), "another commit than was signed"),
        ("slot.json", |text| text.replace("\"tree\": \"", "\"tree\": \"0000"), "another commit than was signed"),
    ];
    for (file, change, said) in faults {
        let fixture = Fixture::with_1_5_0_in_force();
        let path = fixture.engine().in_force().expect("in force").slot.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        fs::write(&path, change(&text)).expect("changed");
        lose(&fixture);
        let engine = fixture.engine();
        let why = engine.safe_mode().expect("safe mode").to_owned();
        assert!(why.contains("nothing is in force") && why.contains(said), "{file}: {why}");
        assert_eq!(engine.in_force(), None);
    }
}

#[test]
fn in_safe_mode_a_slot_signed_by_a_stranger_does_not_go_on() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let release = fixture.engine().in_force().expect("in force");
    let stranger = nightshift_testbed::central::new_key().expect("a key");
    fixture.central.sign_with(stranger);
    let commit = fixture.central.commit_of("v1.5.0").expect("a commit");
    let forged = fixture.central.cut_commit("1.5.0", commit).expect("cut");
    let raw = git2::Repository::open(fixture.central.folder()).expect("opens");
    let raw = raw.odb().expect("objects").read(forged).expect("a tag").data().to_vec();
    fs::write(release.slot.join("tag"), raw).expect("written");
    let record = release.slot.join("slot.json");
    let text = fs::read_to_string(&record).expect("a file").replace(&release.tag_id, &forged.to_string());
    fs::write(record, text).expect("written");
    lose(&fixture);
    let why = fixture.engine().safe_mode().expect("safe mode").to_owned();
    assert!(why.contains("is not signed"), "{why}");
}

#[test]
fn a_person_ends_safe_mode_by_removing_what_was_in_force() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    lose(&fixture);
    assert!(fixture.engine().safe_mode().is_some());
    fixture.state.trust().iter().for_each(|path| fs::remove_file(path).expect("removed"));
    fs::remove_dir_all(fixture.state.slots()).expect("removed");
    fs::remove_file(fixture.state.in_force()).expect("removed");
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!((sync.switched, sync.safe_mode), (true, None));
    assert_eq!(fixture.in_force().as_deref(), Some("v1.6.0"));
}

#[test]
fn a_denied_release_is_not_taken_again_whatever_happens() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let id = fixture.central.cut("1.6.0").expect("cut").to_string();
    let denied = nightshift_manifest::trust::Denied {
        tag: "v1.6.0".into(),
        by: nightshift_engine::HeldBy::Trial,
        why: "its core crashed at once, where v1.5.0 does not".into(),
    };
    fixture.engine().deny(&id, denied).expect("denied");
    let sync = fixture.cycle();
    assert_eq!(sync.held.iter().map(|held| held.tag.as_str()).collect::<Vec<_>>(), ["v1.6.0"]);
    assert!(!sync.switched);
    fixture.central.put("data/x.txt", "mended").expect("put");
    fixture.central.cut("1.6.0").expect("cut anew, which is another object");
    assert!(fixture.cycle().switched);
}
