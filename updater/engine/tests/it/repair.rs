//! Kills and power cuts, damaged clones, damaged slots: old or new, whole, and on again by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nightshift_engine::{FREE, SlotError};
use nightshift_manifest::binaries::Program;

use crate::crashes::put_programs;
use crate::fixture::Fixture;
use crate::trials::{Told, sync};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().expect("a type").is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

fn overwrite(path: &Path, content: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("writable");
    fs::write(path, content).expect("written");
}

#[test]
fn a_clone_whose_files_a_power_cut_emptied_is_fetched_again() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    for file in files(&fixture.state.clone_dir()) {
        overwrite(&file, b"");
    }
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
}

#[test]
fn a_clone_with_a_flipped_bit_is_fetched_again() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    for file in files(&fixture.state.clone_dir().join("objects")) {
        let mut bytes = fs::read(&file).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        overwrite(&file, &bytes);
    }
    fixture.central.put("data/new.txt", "new").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
    assert_eq!(fixture.look().stops, []);
}

#[test]
fn a_tag_that_a_broken_repository_cannot_give_is_named_and_costs_one_clone_at_most() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.put("data/new.txt", "new").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    let (path, held) = fixture.central.lose(b"new").expect("lost");
    let marker = fixture.state.clone_dir().join("marker");
    for cycle in 0..3 {
        let sync = fixture.cycle();
        assert_eq!((sync.switched, sync.refused), (false, vec![]), "cycle {cycle}");
        let named = sync.unfetched.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(named.len() == 1 && named[0].starts_with("v1.6.0 cannot be fetched"), "cycle {cycle}: {named:?}");
        assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
        match cycle {
            0 => fs::write(&marker, "").expect("written"),
            _ => assert!(marker.exists(), "cycle {cycle}: the clone was fetched again"),
        }
    }

    // It hides no stop flag.
    fixture.central.stop("").expect("stopped");
    assert!(!fixture.look().stops.is_empty());
    fixture.central.start().expect("started");

    // Another tag is not kept out, and the broken one is taken once it is mended.
    fixture.central.remove("data/new.txt");
    fixture.central.put("data/other.txt", "other").expect("put");
    fixture.central.cut("1.5.5").expect("cut");
    let sync = fixture.cycle();
    assert!(sync.switched && sync.unfetched.len() == 1, "{sync:?}");
    assert!(marker.exists(), "the clone was fetched again");
    fs::write(path, held).expect("mended");
    assert!(fixture.cycle().switched);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.6.0"));
}

#[test]
fn a_clone_without_its_objects_is_fetched_again() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fs::remove_dir_all(fixture.state.clone_dir().join("objects")).expect("removed");
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
}

#[test]
fn locks_left_behind_by_a_killed_process_are_removed() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let clone = fixture.state.clone_dir();
    for lock in ["HEAD.lock", "config.lock", "packed-refs.lock", "refs/heads/control.lock", "refs/tags/v1.6.0.lock"] {
        fs::write(clone.join(lock), "").expect("left behind");
    }
    fixture.central.stop("").expect("stopped");
    assert!(!fixture.look().stops.is_empty());
    fixture.central.start().expect("started");
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
    assert!(!files(&clone).iter().any(|file| file.extension().is_some_and(|extension| extension == "lock")));
}

#[test]
fn a_changed_missing_or_added_file_in_a_slot_is_found_and_made_good() {
    let fixture = Fixture::with_1_5_0_in_force();
    let release = fixture.engine().in_force().expect("in force");
    let settings = release.tree().join("nightshift.toml");
    let damages: [&dyn Fn(); 5] = [
        &|| overwrite(&settings, b"[jobs]\nsize = 1\n"),
        &|| fs::remove_file(&settings).expect("removed"),
        &|| fs::write(release.tree().join("added.txt"), "x").expect("added"),
        &|| fs::set_permissions(&settings, fs::Permissions::from_mode(0o755)).expect("changed"),
        &|| fs::remove_dir_all(&release.slot).expect("removed"),
    ];
    for damage in damages {
        damage();
        fixture.engine().verify_slot(&release).expect("made good");
        assert_eq!(fs::read(&settings).expect("there"), b"");
        assert_eq!(files(&release.tree()).len(), 2);
    }
}

#[test]
fn whoever_only_looks_at_a_slot_finds_a_changed_file_or_program_and_changes_nothing() {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let told = Told::default();
    let mut fixture = Fixture::with_1_5_0_in_force();
    put_programs(&mut fixture, "v1.6.0");
    fixture.central.cut("1.6.0").expect("cut");
    let mut cycle = fixture.trying(&told);
    sync(&mut cycle);
    let release = cycle.in_force().expect("in force");
    let launcher = release.program(Program::Launcher).expect("it brings one");
    let engine = fixture.engine();
    engine.check_slot(&release, TARGET).expect("as signed");

    for damaged in [launcher.clone(), release.tree().join("data/tag.txt")] {
        overwrite(&damaged, b"x");
        let error = engine.check_slot(&release, TARGET).expect_err("damaged");
        assert!(matches!(error, SlotError::NotAsSigned { .. }), "{error}");
    }
    let added = launcher.with_file_name("added");
    engine.verify_slot(&release).expect_err("its programs would be left out");
    assert_eq!(fs::read(&launcher).expect("left there"), b"x");
    cycle.verify_slot(&release).expect("made good");
    engine.check_slot(&release, TARGET).expect("as signed again");
    fs::write(&added, "a program that no release names").expect("written");
    engine.check_slot(&release, TARGET).expect_err("one too many");
    cycle.verify_slot(&release).expect("made good");
    assert!(!added.exists());
}

#[test]
fn a_link_in_a_slot_is_not_followed() {
    let fixture = Fixture::with_1_5_0_in_force();
    let release = fixture.engine().in_force().expect("in force");
    let settings = release.tree().join("nightshift.toml");
    fs::remove_file(&settings).expect("removed");
    let same = fixture.folder.path().join("same");
    fs::write(&same, "").expect("the same content");
    std::os::unix::fs::symlink(&same, &settings).expect("linked");
    fixture.engine().verify_slot(&release).expect("made good");
    assert!(!fs::symlink_metadata(&settings).expect("there").is_symlink());
}

#[test]
fn a_slot_is_verified_without_the_repository() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let release = fixture.engine().in_force().expect("in force");
    fixture.source.url = format!("file://{}/gone.git", fixture.folder.path().display());
    fs::remove_dir_all(fixture.state.clone_dir()).expect("removed");
    fixture.engine().verify_slot(&release).expect("good");
    fs::write(release.tree().join("added.txt"), "x").expect("added");
    fixture.engine().verify_slot(&release).expect_err("cannot be made good now");
}

/// Everything a kill can leave behind between two steps of a switch from v1.5.0 to v1.6.0, made by hand from the state
/// before and the state after.
#[test]
fn a_switch_cut_off_at_any_step_leaves_old_or_new_and_the_next_cycle_finishes_it() {
    for step in 0..6 {
        let mut fixture = Fixture::with_1_5_0_in_force();
        let state = fixture.state.clone();
        let old_trust = state.trust().map(|path| fs::read(path).expect("read"));
        let forget =
            || state.trust().iter().zip(&old_trust).for_each(|(path, old)| fs::write(path, old).expect("written"));
        let old_link = fs::read_link(state.in_force()).expect("read");
        fixture.central.put("data/new.txt", "new").expect("put");
        fixture.central.cut("1.6.0").expect("cut");
        fixture.cycle();
        let new = fixture.engine().in_force().expect("in force");

        let relink = || {
            fs::remove_file(state.in_force()).expect("removed");
            std::os::unix::fs::symlink(&old_link, state.in_force()).expect("linked");
        };
        let staging = state.slots().join(format!(".staging-{}", new.slot.file_name().expect("a name").display()));
        match step {
            // The link still points at the old slot.
            5 => relink(),
            // The first copy of the trust state is the new one, the second the old one.
            4 => {
                relink();
                fs::write(&state.trust()[1], &old_trust[1]).expect("written");
            }
            // The slot is in its place, the trust state is the old one, perhaps half of a new one lies beside it.
            3 => {
                relink();
                forget();
                fs::write(state.root().join(".trust.a.json.new"), &old_trust[0][..40]).expect("written");
            }
            // The slot is whole but not in its place.
            2 => {
                relink();
                forget();
                #[expect(clippy::disallowed_methods, reason = "makes what a kill leaves behind")]
                fs::rename(&new.slot, &staging).expect("moved");
            }
            // Half of the slot was built.
            1 => {
                relink();
                forget();
                fs::remove_dir_all(&new.slot).expect("removed");
                fs::create_dir_all(staging.join("tree/data")).expect("created");
                fs::write(staging.join("tree/data/new.txt"), "ne").expect("written");
            }
            // Only the tag was fetched.
            _ => {
                relink();
                forget();
                fs::remove_dir_all(&new.slot).expect("removed");
            }
        }

        let left = fixture.engine().in_force().expect("in force");
        assert_eq!(left.tag, if step >= 4 { "v1.6.0" } else { "v1.5.0" }, "step {step}");
        left.settings().expect("whole");
        assert_eq!(fixture.cycle().switched, step < 4, "step {step}");
        let after = fixture.engine().in_force().expect("in force");
        assert_eq!(after.tag, "v1.6.0", "step {step}");
        assert_eq!(fs::read_to_string(after.tree().join("data/new.txt")).expect("read"), "new");
        assert_eq!(state.in_force().canonicalize().expect("a link"), after.slot.canonicalize().expect("a slot"));
        assert!(!staging.exists(), "step {step}");
    }
}

#[test]
fn a_lost_note_of_the_last_look_does_no_harm() {
    let fixture = Fixture::with_1_5_0_in_force();
    fs::write(fixture.state.look(), "").expect("written");
    assert_eq!(fixture.engine().last_look(), None);
    fixture.cycle();
    assert!(fixture.engine().last_look().is_some());
}

#[test]
fn a_release_that_does_not_fit_the_disk_leaves_the_old_one_in_force() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.cut("1.6.0").expect("cut");
    let mut engine = fixture.engine();
    let look = engine.look(&crate::fixture::now()).expect("looks");
    // A file where the staging folder has to be stands for a disk that takes nothing.
    let tag_id = &look.tags.iter().find(|tag| tag.name == "v1.6.0").expect("there").id;
    let staging = fixture.state.slots().join(format!(".staging-v1.6.0-{}", &tag_id[..12]));
    fs::write(&staging, "").expect("in the way");
    engine.sync(&look, FREE).expect_err("cannot stage");
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
    fs::remove_file(&staging).expect("removed");
    assert!(fixture.cycle().switched);
}

#[test]
fn half_written_packs_of_killed_processes_are_removed() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let folder = fixture.state.clone_dir().join("objects/pack");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("pack_git2_a1B2c3"), "half of a pack").expect("left behind");
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
    assert!(!folder.join("pack_git2_a1B2c3").exists());
}

#[test]
fn a_file_in_the_clones_place_is_replaced() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fs::remove_dir_all(fixture.state.clone_dir()).expect("removed");
    fs::write(fixture.state.clone_dir(), "no clone").expect("written");
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
}

#[test]
fn slots_that_a_killed_process_left_over_are_removed_by_the_next_sync() {
    let fixture = Fixture::with_1_5_0_in_force();
    for name in ["v1.4.0-0123456789ab", ".staging-v1.6.0-0123456789ab"] {
        fs::create_dir_all(fixture.state.slots().join(name).join("tree")).expect("left behind");
    }
    fixture.cycle();
    assert_eq!(fs::read_dir(fixture.state.slots()).expect("slots").count(), 1);
}
