//! Releases that several people have to stand behind, and rings that are opened early.

use nightshift_engine::{FREE, HeldBy, Promotion, Rule, Sync};
use nightshift_manifest::signers;
use nightshift_manifest::version::ReleaseVersion;
use nightshift_testbed::central::new_key;
use ssh_key::PrivateKey;

use crate::fixture::{Fixture, rules};

/// A worker with v1.5.0 in force, which asks for two people behind each of the next releases, and ben's key.
fn two_people() -> (Fixture, PrivateKey) {
    let mut fixture = Fixture::new();
    let ben = new_key().expect("a key");
    let lines = [fixture.central.signer_line(), signers::line("ben", ben.public_key())].join("\n");
    fixture.central.put("keys/allowed_signers", lines).expect("put");
    fixture.central.put("nightshift.toml", "[trust]\nthreshold = 2\n").expect("put");
    fixture.central.cut("1.5.0").expect("cut");
    assert!(fixture.cycle().switched, "judged by what was in force before it");
    (fixture, ben)
}

fn held(sync: &Sync) -> Vec<(&str, HeldBy)> {
    sync.held.iter().map(|held| (held.tag.as_str(), held.kind)).collect()
}

#[test]
fn a_release_without_the_approvals_it_needs_is_held_back_until_they_come() {
    let (mut fixture, ben) = two_people();
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!((sync.switched, held(&sync)), (false, vec![("v1.6.0", HeldBy::Approval)]));
    assert_eq!(sync.refused, [], "nothing is wrong with it");
    assert!(sync.held[0].why.contains("nightshift release approve 1.6.0"), "{}", sync.held[0]);

    let commit = fixture.central.commit_of("v1.6.0").expect("a commit");
    fixture.central.sign_as(&ben, "approve/v1.6.0/ben", commit).expect("approved");
    assert!(fixture.cycle().switched);
}

#[test]
fn nobody_approves_their_own_release() {
    let (mut fixture, _) = two_people();
    fixture.central.cut("1.6.0").expect("cut");
    let commit = fixture.central.commit_of("v1.6.0").expect("a commit");
    fixture.central.sign_as(fixture.central.key(), "approve/v1.6.0/somebody-else", commit).expect("approved");
    assert_eq!(held(&fixture.cycle()), [("v1.6.0", HeldBy::Approval)]);
}

#[test]
fn an_approval_by_a_stranger_of_another_commit_or_replayed_is_refused() {
    let (mut fixture, ben) = two_people();
    fixture.central.cut("1.6.0").expect("cut");
    fixture.central.put("data/x.txt", "x").expect("put");
    let other = fixture.central.commit().expect("another commit");
    let commit = fixture.central.commit_of("v1.6.0").expect("a commit");
    fixture.central.sign_as(&new_key().expect("a key"), "approve/v1.6.0/mallory", commit).expect("pushed");
    fixture.central.sign_as(&ben, "approve/v1.6.0/ben", other).expect("pushed");
    let replayed = fixture.central.sign_as(&ben, "approve/v1.7.0/ben", commit).expect("pushed");
    fixture.central.push_ref("refs/tags/approve/v1.6.0/replayed", replayed).expect("pushed");
    fixture.central.push_ref("refs/tags/approve/v1.6.0/unsigned", commit).expect("pushed");

    let sync = fixture.cycle();
    assert_eq!(held(&sync), [("v1.6.0", HeldBy::Approval)]);
    let mut refused = rules(&sync.refused);
    refused.sort_unstable();
    assert_eq!(
        refused,
        [
            ("approve/v1.6.0/ben", Rule::SameCommit),
            ("approve/v1.6.0/mallory", Rule::KnownSigner),
            ("approve/v1.6.0/replayed", Rule::SameName),
            ("approve/v1.6.0/unsigned", Rule::Signed),
        ]
    );
}

#[test]
fn what_a_release_without_approvals_says_about_keys_does_not_count() {
    let (mut fixture, ben) = two_people();
    let mallory = new_key().expect("a key");
    // Whoever stole one key makes themselves the only signer, and asks for nobody else.
    fixture.central.put("keys/allowed_signers", signers::line("mallory", mallory.public_key())).expect("put");
    let bens = ben.fingerprint(ssh_key::HashAlg::Sha256).to_string();
    fixture.central.put("keys/revoked", bens).expect("put");
    fixture.central.put("nightshift.toml", "").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    fixture.central.sign_with(mallory);
    fixture.central.cut("1.7.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!((held(&sync), sync.switched), (vec![("v1.6.0", HeldBy::Approval)], false));
    assert_eq!(rules(&sync.refused), [("v1.7.0", Rule::KnownSigner)]);
    assert_eq!(fixture.engine().trust().needed(), 2);
    assert_eq!(fixture.engine().trust().revoked.fingerprints().count(), 0);
}

#[test]
fn a_release_does_not_ask_for_more_people_than_there_are() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.put("nightshift.toml", "[trust]\nthreshold = 2\n").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Keys)]);
    assert!(sync.refused[0].found.contains("asks for more people than"), "{}", sync.refused[0]);
    assert_eq!(fixture.engine().trust().needed(), 1);
}

#[test]
fn a_release_that_was_approved_stays_good_when_it_asks_for_more_itself() {
    let (mut fixture, ben) = two_people();
    let cem = new_key().expect("a key");
    let lines = ["ann", "ben", "cem"].iter().zip([fixture.central.key(), &ben, &cem]);
    let lines: Vec<String> = lines.map(|(name, key)| signers::line(name, key.public_key())).collect();
    fixture.central.put("keys/allowed_signers", lines.join("\n")).expect("put");
    fixture.central.put("nightshift.toml", "[trust]\nthreshold = 3\n").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    let commit = fixture.central.commit_of("v1.6.0").expect("a commit");
    fixture.central.sign_as(&ben, "approve/v1.6.0/ben", commit).expect("approved");
    let mut engine = fixture.engine();
    let look = engine.look(&crate::fixture::now()).expect("looks");
    let hold = |release: &nightshift_engine::Verified<'_>| Some(release.held(HeldBy::Window, "later"));
    engine.sync(&look, &hold).expect("syncs");
    assert_eq!(engine.trust().needed(), 3);
    assert!(fixture.cycle().switched, "two people were needed when it was approved");
}

#[test]
fn promotions_that_are_signed_are_given_out_with_their_signer() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.cut("1.6.0").expect("cut");
    let commit = fixture.central.commit_of("v1.6.0").expect("a commit");
    fixture.central.sign_as(fixture.central.key(), "promote/v1.6.0/ring-2", commit).expect("promoted");
    fixture.central.sign_as(&new_key().expect("a key"), "promote/v1.6.0/ring-3", commit).expect("pushed");
    let mut engine = fixture.engine();
    let look = engine.look(&crate::fixture::now()).expect("looks");
    let hold = |release: &nightshift_engine::Verified<'_>| {
        assert_eq!(release.promotions.len(), 1);
        Some(release.held(HeldBy::Ring, "later"))
    };
    let sync = engine.sync(&look, &hold).expect("syncs");
    let ring_2 = Promotion {
        version: ReleaseVersion::new(1, 6, 0),
        ring: "ring-2".into(),
        signer: "release.manager@example.com".into(),
    };
    assert_eq!(sync.promotions, [ring_2]);
    assert_eq!(rules(&sync.refused), [("promote/v1.6.0/ring-3", Rule::KnownSigner)]);
}

#[test]
fn approvals_that_are_moved_or_deleted_are_told() {
    let (mut fixture, ben) = two_people();
    fixture.central.cut("1.6.0").expect("cut");
    let commit = fixture.central.commit_of("v1.6.0").expect("a commit");
    fixture.central.sign_as(&ben, "approve/v1.6.0/ben", commit).expect("approved");
    let mut engine = fixture.engine();
    let look = engine.look(&crate::fixture::now()).expect("looks");
    let hold = |release: &nightshift_engine::Verified<'_>| Some(release.held(HeldBy::Window, "later"));
    engine.sync(&look, &hold).expect("syncs");

    fixture.central.push_ref("refs/tags/approve/v1.6.0/ben", commit).expect("moved");
    let sync = fixture.cycle();
    assert_eq!(held(&sync), [("v1.6.0", HeldBy::Approval)]);
    assert!(sync.notes.iter().any(|note| note.contains("moved") && note.contains("approve/v1.6.0/ben")), "{sync:?}");
    fixture.central.delete_tag("approve/v1.6.0/ben").expect("deleted");
    let sync = fixture.cycle();
    assert!(sync.notes.contains(&"the repository no longer has approve/v1.6.0/ben".to_owned()), "{sync:?}");
}

#[test]
fn an_approval_that_cannot_be_fetched_keeps_nothing_out() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.cut("1.6.0").expect("cut");
    let missing = "0123456789012345678901234567890123456789\n";
    let folder = fixture.central.folder().join("refs/tags/approve/v1.6.0");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("ben"), missing).expect("a ref to nothing");
    let sync = fixture.cycle();
    assert!(sync.switched, "{sync:?}");
}

#[test]
fn promotions_of_the_release_in_force_are_told_when_they_are_believed() {
    let fixture = Fixture::with_1_5_0_in_force();
    let commit = fixture.central.commit_of("v1.5.0").expect("a commit");
    fixture.central.sign_as(fixture.central.key(), "promote/v1.5.0/ring-2", commit).expect("promoted");
    fixture.central.sign_as(&new_key().expect("a key"), "promote/v1.5.0/ring-3", commit).expect("pushed");
    fixture.central.sign_as(fixture.central.key(), "approve/v1.5.0/ann", commit).expect("approved");
    let mut engine = fixture.engine();
    let look = engine.look(&crate::fixture::now()).expect("looks");
    let sync = engine.sync(&look, FREE).expect("syncs");
    assert_eq!((sync.promotions, sync.refused), (vec![], vec![]), "who has it needs none of them");
    let told = engine.promotions_in_force(&look).expect("told");
    let rings: Vec<&str> = told.iter().map(|promotion| promotion.ring.as_str()).collect();
    assert_eq!(rings, ["ring-2"]);
}

#[test]
fn every_good_release_is_told_also_one_that_a_higher_one_stands_in_for() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.put("nightshift.toml", "# six\n").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    fixture.central.cut("1.7.0").expect("cut");
    let sync = fixture.cycle();
    let told: Vec<(&str, &str)> =
        sync.good.iter().map(|offered| (offered.tag.as_str(), offered.settings.as_str())).collect();
    assert_eq!(told, [("v1.6.0", "# six\n"), ("v1.7.0", "# six\n")]);
    assert_eq!(fixture.cycle().good, [], "the books on them are closed");
}
