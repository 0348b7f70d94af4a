//! Plugins that are programs in several languages, on their own samples: examples for authors, and the benchmark's.
#![allow(clippy::disallowed_methods, reason = "compiles programs, and waits for the compiler")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nightshift_plugin::samples;

use crate::stage::in_each_sandbox;

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests")
}

fn release() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../release/cli")
}

/// A tree with the plugin `name`: the files in `folders`, one after the other.
fn tree_of(name: &str, folders: &[PathBuf]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().expect("a folder");
    let plugin = tree.path().join("plugins").join(name);
    fs::create_dir_all(plugin.join("samples")).expect("a folder");
    for folder in folders {
        for (from, to) in [(folder.clone(), plugin.clone()), (folder.join("samples"), plugin.join("samples"))] {
            for file in fs::read_dir(from).into_iter().flatten().flatten().filter(|entry| entry.path().is_file()) {
                fs::copy(file.path(), to.join(file.file_name())).expect("a file");
            }
        }
    }
    tree
}

/// Whether the machine has the program; says so when it has not.
fn has(program: &str, package: &str) -> bool {
    let there = ["/usr/bin", "/usr/local/bin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists());
    if !there {
        writeln!(std::io::stderr(), "\nNOT RUN: plugins that need {program}: install {package}")
            .expect("standard error");
    }
    there
}

fn passes(name: &str, tree: &Path) {
    in_each_sandbox(|host| {
        let report = samples::run(&tree.join("plugins").join(name), tree, host).expect(name);
        let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
        assert!(report.is_good() && report.records >= 2, "{name}: {differences:#?}");
    });
}

/// Compiles a guest's C into the program `program` of its plugin.
fn compile(tree: &Path, name: &str, program: &str, sources: &[&str]) {
    let sources = sources.iter().map(|source| guests().join(source));
    let out = tree.join("plugins").join(name).join(program);
    let compiled = Command::new("cc").arg("-O2").arg("-Wall").arg("-Werror").arg("-o").arg(out).args(sources).status();
    assert!(compiled.expect("cc, which the build needs, too").success());
}

#[test]
fn name_count_in_php_passes_the_samples_of_the_query() {
    if has("php", "php-cli") {
        passes("name-count-php", tree_of("name-count-php", &[guests().join("name-count-php")]).path());
    }
}

#[test]
fn a_plugin_in_python_passes_its_samples() {
    if has("python3", "python3") {
        passes("initials-python", tree_of("initials-python", &[guests().join("initials-python")]).path());
    }
}

#[test]
fn the_template_of_a_program_passes_its_samples() {
    if has("python3", "python3") {
        let tree = tree_of("new-one", &[release().join("templates/plugin-process")]);
        passes("new-one", tree.path());
    }
}

#[test]
fn name_count_as_a_native_program_passes_the_samples_of_the_query() {
    let query = release().join("samples/plugins/name-count");
    for file in ["samples/records.csv", "samples/expected.csv", "samples/people.csv"] {
        let read = |folder: &Path| fs::read(folder.join(file)).expect("a sample");
        assert!(read(&query) == read(&guests().join("name-count-native")), "{file} is not the same");
    }
    let tree = tree_of("name-count-native", &[guests().join("name-count-native")]);
    compile(tree.path(), "name-count-native", "count", &["name-count-native/main.c", "name-count/matcher.c"]);
    passes("name-count-native", tree.path());
}

#[test]
fn the_smallest_native_program_echoes_whatever_it_gets() {
    let tree = tree_of("echo-native", &[guests().join("echo-native")]);
    compile(tree.path(), "echo-native", "echo", &["echo-native/main.c"]);
    passes("echo-native", tree.path());
    let samples = tree.path().join("plugins/echo-native/samples");
    let texts = ["plain", "\u{e4} \u{1f600}", "a \\ \u{1}", "\"\"\"quoted\"\", and\nmore\""].join("\n");
    fs::write(samples.join("records.csv"), format!("said\n{texts}\n")).expect("a file");
    fs::write(samples.join("expected.csv"), format!("heard\n{texts}\n")).expect("a file");
    passes("echo-native", tree.path());
}
