//! One contract, three runtimes: the same small plugin, written for each in tests/guests/, is given the same records and
//! must come to the same results. What a record asks of it is its first letter.

use std::fs;
use std::path::Path;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{BlockError, Data, Plugin, open};
use nightshift_wire::{Outcome, Record, Records};
use tempfile::TempDir;

use crate::stage::host;

/// Runtime, what its manifest says more, its file in tests/guests/ and in its folder.
const RUNTIMES: [(&str, &str, &str, &str); 3] = [
    ("sql", "", "conformance.sql", "query.sqlite.sql"),
    ("wasm", "module = \"plugin.wat\"", "conformance.wat", "plugin.wat"),
    ("process", "command = [\"perl\", \"{folder}/plugin.pl\"]", "conformance.pl", "plugin.pl"),
];

/// So many seconds for a block are enough on a busy machine, where a program that failed has to be started again.
const ENOUGH: u32 = 60;

/// The plugin as each runtime has it.
fn plugins() -> Vec<(&'static str, TempDir, Box<dyn Plugin>)> {
    plugins_within(ENOUGH)
}

/// The same with so many seconds for a block.
fn plugins_within(seconds: u32) -> Vec<(&'static str, TempDir, Box<dyn Plugin>)> {
    let opened = |(runtime, ..): &(&'static str, _, _, _)| {
        let (tree, plugin) = plugin_within(seconds, runtime, "", "");
        (*runtime, tree, plugin.expect("opens"))
    };
    RUNTIMES.iter().map(opened).collect()
}

/// The plugin as `runtime` has it, its `text` replaced by `other`.
fn plugin(runtime: &str, text: &str, other: &str) -> (TempDir, Result<Box<dyn Plugin>, String>) {
    plugin_within(ENOUGH, runtime, text, other)
}

fn plugin_within(seconds: u32, runtime: &str, text: &str, other: &str) -> (TempDir, Result<Box<dyn Plugin>, String>) {
    let (_, more, from, to) = RUNTIMES.iter().find(|(known, ..)| *known == runtime).expect("a runtime");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(from);
    let source = fs::read_to_string(source).expect("the plugin");
    assert!(source.contains(text), "{from} has no {text}");
    let tree = tempfile::tempdir().expect("a folder");
    let folder = tree.path().join("plugins/p");
    fs::create_dir_all(&folder).expect("a folder");
    let source = if text.is_empty() { source } else { source.replace(text, other) };
    fs::write(folder.join(to), source).expect("writes the plugin");
    let more = more.replace("{folder}", &folder.display().to_string());
    let manifest = format!(
        "runtime = \"{runtime}\"\n{more}\n[input]\nwhat = \"text\"\nn = \"integer\"\nx = \"real\"\n\
         [output]\nsaid = \"text\"\nwhole = \"integer\"\npart = \"real\"\n[limits]\nseconds_per_block = {seconds}\n"
    );
    let manifest = PluginManifest::parse("p", &manifest).expect("well formed");
    let plugin = open(tree.path(), &manifest, Data::Release, &host()).map_err(|error| error.to_string());
    (tree, plugin)
}

/// Records of `what`, each with 7 and 1.5.
fn block(what: &[&str]) -> Records {
    records(&what.iter().map(|what| [*what, "7", "1.5"]).collect::<Vec<_>>())
}

fn records(values: &[[&str; 3]]) -> Records {
    let columns = ["what", "n", "x"].map(str::to_owned).to_vec();
    // Numbers that are no places.
    let record =
        |(index, values): (i64, &[&str; 3])| Record { id: 500 - 3 * index, values: values.map(str::to_owned).to_vec() };
    Records { columns, records: (0..).zip(values).map(record).collect() }
}

/// Results in short: the values, or the error.
fn shown(plugin: &mut dyn Plugin, block: &Records) -> Result<Vec<String>, BlockError> {
    let results = plugin.process(block)?;
    assert!(results.iter().map(|result| result.id).eq(block.records.iter().map(|record| record.id)), "{results:?}");
    let show = |outcome: &Outcome| match outcome {
        Outcome::Ok(values) => serde_json::to_string(values).expect("plain"),
        Outcome::Error(error) => format!("error: {error}"),
    };
    Ok(results.iter().map(|result| show(&result.outcome)).collect())
}

/// What a block of `what` comes to, one after the other, in every runtime.
fn everywhere_results_in(block: &Records, expected: &[&str]) {
    for (runtime, _tree, mut plugin) in plugins() {
        // An instance takes the next block as it took the first.
        for _ in 0..2 {
            let results = shown(&mut *plugin, block).unwrap_or_else(|error| panic!("{runtime}: {error}"));
            assert_eq!(results.len(), expected.len(), "{runtime}: {results:?}");
            for (found, expected) in results.iter().zip(expected) {
                assert!(
                    found == expected || found.starts_with("error: ") && is_reason(expected, found),
                    "{runtime}: {found}"
                );
            }
        }
    }
}

/// An error whose words are the runtime's own is written `error: ~`.
fn is_reason(expected: &str, found: &str) -> bool {
    expected == "error: ~" && found.len() > "error: ".len()
}

const GOOD: &str = r#"{"part":1.5,"said":"good","whole":7}"#;

#[test]
fn values_of_every_type_go_in_and_come_back() {
    let block = records(&[
        ["good", "7", "1.5"],
        ["good", "-9223372036854775808", "-0.25"],
        ["", "9223372036854775807", "1e300"],
        ["Grüße, 世界 \u{10ffff}", "0", "0.5"],
        ["quote \" and \\ and \u{1}", "1", "0.1"],
        ["nulls", "", ""],
    ]);
    everywhere_results_in(
        &block,
        &[
            GOOD,
            r#"{"part":-0.25,"said":"good","whole":-9223372036854775808}"#,
            r#"{"part":1e+300,"said":"","whole":9223372036854775807}"#,
            "{\"part\":0.5,\"said\":\"Grüße, 世界 \u{10ffff}\",\"whole\":0}",
            r#"{"part":0.1,"said":"quote \" and \\ and \u0001","whole":1}"#,
            r#"{"said":"nulls"}"#,
        ],
    );
}

#[test]
fn a_value_that_is_no_number_never_reaches_the_plugin() {
    let block = records(&[["poison", "x", "1.5"], ["good", "7", "1.5"], ["poison", "1", "NaN"]]);
    let integer = "error: column n is \"x\", which is not of type integer";
    everywhere_results_in(&block, &[integer, GOOD, "error: column x is \"NaN\", which is not of type real"]);
}

#[test]
fn a_record_that_is_missing_repeated_or_wrong_has_an_error_of_its_own() {
    for (what, says) in [
        ("error 5", "error 5"),
        ("missing", "the plugin returned no result for this record"),
        ("twice", "the plugin returned 2 results for this record"),
        ("wrong", "the plugin returned the text \"wrong\" as whole, which [output] declares as integer"),
        ("big", "the plugin returned 6 MiB for this record, and a result holds 4 at most"),
    ] {
        let expected = format!("error: {says}");
        for (runtime, _tree, mut plugin) in plugins() {
            let results = shown(&mut *plugin, &block(&["good", what, "good"])).expect("the block has results");
            // SQLite's hex makes a little more than 5 MiB, the others exactly that.
            let found = [results[1].clone(), results[1].replace("returned 5 MiB", "returned 6 MiB")];
            assert!(found.contains(&expected), "{runtime}: {results:?}");
            assert_eq!((&*results[0], &*results[2]), (GOOD, GOOD), "{runtime}");
        }
    }
}

#[test]
fn a_column_that_output_does_not_declare_is_refused_where_the_runtime_sees_it_first() {
    let (_tree, query) = plugin("sql", "x AS part", "x AS part, 1 AS extra");
    let error = query.err().expect("a query shows its columns when it is opened");
    assert!(error.contains("the query returns extra, which [output] does not name"), "{error}");
    let (_tree, module) = plugin("wasm", "(i32.const 0x100001) (i32.const 3)", "(i32.const 0x100001) (i32.const 4)");
    let results = shown(&mut *module.expect("opens"), &block(&["good"])).expect("one record fails by itself");
    assert_eq!(results, ["error: its answer has 4 columns, and [output] declares 3"]);
    let (_tree, program) = plugin("process", "", "");
    let results = shown(&mut *program.expect("opens"), &block(&["column", "good"])).expect("the block has results");
    assert_eq!(results, ["error: the plugin returned column extra, which [output] does not declare", GOOD]);
}

#[test]
fn a_block_with_more_results_than_a_job_can_hold_fails() {
    for (runtime, _tree, mut plugin) in plugins() {
        let error = shown(&mut *plugin, &block(&["large"; 20])).expect_err(runtime);
        assert!(matches!(&error, BlockError::TooMuch { .. }), "{runtime}: {error}");
    }
}

#[test]
fn text_that_is_not_utf_8_is_an_error_of_its_record() {
    everywhere_results_in(&block(&["good", "u"]), &[GOOD, "error: ~"]);
}

#[test]
fn a_poisonous_record_costs_no_other_its_result() {
    let mut what = ["good"; 40];
    what[13] = "poison";
    let mut expected = [GOOD; 40];
    expected[13] = "error: ~";
    everywhere_results_in(&block(&what), &expected);
}

#[test]
fn a_record_that_hangs_costs_no_other_its_result() {
    for (runtime, _tree, mut plugin) in plugins_within(6) {
        let results = shown(&mut *plugin, &block(&["good", "hang"])).expect("the block has results");
        assert_eq!(results[0], GOOD, "{runtime}");
        assert!(results[1].contains("was not done after 5 s"), "{runtime}: {results:?}");
    }
}

#[test]
fn a_plugin_that_answers_for_a_record_it_was_not_given_is_not_believed_at_all() {
    for (runtime, _tree, mut plugin) in plugins() {
        let error = shown(&mut *plugin, &block(&["good", "foreign"])).expect_err(runtime);
        assert!(matches!(&error, BlockError::ForeignRow { found, .. } if found == "999"), "{runtime}: {error}");
        let results = shown(&mut *plugin, &block(&["good"])).expect("the next block is another matter");
        assert_eq!(results, [GOOD], "{runtime}");
    }
}

#[test]
fn a_plugin_that_fails_on_everything_fails_the_block_with_the_reason() {
    for (runtime, _tree, mut plugin) in plugins() {
        let error = shown(&mut *plugin, &block(&["poison"; 8])).expect_err(runtime);
        assert!(matches!(&error, BlockError::Fails { reason, .. } if !reason.is_empty()), "{runtime}: {error}");
    }
}

#[test]
fn an_empty_block_has_no_results_and_a_record_twice_is_refused() {
    everywhere_results_in(&block(&[]), &[]);
    for (runtime, _tree, mut plugin) in plugins() {
        let mut twice = block(&["good", "good"]);
        twice.records[1].id = twice.records[0].id;
        let error = shown(&mut *plugin, &twice).expect_err(runtime);
        assert!(matches!(error, BlockError::RepeatedRecord { .. }), "{runtime}: {error}");
    }
}
