//! docs/TRUST.md promises tests; they are there, also those that every store has to pass.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of all functions below a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let bare =
                |line: &str| line.trim().trim_start_matches("pub(crate) ").trim_start_matches("async ").to_owned();
            let name = |line: &str| Some(bare(line).strip_prefix("fn ")?.split_once('(')?.0.to_owned());
            found.extend(text.lines().filter_map(name));
        }
    }
}

#[test]
fn every_test_that_the_trust_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/TRUST.md")).expect("the page");
    let mut found = BTreeSet::new();
    for shelf in ["updater", "worker", "jobserver", "release"] {
        functions(&root.join(shelf), &mut found);
    }
    let is_test = |words: &&str| words.matches('_').count() >= 3;
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(named.len() > 50, "{}", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !found.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
