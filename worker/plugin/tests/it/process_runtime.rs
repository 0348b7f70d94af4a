//! The `process` runtime with real programs, written in perl because every Debian has it.

use std::fs;
use std::time::Duration;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{BlockError, Data, Host, Plugin, open};
use nightshift_testbed::grid::processes_in;
use nightshift_testbed::wait::{SOON, until};
use nightshift_wire::{Outcome, Record, Records};
use tempfile::TempDir;

/// Answers twice the number, after `more` has run.
const TWICE: &str = "$| = 1; while (my $l = <STDIN>) { my @r; while ($l =~ /\"id\":(\\d+),\"n\":(\\d+)/g) { push @r, \
                     qq({\"id\":$1,\"ok\":{\"twice\":) . 2 * $2 . '}}' } print '{\"results\":[' . join(',', @r) . \"]}\\n\" }";

fn plugin(script: &str, seconds: u32) -> (TempDir, Box<dyn Plugin>) {
    let tree = tempfile::tempdir().expect("a folder");
    let folder = tree.path().join("plugins/twice");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("twice.pl"), script).expect("a file");
    let text = format!(
        "runtime = \"process\"\ncommand = [\"perl\", \"{}\"]\n[input]\nn = \"integer\"\n[output]\ntwice = \"integer\"\n\
         [limits]\nseconds_per_block = {seconds}\n",
        folder.join("twice.pl").display()
    );
    let manifest = PluginManifest::parse("twice", &text).expect("well formed");
    let plugin = open(tree.path(), &manifest, Data::Release, &Host::default()).expect("opens");
    (tree, plugin)
}

fn block(numbers: &[&str]) -> Records {
    let records = (1..).zip(numbers).map(|(id, n)| Record { id, values: vec![(*n).to_owned()] });
    Records { columns: vec!["n".to_owned()], records: records.collect() }
}

#[test]
fn a_program_answers_block_after_block_and_runs_on_between_them() {
    let (_tree, mut plugin) = plugin(&format!("my $n = 0; {TWICE}"), 60);
    for _ in 0..3 {
        let results = plugin.process(&block(&["1", "x", "3"])).expect("answers");
        let values: Vec<String> = results.iter().map(|result| serde_json::to_string(result).expect("plain")).collect();
        assert_eq!(values[0], r#"{"id":1,"ok":{"twice":2}}"#);
        assert!(matches!(&results[1].outcome, Outcome::Error(why) if why.contains("not of type integer")));
        assert_eq!(values[2], r#"{"id":3,"ok":{"twice":6}}"#);
    }
}

#[test]
fn a_program_that_hangs_is_ended_with_what_it_started_and_started_again() {
    let script = format!("unless (-e 'been') {{ open F, '>', 'been'; fork; fork; sleep 1000 }} {TWICE}");
    let (tree, mut plugin) = plugin(&script, 1);
    let error = plugin.process(&block(&["1"])).expect_err("it hangs");
    assert!(matches!(&error, BlockError::Fails { reason, .. } if reason.contains("not done after 1 s")), "{error}");
    assert_eq!(processes_in(tree.path()), [], "nothing of it is left");
    assert_eq!(plugin.process(&block(&["4"])).expect("started again").len(), 1);
}

#[test]
fn a_program_that_dies_lies_or_babbles_fails_the_block() {
    for (script, why) in [
        ("exit 3", "it ended instead of answering"),
        ("print \"hello\\n\"; <STDIN>; sleep 1000", "its answer is not"),
        (
            "<STDIN>; print '{\"results\":[{\"id\":99,\"ok\":{}}]}' . \"\\n\"; $| = 1; print ''; sleep 1000",
            "record_id 99",
        ),
    ] {
        let (tree, mut plugin) = plugin(&format!("$| = 1; {script}"), 60);
        let error = plugin.process(&block(&["1"])).expect_err(script);
        assert!(error.to_string().contains(why), "{script}: {error}");
        assert_eq!(processes_in(tree.path()), []);
    }
}

#[test]
fn a_block_is_broken_off_from_another_thread() {
    let (tree, mut plugin) = plugin("fork; sleep 1000", 600);
    let stop = plugin.stopper();
    let working = std::thread::spawn(move || plugin.process(&block(&["1"])).map(|results| results.len()));
    until("both processes to run", SOON, || (processes_in(tree.path()).len() == 2).then_some(())).expect("run");
    stop();
    assert!(working.join().expect("no panic").is_err());
    until("none to run", Duration::from_secs(60), || processes_in(tree.path()).is_empty().then_some(()))
        .expect("ended");
}

#[test]
fn dropping_a_plugin_ends_its_program() {
    let (tree, mut plugin) = plugin(&format!("fork; {TWICE}"), 60);
    plugin.process(&block(&["1"])).expect("answers");
    assert!(!processes_in(tree.path()).is_empty());
    drop(plugin);
    assert_eq!(processes_in(tree.path()), []);
}
