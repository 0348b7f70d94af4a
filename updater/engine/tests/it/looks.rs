//! Looking: the stop flag, and what makes a look count.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use git2::ObjectType;
use nightshift_engine::{LookError, Rule};

use crate::fixture::{Fixture, now, rules};

#[test]
fn a_look_without_a_flag_sees_the_tags_and_is_noted() {
    let mut fixture = Fixture::new();
    fixture.central.cut("1.0.0").expect("cut");
    let look = fixture.look();
    assert_eq!(look.stops, []);
    assert_eq!(look.tags.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["v1.0.0"]);
    assert_eq!(fixture.engine().last_look().map(|record| record.at.clone()), Some(now()));
}

#[test]
fn a_stop_flag_on_the_control_branch_is_seen_with_its_reason() {
    let mut fixture = Fixture::new();
    fixture.central.stop("reason = \"wrong prices\"\n").expect("stopped");
    assert_eq!(fixture.look().stops[0].to_string(), "wrong prices (STOP on branch control)");
    fixture.central.start().expect("started");
    assert_eq!(fixture.look().stops, []);
}

#[test]
fn any_spelling_and_any_content_of_the_flag_stops() {
    let mut fixture = Fixture::new();
    for (name, content) in [("stop.txt", ""), ("STOP.toml", "reason = 5"), ("Stop", "help!"), ("STOP", "x = [")] {
        fixture.central.put_control(&[(name, content)]).expect("pushed");
        assert!(!fixture.look().stops.is_empty(), "{name}");
    }
    fixture.central.put_control(&[("STOPPED", "")]).expect("pushed");
    assert_eq!(fixture.look().stops, []);
}

#[test]
fn a_folder_named_stop_stops_too() {
    let mut fixture = Fixture::new();
    fixture.central.put_control(&[("STOP/why", "")]).expect("pushed");
    assert!(!fixture.look().stops.is_empty());
}

#[test]
fn a_ref_named_stop_stops_even_when_the_control_branch_is_gone() {
    let mut fixture = Fixture::new();
    let commit = fixture.central.commit().expect("a commit");
    fixture.central.push_ref("refs/heads/stop", commit).expect("pushed");
    fixture.central.delete_ref("refs/heads/control").expect("deleted");
    let look = fixture.look();
    assert_eq!(look.stops[0].place, "ref refs/heads/stop");
    assert_eq!(look.control, None);
}

#[test]
fn a_look_does_not_count_when_there_is_no_control_branch() {
    let mut fixture = Fixture::new();
    fixture.central.commit().expect("branch main");
    fixture.central.delete_ref("refs/heads/control").expect("deleted");
    let error = fixture.engine().look(&now()).expect_err("no control branch");
    assert!(!error.is_unreachable());
    assert!(error.to_string().contains("has no branch \"control\" (it has main)"), "{error}");
    assert_eq!(fixture.engine().last_look(), None);
}

#[test]
fn a_look_does_not_count_when_the_control_branch_holds_no_files() {
    let mut fixture = Fixture::new();
    let tag = fixture.central.cut("1.0.0").expect("cut");
    fixture.central.push_ref("refs/heads/control", tag).expect("pushed");
    assert!(matches!(fixture.engine().look(&now()), Err(LookError::NoTree { .. })));
}

#[test]
fn an_unreachable_repository_is_told_from_other_faults() {
    let mut fixture = Fixture::new();
    fixture.source.url = format!("file://{}/nowhere.git", fixture.folder.path().display());
    let error = fixture.engine().look(&now()).expect_err("nothing there");
    assert!(error.is_unreachable(), "{error}");
    assert!(error.to_string().contains("nowhere.git"), "{error}");
}

#[test]
fn a_repository_that_lost_the_stop_flags_file_cannot_be_looked_at() {
    let mut fixture = Fixture::new();
    fixture.look();
    fixture.central.stop("reason = \"lost\"").expect("stopped");
    let blob = git2::Oid::hash_object(git2::ObjectType::Blob, b"reason = \"lost\"").expect("an id").to_string();
    let object = fixture.central.folder().join("objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::remove_file(object).expect("lost");
    assert!(fixture.engine().look(&now()).expect_err("cannot be read").is_unreachable());
}

#[test]
fn a_look_when_nothing_moved_fetches_nothing() {
    let fixture = Fixture::with_1_5_0_in_force();
    fixture.look();
    let packs = fixture.state.clone_dir().join("objects/pack");
    let count = || std::fs::read_dir(&packs).expect("listed").count();
    let before = count();
    let sync = fixture.cycle();
    assert_eq!((sync.switched, sync.refused, sync.notes), (false, vec![], vec![]));
    assert_eq!(count(), before);
}

#[test]
fn the_machines_git_configuration_does_not_count() {
    // `insteadOf` in a user's configuration would send the worker elsewhere. The engine sets no search path at all.
    let fixture = Fixture::new();
    fixture.look();
    for found in [git2::Config::find_global(), git2::Config::find_system(), git2::Config::find_xdg()] {
        found.expect_err("looked for nowhere");
    }
}

#[test]
fn a_clone_in_too_many_packs_is_fetched_afresh() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    for _ in 0..60 {
        fixture.central.stop("").expect("stopped");
        fixture.central.start().expect("started");
        fixture.look();
    }
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
    let packs = std::fs::read_dir(fixture.state.clone_dir().join("objects/pack")).expect("listed").count();
    assert!(packs < 10, "{packs}");
}

#[test]
fn a_ref_whose_name_is_not_utf8_blinds_nobody() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let main = std::fs::read(fixture.central.folder().join("refs/heads/main")).expect("a branch");
    for name in [&b"refs/heads/gr\xf6\xdfe"[..], b"refs/tags/v2.0.0\xff"] {
        std::fs::write(fixture.central.folder().join(OsStr::from_bytes(name)), &main).expect("pushed");
    }
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v2.0.0\u{fffd}", Rule::Name)]);
    fixture.central.stop("reason = \"r\"").expect("stopped");
    assert_eq!(fixture.look().stops[0].reason, "r");
}

#[test]
fn a_stop_flag_seen_on_a_full_disk_stops_all_the_same() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.stop("reason = \"r\"").expect("stopped");
    // Nothing can be written where a note of the look is begun.
    std::fs::create_dir(fixture.state.root().join(".look.json.new")).expect("a folder");
    let mut engine = fixture.engine();
    assert_eq!(engine.look(&now()).expect("looks").stops[0].reason, "r");
    assert!(!engine.last_look().expect("a look").stops.is_empty());
    assert_eq!(fixture.engine().last_look(), None, "the look before, without a flag, counts no more");
}

#[test]
fn a_flag_in_a_tree_that_git_would_write_otherwise_stops() {
    let mut fixture = Fixture::new();
    let flag = fixture.central.write_object(ObjectType::Blob, b"").expect("written");
    let folder = fixture.central.write_object(ObjectType::Tree, b"").expect("written");
    let entry = |entry: &str, id: git2::Oid| [entry.as_bytes(), &[0], id.as_bytes()].concat();
    let raw = [entry("040000 sub", folder), entry("100644 STOP", flag)].concat();
    let tree = fixture.central.write_object(ObjectType::Tree, &raw).expect("written");
    fixture.central.commit_tree("refs/heads/control", tree).expect("committed");
    assert!(!fixture.look().stops.is_empty());
}
