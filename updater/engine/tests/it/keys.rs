//! Key sets: every verified tag may bring one, judged by the keys in force before it.

use nightshift_engine::{FREE, Rule};
use nightshift_manifest::signers::{self, Signers};
use nightshift_testbed::central::new_key;

use crate::fixture::{Fixture, now, rules};

#[test]
fn a_release_may_hand_over_to_another_key() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let new = new_key().expect("a key");
    fixture.central.put("keys/allowed_signers", signers::line("ben", new.public_key())).expect("put");
    fixture.central.cut("1.6.0").expect("cut by the old key");
    assert!(fixture.cycle().switched);

    let old = fixture.central.sign_with(new);
    fixture.central.cut("1.7.0").expect("cut by the new key");
    assert!(fixture.cycle().switched);
    assert_eq!(fixture.engine().in_force().expect("in force").signer, "ben");

    fixture.central.sign_with(old);
    fixture.central.cut("1.8.0").expect("cut by the old key");
    assert_eq!(rules(&fixture.cycle().refused), [("v1.8.0", Rule::KnownSigner)]);
}

#[test]
fn a_new_worker_follows_the_keys_from_the_first_release_on() {
    let mut fixture = Fixture::new();
    fixture.central.cut("1.0.0").expect("cut");
    let new = new_key().expect("a key");
    fixture.central.put("keys/allowed_signers", signers::line("ben", new.public_key())).expect("put");
    fixture.central.cut("1.1.0").expect("cut");
    fixture.central.sign_with(new);
    fixture.central.cut("1.2.0").expect("cut");
    assert!(fixture.cycle().switched);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.2.0"));
}

#[test]
fn a_release_cannot_vouch_for_its_own_key() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let new = new_key().expect("a key");
    fixture.central.put("keys/allowed_signers", signers::line("mallory", new.public_key())).expect("put");
    fixture.central.sign_with(new);
    fixture.central.cut("1.6.0").expect("cut");
    assert_eq!(rules(&fixture.cycle().refused), [("v1.6.0", Rule::KnownSigner)]);
}

#[test]
fn a_key_set_that_is_not_wholly_understood_refuses_its_release() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let line = fixture.central.signer_line().replace("namespaces=\"git\"", "cert-authority");
    fixture.central.put("keys/allowed_signers", line).expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Keys)]);
    assert!(sync.refused[0].found.starts_with("line 1 of the allowed signers: "), "{}", sync.refused[0]);
}

#[test]
fn a_key_set_counts_also_when_its_release_is_refused_for_its_content() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let new = new_key().expect("a key");
    fixture.central.put("keys/allowed_signers", signers::line("ben", new.public_key())).expect("put");
    fixture.central.put("nightshift.toml", "colour = 1\n").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    assert_eq!(rules(&fixture.cycle().refused), [("v1.6.0", Rule::Content)]);

    // The old key is out of force although its last release never came in.
    fixture.central.put("nightshift.toml", "").expect("put");
    fixture.central.cut("1.7.0").expect("cut by the old key");
    assert!(!fixture.cycle().switched);
    fixture.central.sign_with(new);
    fixture.central.cut("1.8.0").expect("cut by the new key");
    assert!(fixture.cycle().switched);
}

#[test]
fn a_person_who_pins_other_keys_overrules_the_repository() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let new = new_key().expect("a key");
    fixture.source.signers = Signers::one("ben", new.public_key()).expect("a key set");
    fixture.central.sign_with(new);
    fixture.central.cut("1.6.0").expect("cut");
    assert!(fixture.cycle().switched);
}

#[test]
fn a_handover_that_could_not_be_staged_at_first_is_taken_later() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let new = new_key().expect("a key");
    fixture.central.put("keys/allowed_signers", signers::line("ben", new.public_key())).expect("put");
    let tag_id = fixture.central.cut("1.6.0").expect("cut by the old key").to_string();
    // A file where the staging folder has to be stands for a disk that takes nothing.
    let staging = fixture.state.slots().join(format!(".staging-v1.6.0-{}", &tag_id[..12]));
    std::fs::write(&staging, "").expect("in the way");
    let mut engine = fixture.engine();
    let look = engine.look(&now()).expect("looks");
    engine.sync(&look, FREE).expect_err("cannot stage");

    assert_eq!(fixture.engine().trust().keys.as_ref().map(|keys| keys.from.to_string()).as_deref(), Some("1.6.0"));

    std::fs::remove_file(&staging).expect("removed");
    assert!(fixture.cycle().switched, "judged by the keys before it, although others are in force now");
    fixture.central.cut("1.7.0").expect("cut by the old key");
    assert_eq!(rules(&fixture.cycle().refused), [("v1.7.0", Rule::KnownSigner)]);
}
