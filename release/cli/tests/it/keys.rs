//! `nightshift key rotate`, `nightshift key revoke`, and the votes about a release.

use std::fs;
use std::path::PathBuf;

use nightshift_engine::{Engine, FREE, Source, Sync, clock};
use nightshift_manifest::signers::{self, Signer, Signers};
use nightshift_testbed::central::new_key;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::person::Person;

/// A worker of the person's grid, by what its worker.toml pins.
struct Worker {
    engine: Engine,
    _state: tempfile::TempDir,
}

impl Worker {
    fn of(person: &Person) -> Self {
        let text = fs::read_to_string(person.home().join("grid/worker.toml")).expect("written");
        let table: toml::Table = text.parse().expect("TOML");
        let signers = table["signers"].as_array().expect("a list")[0].as_str().expect("text");
        let url = format!("file://{}", person.central().display());
        let mut source = Source::new(url, "control", Signers::parse(signers).expect("a key set"));
        source.recovery = Some(Signer::parse(table["recovery"].as_str().expect("text")).expect("one key"));
        let state = tempfile::tempdir().expect("a folder");
        let folder = nightshift_contract::layout::StateDir::new(state.path());
        Self { engine: Engine::open(source, folder).expect("opens"), _state: state }
    }

    fn cycle(&mut self) -> Sync {
        let look = self.engine.look(&clock::moment()).expect("looks");
        self.engine.sync(&look, FREE).expect("syncs")
    }

    fn in_force(&self) -> Option<(String, String)> {
        self.engine.in_force().map(|release| (release.tag, release.signer))
    }
}

pub(crate) fn fingerprint(path: &PathBuf) -> String {
    let text = fs::read_to_string(path).expect("a key");
    PrivateKey::from_openssh(text).expect("a key").fingerprint(HashAlg::Sha256).to_string()
}

fn recovery(person: &Person) -> PathBuf {
    person.home().join("config/nightshift/recovery_key")
}

/// Takes another person's key into the grid: their key file, and the release that names it.
fn let_in(person: &Person, name: &str) -> PathBuf {
    let key = new_key().expect("a key");
    let file = person.home().join(name);
    fs::write(&file, key.to_openssh(LineEnding::LF).expect("text").as_bytes()).expect("written");
    let path = person.clone_dir().join("keys/allowed_signers");
    let lines = fs::read_to_string(&path).expect("signers") + &signers::line(name, key.public_key()) + "\n";
    fs::write(path, lines).expect("written");
    file
}

/// Works with another signing key, which the configuration names.
fn sign_with(person: &Person, key: &PathBuf) {
    let path = person.home().join("config/nightshift/config.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    let others = text.lines().filter(|line| !line.starts_with("signing_key"));
    let text: String = others.map(|line| format!("{line}\n")).collect();
    fs::write(path, format!("{text}signing_key = {key:?}\n")).expect("written");
}

#[test]
fn the_recovery_key_is_made_outside_the_grid_and_pinned() {
    let person = Person::with_grid();
    let pinned = fs::read_to_string(person.clone_dir().join("keys/recovery")).expect("the public half");
    let pinned = Signer::parse(&pinned).expect("one key");
    assert_eq!(pinned.fingerprint().to_string(), fingerprint(&recovery(&person)));
    let worker = fs::read_to_string(person.home().join("grid/worker.toml")).expect("written");
    assert!(worker.contains(&pinned.to_string()), "{worker}");
}

#[test]
fn a_rotated_key_signs_the_releases_after_it_and_the_old_one_none() {
    let person = Person::with_grid();
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    let mut worker = Worker::of(&person);
    worker.cycle();
    let before = fingerprint(&person.signing_key());
    let old = fs::read(person.signing_key()).expect("a key");
    let ended = person.in_clone(&["key", "rotate"]).expect_code(0).says("nightshift key revoke SHA256:");
    assert_eq!(ended.stdout, "v1.0.1\n");
    assert_ne!(fingerprint(&person.signing_key()), before);
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    worker.cycle();
    assert_eq!(worker.in_force().map(|(tag, _)| tag).as_deref(), Some("v1.1.0"));

    let stolen = person.home().join("stolen");
    fs::write(&stolen, old).expect("written");
    sign_with(&person, &stolen);
    person.in_clone(&["release", "cut", "1.2.0", "--yes"]).expect_code(4).says("which may not sign releases");
}

#[test]
fn a_rotation_that_was_cut_off_is_finished_by_the_next() {
    let person = Person::with_grid();
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    let old = fs::read(person.signing_key()).expect("a key");
    person.in_clone(&["key", "rotate"]).expect_code(0);
    let new = fs::read(person.signing_key()).expect("a key");
    let public = |path: PathBuf| PathBuf::from(format!("{}.pub", path.display()));
    let next = PathBuf::from(format!("{}.next", person.signing_key().display()));
    fs::write(&next, &new).expect("as it was before the last step");
    fs::copy(public(person.signing_key()), public(next)).expect("as it was before the last step");
    fs::write(person.signing_key(), old).expect("as it was before the last step");
    person.in_clone(&["key", "rotate"]).expect_code(0).says("was cut off");
    assert_eq!(fs::read(person.signing_key()).expect("a key"), new);
}

#[test]
fn a_key_change_that_cannot_be_pushed_changes_nothing() {
    let person = Person::with_grid();
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    person.write("nightshift.toml", "[jobs]\nsize = 5\n");
    person.in_clone(&["key", "rotate"]).expect_code(2).says("nightshift.toml is not committed");
    person.git(&person.clone_dir(), &["checkout", "--quiet", "nightshift.toml"]);
    let before = (person.everything(), fs::read(person.signing_key()).expect("a key"));
    person.in_clone(&["key", "rotate", "0.9.0"]).expect_code(2).says("is not above");
    assert_eq!((person.everything(), fs::read(person.signing_key()).expect("a key")), before);
}

#[test]
fn a_stolen_key_is_revoked_by_another_signer() {
    let person = Person::with_grid();
    let ben = let_in(&person, "ben");
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    let mut worker = Worker::of(&person);
    worker.cycle();
    let stolen = person.signing_key();
    sign_with(&person, &ben);
    let ended = person.in_clone(&["key", "revoke", "ada@localhost", "1.1.0"]).expect_code(0);
    assert_eq!(ended.stdout, "v1.1.0\n");
    worker.cycle();
    assert_eq!(worker.in_force(), Some(("v1.1.0".into(), "ben".into())));
    assert!(worker.engine.trust().revoked.has(&fingerprint(&stolen)));

    sign_with(&person, &stolen);
    person.in_clone(&["release", "cut", "1.2.0", "--yes"]).expect_code(4).says("which was revoked");
}

#[test]
fn the_only_key_is_revoked_with_the_recovery_key_and_gets_a_successor() {
    let person = Person::with_grid();
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    let mut worker = Worker::of(&person);
    worker.cycle();
    let stolen = fingerprint(&person.signing_key());
    person.in_clone(&["key", "revoke", &stolen]).expect_code(2).says("a key cannot revoke itself");
    let recovery = recovery(&person);
    person
        .in_clone(&["key", "revoke", &stolen, "--recovery", &recovery.to_string_lossy()])
        .expect_code(0)
        .says("for good");
    worker.cycle();
    assert_eq!(worker.in_force(), Some(("v1.0.1".into(), "recovery".into())));
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    worker.cycle();
    assert_eq!(worker.in_force().map(|(tag, _)| tag).as_deref(), Some("v1.1.0"));
    person.in_clone(&["key", "revoke", "nobody"]).expect_code(3).says("it names ada@localhost");
}

#[test]
fn a_release_that_needs_two_people_waits_for_the_second() {
    let person = Person::with_grid();
    let ben = let_in(&person, "ben");
    person.write("nightshift.toml", "[trust]\nthreshold = 2\n");
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    let mut worker = Worker::of(&person);
    worker.cycle();
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0).says("1 approval is missing");
    assert_eq!(worker.cycle().held.len(), 1);
    let status = person.in_clone(&["release", "status"]).expect_code(0).says("v1.1.0 waits: 1 approval is missing");
    assert!(status.stdout.lines().any(|line| line.starts_with("v1.1.0") && line.contains("waiting")), "{status:?}");
    person.in_clone(&["release", "approve", "1.1.0"]).expect_code(0).says("1 approval is missing");

    sign_with(&person, &ben);
    let ended = person.in_clone(&["release", "approve", "1.1.0"]).expect_code(0).says("has everybody it needs");
    assert_eq!(ended.stdout, "approve/v1.1.0/ben\n");
    assert!(worker.cycle().switched);
    person.in_clone(&["release", "approve", "1.2.0"]).expect_code(3).says("has no v1.2.0");
}

#[test]
fn a_stranger_neither_approves_nor_promotes() {
    let person = Person::with_grid();
    person.write(
        "nightshift.toml",
        "[[rollout.ring]]\nname = \"ring-2\"\ntags = [\"early\"]\n[[rollout.ring]]\nname = \"all\"\n",
    );
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    let stranger = person.home().join("stranger");
    let key = new_key().expect("a key").to_openssh(LineEnding::LF).expect("text");
    fs::write(&stranger, key.as_bytes()).expect("written");
    let mine = person.signing_key();
    sign_with(&person, &stranger);
    let before = person.everything();
    for words in [&["release", "approve", "1.0.0"][..], &["release", "promote", "1.0.0", "ring-2"]] {
        person.in_clone(words).expect_code(4).says("workers would not count it");
    }
    assert_eq!(person.everything(), before);
    sign_with(&person, &mine);
    let ended = person.in_clone(&["release", "promote", "1.0.0", "ring-2"]).expect_code(0);
    assert_eq!(ended.stdout, "promote/v1.0.0/ring-2\n");
    let promotions = Worker::of(&person).cycle().promotions;
    assert_eq!(promotions, [], "a release that was taken needs none");
    let unknown = person.in_clone(&["release", "promote", "1.0.0", "ring-3"]).expect_code(3);
    unknown.says("v1.0.0 has no ring ring-3: its rings are ring-2, all");
    person.write("nightshift.toml", "# no rings\n");
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    person
        .in_clone(&["release", "promote", "1.1.0", "ring-2"])
        .expect_code(3)
        .says("v1.1.0 has no rings: every worker takes it in its next cycle");
}
