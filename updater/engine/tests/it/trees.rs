//! Hostile trees are refused before a byte of them is written.

use git2::ObjectType;
use nightshift_engine::Rule;

use crate::fixture::{Fixture, rules};

/// A signed v1.6.0 with these entries in its tree; what the refusal says.
fn refused_tree(entries: &[(&str, u32)]) -> String {
    let mut fixture = Fixture::with_1_5_0_in_force();
    for (path, mode) in entries {
        fixture.central.put_with_mode(path, "../../etc", *mode).expect("put");
    }
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Tree)]);
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
    assert_eq!(std::fs::read_dir(fixture.state.slots()).expect("slots").count(), 1);
    assert_eq!(sync.refused[0].signer.as_deref(), Some("release.manager@example.com"));
    sync.refused[0].found.clone()
}

const FILE: u32 = 0o100644;

#[test]
fn a_symbolic_link_is_refused() {
    assert_eq!(refused_tree(&[("data/link", 0o120000)]), "\"data/link\" is a symbolic link");
}

#[test]
fn a_submodule_is_refused() {
    assert_eq!(refused_tree(&[("vendor", 0o160000)]), "\"vendor\" is a submodule");
}

#[test]
fn a_path_that_leads_out_is_refused() {
    assert_eq!(refused_tree(&[("../evil", FILE)]), "\"..\" leads out of its folder");
    assert_eq!(refused_tree(&[("data/../../evil", FILE)]), "\"data/..\" leads out of its folder");
}

#[test]
fn an_absolute_path_is_refused() {
    assert_eq!(refused_tree(&[("/etc/passwd", FILE)]), "the tree is an empty name or an absolute path");
}

#[test]
fn gits_own_folder_is_refused() {
    assert_eq!(refused_tree(&[(".GIT/config", FILE)]), "\".GIT\" is git's own folder");
}

#[test]
fn names_that_differ_by_case_alone_are_refused() {
    assert!(refused_tree(&[("data/a", FILE), ("data/A", FILE)]).contains("at most by upper and lower case"));
}

#[test]
fn a_tree_that_multiplies_itself_is_refused() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let mut tree = fixture.central.write_object(ObjectType::Blob, b"").expect("written");
    for depth in 0..8 {
        let mode = if depth == 0 { "100644" } else { "40000" };
        let entry = |name: &str| [format!("{mode} {name}\0").as_bytes(), tree.as_bytes()].concat();
        let raw = ["a", "b", "c", "d"].map(entry).concat();
        tree = fixture.central.write_object(ObjectType::Tree, &raw).expect("written");
    }
    let commit = fixture.central.commit_tree("refs/heads/main", tree).expect("committed");
    fixture.central.cut_commit("1.6.0", commit).expect("cut");
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Tree)]);
    assert!(sync.refused[0].found.contains("more than 20000"), "{}", sync.refused[0]);
}

#[test]
fn a_manifest_without_measure_is_refused() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.central.put("keys/allowed_signers", "#".repeat((1 << 20) + 1)).expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Tree)]);
    assert!(sync.refused[0].found.contains("\"keys/allowed_signers\" is larger than"), "{}", sync.refused[0]);
}

/// A signed v1.6.0 whose `data` is the given raw tree, wrapped in folders; what the refusal says.
fn refused_folder(raw: &[u8], wraps: usize, name: &str) -> String {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let mut tree = fixture.central.write_object(ObjectType::Tree, raw).expect("written");
    for _ in 0..wraps {
        let raw = [format!("40000 {name}\0").as_bytes(), tree.as_bytes()].concat();
        tree = fixture.central.write_object(ObjectType::Tree, &raw).expect("written");
    }
    let commit = fixture.central.commit_tree("refs/heads/main", tree).expect("committed");
    fixture.central.cut_commit("1.6.0", commit).expect("cut");
    let sync = fixture.cycle();
    assert_eq!(rules(&sync.refused), [("v1.6.0", Rule::Tree)]);
    sync.refused[0].to_string()
}

#[test]
fn an_empty_folder_is_refused_because_no_slot_could_hold_it_as_signed() {
    assert!(refused_folder(b"", 1, "data").contains("\"data\" is an empty folder"));
}

#[test]
fn folders_without_end_are_refused_before_they_fill_the_memory() {
    let refusal = refused_folder(b"", 2000, &"d".repeat(250));
    assert!(refusal.contains("is too long"), "{refusal}");
    assert!(refusal.len() < 1000, "and said in few words");
    assert!(refused_folder(b"", 2000, "d").contains("is too deep"));
}
