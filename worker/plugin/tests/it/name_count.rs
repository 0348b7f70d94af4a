//! The sample that counts names, in its other runtimes: the same answers as the query's, on people and names of all kinds.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{Data, Host, open, samples};
use nightshift_testbed::people::{self, Names, Person};
use nightshift_wire::{Outcome, Record, Records};
use tempfile::TempDir;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

fn query() -> PathBuf {
    Path::new(CRATE).join("../../release/cli/samples/plugins/name-count")
}

fn module() -> PathBuf {
    Path::new(CRATE).join("guests/name-count-wasm")
}

/// A tree with `people`, and in plugins/ the files of each of `folders`.
fn tree(people: &[Person], folders: &[PathBuf]) -> TempDir {
    let tree = tempfile::tempdir().expect("a folder");
    for from in folders {
        let to = tree.path().join("plugins").join(from.file_name().expect("a name"));
        fs::create_dir_all(&to).expect("a folder");
        for entry in fs::read_dir(from).expect("the plugin's files").flatten() {
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).expect("copies it");
            }
        }
    }
    fs::create_dir(tree.path().join("data")).expect("a folder");
    let table = File::create(tree.path().join("data/people.csv")).expect("a table");
    people::write_people(people, table).expect("writes the table");
    tree
}

/// What `plugin` of `tree` answers for `names`, in blocks of `block`.
fn answers(tree: &Path, plugin: &str, names: &[String], block: usize) -> Vec<Outcome> {
    let text = fs::read_to_string(tree.join("plugins").join(plugin).join("plugin.toml")).expect("a manifest");
    let manifest = PluginManifest::parse(plugin, &text).expect("well formed");
    let mut plugin = open(tree, &manifest, Data::Release, &Host::default()).expect("opens");
    let mut outcomes = Vec::new();
    for names in names.chunks(block) {
        let records = (1..).zip(names).map(|(id, name)| Record { id, values: vec![name.clone()] }).collect();
        let results = plugin.process(&Records { columns: vec!["name".to_owned()], records }).expect("processes");
        outcomes.extend(results.into_iter().map(|result| result.outcome));
    }
    outcomes
}

/// Names of people, parts of them, parts that run over words, other cases, and what looks like syntax.
fn names(people: &[Person], count: usize) -> Vec<String> {
    let awkward =
        ["", " ", "  ", "%", "_", "a", "AN", "O'", "a\"b\\c", "  anna   w ", "É", "de la", "x\ty", "\u{10ffff}"];
    let mut names: Vec<String> = awkward.map(str::to_owned).into();
    names.push("a".repeat(5_000));
    // A generator of its own, the same each time.
    let mut random = 2024_u64;
    let mut below = |most: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % most.max(1)
    };
    while names.len() < count {
        let name: Vec<char> = people[below(people.len())].fields.name().chars().collect();
        let from = below(name.len());
        let part = &name[from..from + below(name.len() - from + 1)];
        let name = match below(4) {
            0 => name.iter().collect::<String>(),
            1 => part.iter().collect(),
            2 => part.iter().collect::<String>().to_uppercase(),
            _ => part.iter().rev().collect(),
        };
        names.push(name);
    }
    names
}

#[test]
fn the_module_passes_the_samples_of_the_query() {
    for file in ["samples/records.csv", "samples/expected.csv", "samples/people.csv"] {
        let read = |folder: PathBuf| fs::read(folder.join(file)).expect("a sample");
        assert!(read(query()) == read(module()), "{file} is not the same");
    }
    let report = samples::run(&module(), &query(), &Host::default()).expect("runs");
    let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    assert!(report.is_good() && report.records >= 7, "{differences:#?}");
}

#[test]
fn the_module_counts_exactly_as_the_query_does() {
    for seed in [3, 4] {
        let people = people::people(2_500, seed);
        let names = names(&people, 1_500);
        let tree = tree(&people, &[query(), module()]);
        let (queried, counted) =
            (answers(tree.path(), "name-count", &names, 250), answers(tree.path(), "name-count-wasm", &names, 700));
        for ((name, queried), counted) in names.iter().zip(&queried).zip(&counted) {
            assert_eq!(queried, counted, "{name:?}");
        }
    }
}

#[test]
fn the_module_counts_large_blocks_as_it_counts_small_ones() {
    let people = people::people(4_000, 9);
    let names = names(&people, 9_000);
    let tree = tree(&people, &[module()]);
    let (plainly, blocks) = (Names::of(&people), [9_000, 250, 4_500]);
    let answers = blocks.map(|block| answers(tree.path(), "name-count-wasm", &names, block));
    assert!(answers[0] == answers[1] && answers[0] == answers[2]);
    for (name, outcome) in names.iter().zip(&answers[0]).step_by(17) {
        let (whole, words) = plainly.count(name);
        let expected = [("name_count".to_owned(), whole.into()), ("word_counts".to_owned(), words.into())];
        assert_eq!(*outcome, Outcome::Ok(expected.into()), "{name:?}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "runs the compiler as an author does")]
fn the_module_is_what_its_source_builds() {
    let there = |program: &str| std::process::Command::new(program).arg("--version").output().is_ok();
    if !there("clang") || !there("wasm-ld") {
        println!("NOT RUN: clang and wasm-ld are not installed (Debian: clang, lld)");
        return;
    }
    let people = people::people(300, 5);
    let built = tree(&people, &[module()]);
    let to = built.path().join("plugins/name-count-wasm/plugin.wasm");
    fs::remove_file(&to).expect("is there");
    let built_it = std::process::Command::new(module().join("build")).arg(&to).output().expect("starts");
    assert!(built_it.status.success(), "{}", String::from_utf8_lossy(&built_it.stderr));
    let names = names(&people, 400);
    let committed = tree(&people, &[module()]);
    let [rebuilt, committed] = [&built, &committed].map(|tree| answers(tree.path(), "name-count-wasm", &names, 400));
    assert_eq!(rebuilt, committed);
}
