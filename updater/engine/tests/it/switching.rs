//! Good releases come into force, whole, and the ones before make room.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nightshift_engine::{FREE, Held, HeldBy, Verified};
use nightshift_manifest::version::ReleaseVersion;

use crate::fixture::{Fixture, now};

#[test]
fn a_signed_release_comes_into_force() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.in_force(), None);
    fixture.central.put("nightshift.toml", "[jobs]\nsize = 77\n").expect("put");
    fixture.central.put("plugins/p/plugin.toml", PLUGIN).expect("put");
    fixture.central.put("plugins/p/query.sqlite.sql", "select 1").expect("put");
    fixture.central.put_with_mode("tools/run.sh", "#!/bin/sh\n", 0o100755).expect("put");
    let tag_id = fixture.central.cut("1.5.0").expect("cut");
    let sync = fixture.cycle();
    assert!(sync.switched && sync.refused.is_empty());

    let release = fixture.engine().in_force().expect("in force");
    assert_eq!((release.tag.as_str(), release.tag_id.clone()), ("v1.5.0", tag_id.to_string()));
    assert_eq!(release.signer, "release.manager@example.com");
    assert_eq!(release.settings().expect("settings").job_size, 77);
    let plugins = release.plugins().expect("plugins");
    assert_eq!(plugins.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["p"]);
    assert_eq!(fs::read_to_string(release.tree().join("tools/run.sh")).expect("a file"), "#!/bin/sh\n");
    let mode = |file: &str| fs::metadata(release.tree().join(file)).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("tools/run.sh") & 0o700, mode("nightshift.toml") & 0o700), (0o500, 0o400));
    assert_eq!(fixture.state.in_force().canonicalize().expect("a link"), release.slot.canonicalize().expect("a slot"));
}

const PLUGIN: &str = "runtime = \"sql\"\n[input]\nname = \"text\"\n[output]\nhits = \"integer\"\n";

#[test]
fn the_highest_release_wins_whatever_the_order_they_were_pushed_in() {
    let mut fixture = Fixture::new();
    for version in ["1.9.0", "1.10.0", "1.2.0"] {
        fixture.central.cut(version).expect("cut");
    }
    fixture.cycle();
    assert_eq!(fixture.in_force().as_deref(), Some("v1.10.0"));
    assert_eq!(fixture.engine().trust().floor, Some(ReleaseVersion::new(1, 10, 0)));
}

#[test]
fn of_the_good_releases_the_highest_that_nothing_holds_back_is_taken() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    for version in ["1.6.0", "1.7.0"] {
        fixture.central.cut(version).expect("cut");
    }
    let mut engine = fixture.engine();
    let look = engine.look(&now()).expect("looks");
    let hold = |release: &Verified<'_>| -> Option<Held> {
        (release.version == ReleaseVersion::new(1, 7, 0)).then(|| release.held(HeldBy::Window, "it opens at 20:00"))
    };
    let sync = engine.sync(&look, &hold).expect("syncs");
    assert_eq!(
        sync.held.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["v1.7.0 is held back (window): it opens at 20:00"]
    );
    assert!(sync.switched && sync.refused.is_empty());
    assert_eq!(engine.in_force().expect("in force").tag, "v1.6.0");

    let sync = engine.sync(&look, &hold).expect("syncs again");
    assert_eq!((sync.switched, sync.held.len()), (false, 1), "it is told as long as it is held back");
    assert!(engine.sync(&look, FREE).expect("syncs").switched);
    assert_eq!(engine.in_force().expect("in force").tag, "v1.7.0");
}

#[test]
fn a_repository_without_a_release_brings_nothing_into_force() {
    let fixture = Fixture::new();
    let sync = fixture.cycle();
    assert_eq!((sync.switched, sync.refused, fixture.in_force()), (false, vec![], None));
}

#[test]
fn the_release_in_force_and_the_one_before_are_kept() {
    let mut fixture = Fixture::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        fixture.central.put("data/version.txt", version).expect("put");
        fixture.central.cut(version).expect("cut");
        assert!(fixture.cycle().switched);
    }
    let mut slots: Vec<String> = fs::read_dir(fixture.state.slots())
        .expect("slots")
        .map(|slot| slot.expect("a slot").file_name().to_string_lossy()[..6].to_owned())
        .collect();
    slots.sort();
    assert_eq!(slots, ["v1.1.0", "v1.2.0"]);
}

#[test]
fn a_deleted_tag_leaves_its_release_in_force_and_is_noted() {
    let fixture = Fixture::with_1_5_0_in_force();
    fixture.central.delete_tag("v1.5.0").expect("deleted");
    let sync = fixture.cycle();
    assert_eq!((sync.switched, sync.refused), (false, vec![]));
    assert_eq!(sync.notes, ["the repository no longer has v1.5.0; it stays in force"]);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
}

#[test]
fn tags_that_are_no_releases_are_none_of_our_business() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let commit = fixture.central.commit().expect("a commit");
    for name in ["latest", "approve/v1.5.0/ann", "release-7"] {
        fixture.central.push_ref(&format!("refs/tags/{name}"), commit).expect("pushed");
    }
    assert_eq!(fixture.cycle().refused, []);
}

#[test]
fn a_running_engine_takes_the_next_release() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let mut engine = fixture.engine();
    fixture.central.cut("1.6.0").expect("cut");
    let look = engine.look(&crate::fixture::now()).expect("looks");
    assert!(engine.sync(&look, FREE).expect("syncs").switched);
    assert_eq!(engine.in_force().expect("in force").tag, "v1.6.0");
    assert!(!engine.sync(&look, FREE).expect("syncs again").switched);
}

#[test]
fn a_slot_that_is_still_in_use_outlives_the_releases_after_it() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let mut engine = fixture.engine();
    let used = engine.in_force().expect("a release");
    for version in ["1.6.0", "1.7.0", "1.8.0"] {
        fixture.central.cut(version).expect("cut");
        engine.keep([&used]);
        let look = engine.look(&now()).expect("looks");
        assert!(engine.sync(&look, FREE).expect("syncs").switched);
        engine.verify_slot(&used).expect("whole");
        assert!(used.slot.exists(), "{version}");
    }
    engine.keep([]);
    fixture.central.cut("1.9.0").expect("cut");
    let look = engine.look(&now()).expect("looks");
    engine.sync(&look, FREE).expect("syncs");
    assert!(!used.slot.exists(), "nobody uses it any more");
}
