//! Bad tags change nothing: one test for each rule.

use nightshift_engine::{Rule, Sync};
use nightshift_manifest::version::ReleaseVersion;
use nightshift_testbed::central::Forgery;

use crate::fixture::{Fixture, rules};

/// With v1.5.0 in force, something bad is pushed. It is refused, nothing changes, and it is refused again in the next
/// cycle.
fn refused(push: impl FnOnce(&mut Fixture)) -> Sync {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let floor = fixture.engine().trust().floor;
    push(&mut fixture);
    let sync = fixture.cycle();
    assert!(!sync.switched);
    assert_eq!(fixture.engine().trust().floor, floor);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
    assert_eq!(fixture.cycle().refused, sync.refused, "as long as it is there");
    sync
}

fn refused_forgery(forgery: Forgery, rule: Rule) {
    let sync = refused(|fixture| {
        fixture.central.forge("v1.6.0", forgery).expect("forged");
    });
    assert_eq!(rules(&sync.refused), [("v1.6.0", rule)], "{forgery:?}: {:?}", sync.refused);
}

#[test]
fn an_unsigned_tag_is_refused() {
    refused_forgery(Forgery::Unsigned, Rule::Signed);
}

#[test]
fn a_lightweight_tag_is_refused() {
    refused_forgery(Forgery::Lightweight, Rule::Annotated);
}

#[test]
fn a_tag_signed_with_gpg_is_refused() {
    refused_forgery(Forgery::Gpg, Rule::SignedWithSsh);
}

#[test]
fn a_tag_of_another_signer_is_refused() {
    refused_forgery(Forgery::OtherSigner, Rule::KnownSigner);
}

#[test]
fn a_tag_changed_after_signing_is_refused() {
    refused_forgery(Forgery::Changed, Rule::GoodSignature);
}

#[test]
fn a_tag_that_names_no_commit_is_refused() {
    refused_forgery(Forgery::NamesAFile, Rule::WellFormed);
    refused_forgery(Forgery::NamesATag, Rule::WellFormed);
}

#[test]
fn a_tag_object_that_is_none_is_refused() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.forge("v1.6.0", Forgery::Garbage).expect("forged");
    // Nobody can push it; it was put into the repository's files.
    for _ in 0..2 {
        let sync = fixture.cycle();
        assert_eq!((rules(&sync.refused), sync.unfetched), (vec![("v1.6.0", Rule::WellFormed)], vec![]));
    }
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
    fixture.central.delete_tag("v1.6.0").expect("deleted");
    assert_eq!(fixture.cycle().refused, []);
}

#[test]
fn an_old_release_replayed_under_a_higher_version_is_refused() {
    let sync = refused(|fixture| {
        fixture.central.replay("v1.5.0", "v1.6.0").expect("replayed");
    });
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::SameName)]);
    assert_eq!(sync.refused[0].signer.as_deref(), Some("release.manager@example.com"));
}

#[test]
fn a_lower_version_pushed_later_is_refused() {
    let sync = refused(|fixture| {
        fixture.central.cut("1.4.9").expect("cut");
    });
    assert_eq!(rules(&sync.refused), [("v1.4.9", Rule::BelowFloor)]);
}

#[test]
fn the_tag_in_force_moved_to_another_commit_is_refused() {
    let sync = refused(|fixture| {
        fixture.central.put("data/new.txt", "other").expect("put");
        fixture.central.cut("1.5.0").expect("moved");
    });
    assert_eq!(rules(&sync.refused), [("v1.5.0", Rule::Moved)]);
}

#[test]
fn names_that_are_nearly_a_releases_are_refused() {
    let sync = refused(|fixture| {
        for name in ["1.6.0", "v1.6", "v1.6.0-rc1"] {
            fixture.central.replay("v1.5.0", name).expect("pushed");
        }
    });
    let mut names: Vec<&str> = sync.refused.iter().map(|refusal| refusal.tag.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["1.6.0", "v1.6", "v1.6.0-rc1"]);
    assert!(sync.refused.iter().all(|refusal| refusal.rule == Rule::Name));
}

#[test]
fn settings_that_cannot_be_read_are_refused_with_file_and_line() {
    let sync = refused(|fixture| {
        fixture.central.put("nightshift.toml", "[jobs]\ncolour = 1\n").expect("put");
        fixture.central.cut("1.6.0").expect("cut");
    });
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Content)]);
    assert!(
        sync.refused[0].found.starts_with("nightshift.toml, line 2: unknown field `colour`"),
        "{}",
        sync.refused[0]
    );
}

#[test]
fn a_plugin_that_is_not_complete_is_refused() {
    let sync = refused(|fixture| {
        let plugin = "runtime = \"sql\"\n[input]\nname = \"text\"\n[output]\nhits = \"integer\"\n";
        fixture.central.put("plugins/p/plugin.toml", plugin).expect("put");
        fixture.central.cut("1.6.0").expect("cut");
    });
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Content)]);
}

#[test]
fn a_good_release_beside_bad_ones_is_taken() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    for (number, forgery) in Forgery::PUSHABLE.into_iter().enumerate() {
        fixture.central.forge(&format!("v1.{}.0", 60 + number), forgery).expect("forged");
    }
    fixture.central.replay("v1.5.0", "v2.0.0").expect("replayed");
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert!(sync.switched);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.6.0"));
    assert_eq!(sync.refused.len(), Forgery::PUSHABLE.len() + 1);
    assert_eq!(sync.refused[0].tag, "v2.0.0", "highest first");
}

#[test]
fn bad_tags_that_a_worker_finds_below_its_first_release_are_history() {
    let mut fixture = Fixture::new();
    fixture.central.forge("v0.9.0", Forgery::Unsigned).expect("forged");
    fixture.central.forge("v0.9.1", Forgery::OtherSigner).expect("forged");
    fixture.central.cut("1.0.0").expect("cut");
    assert_eq!(fixture.cycle().refused, []);
    assert_eq!(fixture.cycle().refused, []);
}

#[test]
fn a_refusal_ends_when_a_higher_release_is_taken_or_the_tag_is_deleted() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.forge("v1.6.0", Forgery::Unsigned).expect("forged");
    fixture.central.cut("1.4.0").expect("cut");
    assert_eq!(fixture.cycle().refused.len(), 2);
    fixture.central.delete_tag("v1.4.0").expect("deleted");
    assert_eq!(rules(&fixture.cycle().refused), [("v1.6.0", Rule::Signed)]);
    fixture.central.cut("1.7.0").expect("cut");
    assert_eq!(fixture.cycle().refused, []);
    assert_eq!(fixture.cycle().refused, []);
}

#[test]
fn a_refused_tag_signed_and_pushed_again_is_taken() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.forge("v1.6.0", Forgery::Unsigned).expect("forged");
    assert_eq!(fixture.cycle().refused.len(), 1);
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.6.0"));
}

#[test]
fn the_floor_outlives_slots_and_clone() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    std::fs::remove_dir_all(fixture.state.slots()).expect("removed");
    std::fs::remove_dir_all(fixture.state.clone_dir()).expect("removed");
    fixture.central.delete_tag("v1.5.0").expect("deleted");
    fixture.central.cut("1.4.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.4.0", Rule::BelowFloor)]);
    assert_eq!(fixture.engine().trust().floor, Some(ReleaseVersion::new(1, 5, 0)));
}
