//! Keys that were revoked, and the recovery key.

use nightshift_engine::{BackError, Rule, Source};
use nightshift_manifest::rollout::Holds;
use nightshift_manifest::signers::{self, Signer, Signers};
use nightshift_testbed::central::{Central, new_key};
use ssh_key::{HashAlg, PrivateKey};

use crate::fixture::{Fixture, rules};

fn fingerprint(key: &PrivateKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// A worker with v1.5.0 in force and the keys of ann, which signs, and ben, who both may sign.
fn ann_and_ben() -> (Fixture, PrivateKey) {
    let mut fixture = Fixture::new();
    let ben = new_key().expect("a key");
    let ann = signers::line("ann", fixture.central.key().public_key());
    let lines = format!("{ann}\n{}\n", signers::line("ben", ben.public_key()));
    fixture.source.signers = Signers::parse(&lines).expect("a key set");
    fixture.central.put("keys/allowed_signers", lines).expect("put");
    fixture.central.cut("1.5.0").expect("cut");
    assert!(fixture.cycle().switched);
    (fixture, ben)
}

/// Cuts a release signed by `key` that names these keys and revokes those.
fn cut(central: &mut Central, version: &str, key: &PrivateKey, names: &[(&str, &PrivateKey)], revokes: &[&PrivateKey]) {
    let lines: Vec<String> = names.iter().map(|(name, key)| signers::line(name, key.public_key())).collect();
    central.put("keys/allowed_signers", lines.join("\n")).expect("put");
    let revoked: Vec<String> = revokes.iter().map(|key| fingerprint(key)).collect();
    central.put("keys/revoked", revoked.join("\n")).expect("put");
    let before = central.sign_with(key.clone());
    central.cut(version).expect("cut");
    central.sign_with(before);
}

#[test]
fn a_revoked_key_is_refused_also_after_a_sleep() {
    let (mut fixture, ben) = ann_and_ben();
    let ann = fixture.central.key().clone();
    // While the worker sleeps, ann's key is stolen and revoked; what the thief pushed lies below and above.
    cut(&mut fixture.central, "1.6.0", &ann, &[("mallory", &new_key().expect("a key"))], &[]);
    cut(&mut fixture.central, "1.7.0", &ben, &[("ben", &ben)], &[&ann]);
    cut(&mut fixture.central, "1.8.0", &ann, &[("ann", &ann)], &[]);
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.8.0", Rule::RevokedKey)], "the ones below are history");
    assert_eq!(fixture.in_force().as_deref(), Some("v1.7.0"));
    assert_eq!(sync.refused[0].found.split(", ").last(), Some("signed by ben)"), "{}", sync.refused[0]);
}

#[test]
fn a_revoked_key_is_refused_also_below_the_release_that_revokes_it() {
    let (mut fixture, ben) = ann_and_ben();
    let ann = fixture.central.key().clone();
    cut(&mut fixture.central, "1.6.0", &ann, &[("ann", &ann), ("ben", &ben)], &[]);
    // The release that revokes is not taken itself: its settings cannot be read.
    fixture.central.put("nightshift.toml", "colour = 1\n").expect("put");
    cut(&mut fixture.central, "1.7.0", &ben, &[("ben", &ben)], &[&ann]);
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.7.0", Rule::Content), ("v1.6.0", Rule::RevokedKey)]);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
}

#[test]
fn a_key_that_came_in_while_the_worker_slept_revokes_too() {
    let (mut fixture, _) = ann_and_ben();
    let ann = fixture.central.key().clone();
    let cem = new_key().expect("a key");
    cut(&mut fixture.central, "1.6.0", &ann, &[("ann", &ann), ("cem", &cem)], &[]);
    cut(&mut fixture.central, "1.7.0", &cem, &[("cem", &cem)], &[&ann]);
    assert!(fixture.cycle().switched);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.7.0"));
    assert!(fixture.engine().trust().revoked.has(&fingerprint(&ann)));
}

#[test]
fn a_revocation_outlives_the_list_it_came_with() {
    let (mut fixture, ben) = ann_and_ben();
    let ann = fixture.central.key().clone();
    cut(&mut fixture.central, "1.6.0", &ben, &[("ben", &ben)], &[&ann]);
    fixture.cycle();
    // A later release names the key again, and its list of revoked keys is empty.
    cut(&mut fixture.central, "1.7.0", &ben, &[("ann", &ann), ("ben", &ben)], &[]);
    assert!(fixture.cycle().switched);
    cut(&mut fixture.central, "1.8.0", &ann, &[("ann", &ann)], &[]);
    assert_eq!(rules(&fixture.cycle().refused), [("v1.8.0", Rule::RevokedKey)]);
}

#[test]
fn a_release_that_revokes_its_own_signer_or_everybody_is_refused() {
    let (mut fixture, ben) = ann_and_ben();
    let ann = fixture.central.key().clone();
    cut(&mut fixture.central, "1.6.0", &ann, &[("ben", &ben)], &[&ann]);
    cut(&mut fixture.central, "1.7.0", &ann, &[("ben", &ben)], &[&ben]);
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.7.0", Rule::Keys), ("v1.6.0", Rule::Keys)]);
    assert_eq!(fixture.engine().trust().revoked.fingerprints().count(), 0);
}

#[test]
fn keys_that_revoke_each_other_let_nothing_in_until_the_recovery_key_speaks() {
    let (mut fixture, ben) = ann_and_ben();
    let (ann, recovery) = (fixture.central.key().clone(), new_key().expect("a key"));
    let line = signers::line("recovery", recovery.public_key());
    fixture.source.recovery = Some(Signer::parse(&line).expect("one key"));
    cut(&mut fixture.central, "1.6.0", &ann, &[("ann", &ann)], &[&ben]);
    cut(&mut fixture.central, "1.7.0", &ben, &[("ben", &ben)], &[&ann]);
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.7.0", Rule::RevokedKey), ("v1.6.0", Rule::RevokedKey)]);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));

    let cem = new_key().expect("a key");
    cut(&mut fixture.central, "1.8.0", &recovery, &[("cem", &cem)], &[&ann, &ben]);
    assert!(fixture.cycle().switched);
    cut(&mut fixture.central, "1.9.0", &cem, &[("cem", &cem)], &[]);
    assert!(fixture.cycle().switched);
}

#[test]
fn the_recovery_key_replaces_keys_that_a_thief_made_their_own() {
    let (mut fixture, ben) = ann_and_ben();
    let (ann, recovery, mallory) =
        (fixture.central.key().clone(), new_key().expect("a key"), new_key().expect("a key"));
    let line = signers::line("recovery", recovery.public_key());
    fixture.source.recovery = Some(Signer::parse(&line).expect("one key"));
    cut(&mut fixture.central, "1.6.0", &ann, &[("mallory", &mallory)], &[&ben]);
    assert!(fixture.cycle().switched, "nobody knew better");
    // Mallory tries to revoke the recovery key.
    cut(&mut fixture.central, "1.7.0", &mallory, &[("mallory", &mallory)], &[&ben, &recovery]);
    // Ben was revoked by ann's stolen key, for good: the recovery key has to name others.
    cut(&mut fixture.central, "1.8.0", &recovery, &[("ben", &ben)], &[&ann, &mallory]);
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.8.0", Rule::Keys), ("v1.7.0", Rule::RevokedKey)][..1]);
    let cem = new_key().expect("a key");
    cut(&mut fixture.central, "1.9.0", &recovery, &[("cem", &cem)], &[&ann, &mallory]);
    assert!(fixture.cycle().switched);
    cut(&mut fixture.central, "1.10.0", &cem, &[("cem", &cem)], &[]);
    assert!(fixture.cycle().switched);
}

#[test]
fn without_the_recovery_key_pinned_its_tags_are_a_strangers() {
    let (mut fixture, ben) = ann_and_ben();
    let recovery = new_key().expect("a key");
    cut(&mut fixture.central, "1.6.0", &recovery, &[("ben", &ben)], &[]);
    assert_eq!(rules(&fixture.cycle().refused), [("v1.6.0", Rule::KnownSigner)]);
}

#[test]
fn a_list_of_revoked_keys_that_is_not_understood_refuses_its_release() {
    let (mut fixture, _) = ann_and_ben();
    fixture.central.put("keys/revoked", "ann@example.com\n").expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Keys)]);
    assert!(sync.refused[0].found.starts_with("line 1 of the revoked keys"), "{}", sync.refused[0]);
}

#[test]
fn a_revoked_key_that_is_pinned_again_stays_revoked() {
    let (mut fixture, ben) = ann_and_ben();
    let ann = fixture.central.key().clone();
    cut(&mut fixture.central, "1.6.0", &ben, &[("ben", &ben)], &[&ann]);
    fixture.cycle();
    let pinned = Signers::one("ann", ann.public_key()).expect("a key set");
    fixture.source = Source { signers: pinned, ..fixture.source };
    cut(&mut fixture.central, "1.7.0", &ann, &[("ann", &ann)], &[]);
    assert_eq!(rules(&fixture.cycle().refused), [("v1.7.0", Rule::RevokedKey)]);
}

#[test]
fn whoever_denies_the_release_that_revoked_a_key_does_not_bring_back_what_that_key_signed() {
    let (mut fixture, ben) = ann_and_ben();
    let ann = fixture.central.key().clone();
    // A thief has ann's key, and may push to the control branch.
    cut(&mut fixture.central, "1.6.0", &ann, &[("ann", &ann), ("ben", &ben)], &[]);
    assert!(fixture.cycle().switched);
    cut(&mut fixture.central, "1.7.0", &ben, &[("ben", &ben)], &[&ann]);
    assert!(fixture.cycle().switched);
    let error = fixture.engine().go_back("it is denied", &Holds::default()).expect_err("revoked");
    assert!(matches!(error, BackError::PutOut { .. }), "{error}");
    assert!(error.to_string().contains("which was revoked"), "{error}");
    assert_eq!(fixture.in_force().as_deref(), Some("v1.7.0"));
}
