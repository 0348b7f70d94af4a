//! What the wasm runtime promises: to authors who keep to the ABI, and about modules that do not mean well.

use std::fs;
use std::path::Path;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{BlockError, Data, Host, Plugin, open};
use nightshift_testbed::wait::{SOON, until};
use nightshift_wire::{Outcome, Record, RecordResult, Records};
use tempfile::TempDir;

/// A release tree with one plugin `p`: input `name` (text), output `hits` (integer), 16 MB of memory, 1 s for a block.
fn tree(module: &str, more: &str) -> (TempDir, PluginManifest) {
    let tree = tempfile::tempdir().expect("a folder");
    let folder = tree.path().join("plugins/p");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("plugin.wat"), module).expect("a module");
    fs::create_dir(tree.path().join("data")).expect("a folder");
    fs::write(tree.path().join("data/people.csv"), "id,name\n1,Anna\n2,Bert\n3,Anna\n").expect("a table");
    let text = format!(
        "runtime = \"wasm\"\nmodule = \"plugin.wat\"\n[input]\nname = \"text\"\n[output]\nhits = \"integer\"\n\
         [limits]\nseconds_per_block = 1\nmemory = \"16MB\"\n{more}"
    );
    (tree, PluginManifest::parse("p", &text).expect("well formed"))
}

const DATA: &str = "[data]\nsource = \"repo\"\ntables = [\"people\"]\n";

fn opened(module: &str, more: &str) -> Result<Box<dyn Plugin>, String> {
    let (tree, manifest) = tree(module, more);
    open(tree.path(), &manifest, Data::Release, &Host::default()).map_err(|error| error.to_string())
}

/// A module whose `process` is `process`; everything else of it is as it should be.
fn module(process: &str, more: &str) -> String {
    format!(
        "(module {more} (memory (export \"memory\") 1)
           (func (export \"nightshift_abi\") (result i32) i32.const 1)
           (func (export \"alloc\") (param i32) (result i32) i32.const 1024)
           (func (export \"process\") (param $block i32) (param $length i32) (result i64) {process}))"
    )
}

/// Answers the record of a block of one with the number that `number` puts on the stack.
fn answering(number: &str, more: &str) -> String {
    let process = format!(
        "(i32.store8 (i32.const 0) (i32.const 0)) (i32.store (i32.const 1) (i32.const 1)) (i32.store (i32.const 5) (i32.const 1))
         (i64.store (i32.const 9) (i64.load (i32.const 1032))) (i32.store8 (i32.const 17) (i32.const 0))
         (i32.store8 (i32.const 18) (i32.const 1)) (i64.store (i32.const 19) {number}) (i64.const 27)"
    );
    module(&process, more)
}

fn block(names: &[&str]) -> Records {
    let records = (1..).zip(names).map(|(id, name)| Record { id, values: vec![(*name).to_owned()] });
    Records { columns: vec!["name".to_owned()], records: records.collect() }
}

/// What a block of one record comes to: its number, or its error.
fn one(plugin: &mut dyn Plugin) -> Result<i64, String> {
    let results = plugin.process(&block(&["Anna"])).map_err(|error| error.to_string())?;
    let [RecordResult { id: 1, outcome }] = &results[..] else { panic!("{results:?}") };
    match outcome {
        Outcome::Ok(values) => Ok(values["hits"].as_i64().expect("a number")),
        Outcome::Error(error) => Err(error.clone()),
    }
}

fn error_of(process: &str, more: &str) -> String {
    let mut plugin = opened(&module(process, more), "").expect("opens");
    one(&mut *plugin).expect_err("it does not mean well")
}

#[test]
fn a_guest_that_loops_for_ever_is_ended_when_its_time_is_over() {
    assert_eq!(error_of("(loop (br 0)) i64.const 0", ""), "it was not done after 1 s");
}

#[test]
fn a_guest_that_allocates_without_end_has_no_more_than_its_memory() {
    let process = "(loop (br_if 0 (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0)))) unreachable";
    let error = error_of(process, "");
    assert!(error.starts_with("it trapped: ") && error.contains("MB of memory and may have 16"), "{error}");
    let pages = "(loop (br_if 0 (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))) ";
    let counting = answering("(i64.extend_i32_u (memory.size))", "").replacen(
        "(i32.store8 (i32.const 0)",
        &format!("{pages}(i32.store8 (i32.const 0)"),
        1,
    );
    let pages = one(&mut *opened(&counting, "").expect("opens")).expect("it goes on with what it has");
    assert_eq!(pages, 16_000_000 / 65_536);
}

#[test]
fn a_guest_that_calls_itself_without_end_is_ended_before_the_stack_is() {
    let error = error_of("(call $deep (local.get $length)) drop i64.const 0", DEEP);
    assert_eq!(error, "its calls nest deeper than a stack of 512 KiB holds");
}

const DEEP: &str = "(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))";

#[test]
fn a_guest_whose_table_grows_without_end_has_no_more_than_a_table_may_have() {
    let process =
        "(loop (br_if 0 (i32.ge_s (table.grow $t (ref.null func) (i32.const 30000)) (i32.const 0)))) unreachable";
    let error = error_of(process, "(table $t 1 funcref)");
    assert!(error.contains("it wanted a table of 120001 elements and may have 100000"), "{error}");
}

#[test]
fn a_module_is_refused_by_name_when_it_is_not_what_the_abi_asks_for() {
    let good = module("i64.const 0", "");
    for (module, why) in [
        (
            module(
                "i64.const 0",
                "(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i32 i32 i32 i32) (result i32)))",
            ),
            "it imports wasi_snapshot_preview1.fd_write, and there is only query and log of nightshift",
        ),
        (module("i64.const 0", "(import \"nightshift\" \"secret\" (func))"), "it imports nightshift.secret"),
        (
            module("i64.const 0", "(import \"nightshift\" \"log\" (func))"),
            "its import log is not a function (i32, i32)",
        ),
        (good.replace("\"alloc\"", "\"malloc\""), "it does not export alloc, a function (i32) -> i32"),
        (
            good.replace("(param $block i32)", "(param i64)").replace("(param $length i32)", ""),
            "its export process is not a function (i32, i32) -> i64",
        ),
        (good.replace("\"memory\"", "\"mem\""), "it does not export its memory as memory"),
        (
            good.replace("i32.const 1)", "i32.const 2)"),
            "it is written for version 2 of the ABI, and this Nightshift knows version 1",
        ),
        (good.replace("\"memory\") 1", "\"memory\") 400"), "it wanted 27 MB of memory and may have 16"),
        (good.replace("(memory", "(memory 1) (memory"), "it does not compile"),
        ("(module (func".to_owned(), "it does not compile"),
        ("\0asm\x0d\0\x01\0".to_owned(), "it does not compile"),
        (
            module("i64.const 0", "(start $s) (func $s unreachable)"),
            "it trapped: wasm `unreachable` instruction executed",
        ),
        (module("i64.const 0", "(start $s) (func $s (loop (br 0)))"), "it was not done after 1 s"),
        (
            module("i64.const 0", "(func (export \"open\") (result i64) (loop (br 0)) i64.const 0)"),
            "it was not done after 5 s",
        ),
        (
            module(
                "i64.const 0",
                "(data (i32.const 8) \"no data\") (func (export \"open\") (result i64) i64.const 0x800000007)",
            ),
            "its open says: no data",
        ),
        (
            module("i64.const 0", "(func (export \"open\") (result i64) i64.const -1)"),
            "it returned 4294967295 bytes at 4294967295",
        ),
    ] {
        let error = opened(&module, "").err().unwrap_or_else(|| panic!("{why}: it opens"));
        assert!(error.starts_with("plugins/p/plugin.wat: ") && error.contains(why), "{why}: {error}");
    }
}

#[test]
fn a_module_beyond_all_measure_is_not_even_compiled() {
    let (tree, manifest) = tree("", "");
    let file = fs::File::create(tree.path().join("plugins/p/plugin.wat")).expect("a file");
    file.set_len(17 << 20).expect("a sparse file");
    let error = open(tree.path(), &manifest, Data::Release, &Host::default()).err().expect("too large");
    assert!(error.to_string().contains("the module has more than 16 MiB"), "{error}");
}

#[test]
fn places_outside_of_the_memory_and_lengths_that_lie_are_errors_and_nothing_is_read_there() {
    let huge = "(i32.store8 (i32.const 0) (i32.const 0)) (i32.store (i32.const 1) (i32.const 1)) \
                (i32.store (i32.const 5) (i32.const -1)) (i64.const 9)";
    for (process, why) in [
        ("i64.const 0xFFFFFFFF00000010", "it returned 16 bytes at 4294967295, and its memory has 65536"),
        ("i64.const 0x00000000FFFFFFFF", "it returned 4294967295 bytes at 0"),
        ("i64.const 0x0000FFF000000011", "it returned 17 bytes at 65520"),
        ("i64.const 0", "its answer ends in the middle of its kind"),
        (huge, "its answer ends in the middle of a record's id"),
        ("(i64.load (i32.const 0x10000))", "it trapped: out of bounds memory access"),
        // The block itself as the answer: two things at one place are bytes like any others.
        (
            "(i64.or (i64.const 0x40000000000) (i64.extend_i32_u (local.get $length)))",
            "its answer ends in the middle of why the block fails",
        ),
    ] {
        let error = error_of(process, "");
        assert!(error.contains(why), "{process}: {error}");
    }
    for place in ["0", "65530", "-1"] {
        let alloc = module("i64.const 0", "").replace("i32.const 1024", &format!("i32.const {place}"));
        let error = one(&mut *opened(&alloc, "").expect("opens")).expect_err("there is no room");
        assert!(error.starts_with("its alloc gave no place in its memory for "), "{error}");
    }
}

#[test]
fn an_instance_that_trapped_is_made_anew_and_keeps_nothing() {
    // Counts its calls, and traps at each second one: nobody sees the number 2.
    let counting = answering("(global.get $calls)", "(global $calls (mut i64) (i64.const 0))").replacen(
        "(i32.store8 (i32.const 0)",
        "(global.set $calls (i64.add (global.get $calls) (i64.const 1)))
         (if (i64.eq (global.get $calls) (i64.const 2)) (then unreachable)) (i32.store8 (i32.const 0)",
        1,
    );
    let mut plugin = opened(&counting, "").expect("opens");
    for _ in 0..3 {
        assert_eq!(one(&mut *plugin), Ok(1));
        assert!(one(&mut *plugin).is_err_and(|error| error.starts_with("it trapped")));
    }
}

#[test]
fn a_block_is_broken_off_from_another_thread_at_once() {
    let (tree, manifest) = tree(&module("(loop (br 0)) i64.const 0", ""), "");
    let manifest = PluginManifest { time_per_block: std::time::Duration::from_secs(3_600), ..manifest };
    let mut plugin = open(tree.path(), &manifest, Data::Release, &Host::default()).expect("opens");
    let stop = plugin.stopper();
    let working = std::thread::spawn(move || plugin.process(&block(&["a", "b"])).map(drop));
    // A stop between blocks does nothing: this one comes again until it meets the block.
    until("the block to be broken off", SOON, || {
        stop();
        working.is_finished().then_some(())
    })
    .expect("it is");
    let error = working.join().expect("no panic").expect_err("broken off").to_string();
    assert_eq!(error, "plugin p fails on this block: it was stopped");
}

/// Asks `sql` with the parameters at `parameters`, and adds one for each row of `columns` columns.
pub(crate) fn asking(sql: &str, parameters: &str, room: u32) -> String {
    let escaped = sql.replace('"', "\\\"");
    let more = format!(
        "(import \"nightshift\" \"query\" (func $query (param i32 i32 i32 i32 i32 i32 i32)))
         (data (i32.const 100) \"{escaped}\") (data (i32.const 600) \"{parameters}\") (global $rows (mut i64) (i64.const 0))
         (func (export \"rows\") (param $context i32) (param $place i32) (param $length i32) (result i32)
           (if (i32.ne (local.get $context) (i32.const 77)) (then unreachable))
           (global.set $rows (i64.add (global.get $rows) (i64.extend_i32_u (i32.load offset=4 (local.get $place)))))
           (i64.gt_u (global.get $rows) (i64.const 9999)))"
    );
    let bytes = parameters.matches('\\').count();
    answering("(global.get $rows)", &more).replacen(
        "(i32.store8 (i32.const 0)",
        &format!(
            "(global.set $rows (i64.const 0)) (call $query (i32.const 100) (i32.const {}) (i32.const 600) (i32.const {bytes})
               (i32.const 8192) (i32.const {room}) (i32.const 77)) (i32.store8 (i32.const 0)",
            sql.len()
        ),
        1,
    )
}

#[test]
fn a_guest_asks_its_tables_with_parameters_and_gets_the_rows_in_lots() {
    // One parameter, the text "1".
    let first = "\\01\\00\\00\\00\\03\\01\\00\\00\\00\\31";
    let mut plugin = opened(&asking("SELECT id, name FROM people WHERE id >= ?", first, 64), DATA).expect("opens");
    for _ in 0..3 {
        assert_eq!(one(&mut *plugin), Ok(3));
    }
    let mut none = opened(&asking("SELECT id FROM people WHERE name = 'x'", "", 64), DATA).expect("opens");
    assert_eq!(one(&mut *none), Ok(0));
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let mut enough = opened(&asking(endless, "", 98), DATA).expect("opens");
    assert_eq!(one(&mut *enough), Ok(10_000), "the guest breaks it off");
}

#[test]
fn a_query_that_cannot_be_answered_ends_the_run_with_its_reason() {
    for (sql, room, why) in [
        ("SELECT salary FROM people", 64, "the query failed: no such column: salary"),
        ("DELETE FROM people", 64, "the query failed: not allowed: changing people; a query may only read"),
        ("SELECT id FROM people WHERE id = ?", 64, "it has 1 parameters, and the plugin gave 0"),
        ("SELECT name FROM people", 16, "a row of a query takes 9 bytes, and it has room for 8"),
        ("SELECT name FROM people", 0, "it has room for 0"),
        (
            "SELECT count(*) FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)",
            64,
            "it was not done after 1 s",
        ),
    ] {
        let error = one(&mut *opened(&asking(sql, "", room), DATA).expect("opens")).expect_err(sql);
        assert!(error.contains(why), "{sql}: {error}");
    }
    let outside = asking("SELECT 1", "", 64).replace("(i32.const 8192)", "(i32.const 65530)");
    let error = one(&mut *opened(&outside, DATA).expect("opens")).expect_err("outside");
    assert!(error.contains("the place for rows is outside of its memory"), "{error}");
    for (room, shown) in [(1 << 20, "1048576"), (u32::MAX - 8191, "4294959104"), (u32::MAX, "4294967295")] {
        let large = asking("SELECT name FROM people", "", room)
            .replace(&format!("(i32.const {room})"), &format!("(i32.const {})", room as i32));
        let error = one(&mut *opened(&large, DATA).expect("opens")).expect_err("outside");
        assert!(
            error.contains(&format!("the place for rows is outside of its memory: {shown} bytes at 8192")),
            "{error}"
        );
    }
    let nested = asking("SELECT 1", "", 64).replace(
        "(if (i32.ne (local.get $context) (i32.const 77)) (then unreachable))",
        "(call $query (i32.const 100) (i32.const 8) (i32.const 0) (i32.const 0) (i32.const 8192) (i32.const 64) (i32.const 77))",
    );
    let error = one(&mut *opened(&nested, DATA).expect("opens")).expect_err("nested");
    assert!(error.contains("while it took the rows of another"), "{error}");
}

#[test]
fn what_a_guest_logs_is_its_own_memory_and_a_flood_of_it_costs_only_its_time() {
    let log = "(import \"nightshift\" \"log\" (func $log (param i32 i32)))";
    let outside = "(call $log (i32.const 65530) (i32.const 7)) i64.const 0";
    assert_eq!(error_of(outside, log), "a line for the log is outside of its memory: 7 bytes at 65530");
    let flood = "(loop (call $log (i32.const 0) (i32.const 4000)) (br 0)) i64.const 0";
    assert_eq!(error_of(flood, log), "it was not done after 1 s");
}

#[test]
fn a_plugin_that_fails_on_every_record_fails_the_block() {
    let mut plugin = opened(&module("unreachable", ""), "").expect("opens");
    let error = plugin.process(&block(&["a"; 20])).expect_err("it fails on all");
    assert!(matches!(&error, BlockError::Fails { reason, .. } if reason.starts_with("it trapped")), "{error}");
}

#[test]
fn a_module_comes_out_of_the_cache_as_it_went_in() {
    let (tree, manifest) = tree(&answering("(i64.const 42)", ""), "");
    let host = Host { cache: Some(tree.path().join("cache/wasm")), ..Host::default() };
    for _ in 0..2 {
        let mut plugin = open(tree.path(), &manifest, Data::Release, &host).expect("opens");
        assert_eq!(one(&mut *plugin), Ok(42));
        let kept: Vec<_> = fs::read_dir(tree.path().join("cache/wasm")).expect("a folder").flatten().collect();
        assert_eq!(kept.len(), 1);
        fs::write(kept[0].path(), "damage").expect("damages it");
    }
}

#[test]
fn the_template_of_a_module_passes_its_own_samples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/template");
    let report = nightshift_plugin::samples::run(&folder, &folder, &Host::default()).expect("runs");
    assert!(report.is_good() && report.records == 3, "{:?}", report.differences);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "runs the compiler as an author does")]
fn the_templates_source_in_c_builds_to_what_passes_the_samples_too() {
    let there = |program: &str| std::process::Command::new(program).arg("--version").output().is_ok();
    if !there("clang") || !there("wasm-ld") {
        println!("NOT RUN: clang and wasm-ld are not installed (Debian: clang, lld)");
        return;
    }
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
    let tree = tempfile::tempdir().expect("a folder");
    let folder = tree.path().join("shout");
    fs::create_dir_all(folder.join("samples")).expect("a folder");
    for file in ["plugin.toml", "plugin.c", "samples/records.csv", "samples/expected.csv"] {
        fs::copy(guests.join("template").join(file), folder.join(file)).expect("copies it");
    }
    fs::copy(guests.join("nightshift.h"), folder.join("nightshift.h")).expect("copies it");
    // The command stands in the source.
    let source = fs::read_to_string(folder.join("plugin.c")).expect("the source");
    let command = source.lines().find_map(|line| line.trim_start_matches([' ', '*']).strip_prefix("clang --target"));
    let arguments = format!("--target{}", command.expect("the command"));
    let built =
        std::process::Command::new("clang").args(arguments.split(' ')).current_dir(&folder).output().expect("starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let manifest =
        fs::read_to_string(folder.join("plugin.toml")).expect("the manifest").replace("plugin.wat", "plugin.wasm");
    fs::write(folder.join("plugin.toml"), manifest).expect("writes it");
    let report = nightshift_plugin::samples::run(&folder, &folder, &Host::default()).expect("runs");
    assert!(report.is_good() && report.records == 3, "{:?}", report.differences);
}

#[test]
fn the_echo_guest_gives_back_what_it_got() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/echo");
    let report = nightshift_plugin::samples::run(&folder, &folder, &Host::default()).expect("runs");
    assert!(report.is_good() && report.records == 3, "{:?}", report.differences);
    let text = fs::read_to_string(folder.join("plugin.toml")).expect("a manifest");
    let manifest = PluginManifest::parse("echo", &text).expect("well formed");
    let tree = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(tree.path().join("plugins/echo")).expect("a folder");
    fs::copy(folder.join("plugin.wat"), tree.path().join("plugins/echo/plugin.wat")).expect("copies it");
    let mut plugin = open(tree.path(), &manifest, Data::Release, &Host::default()).expect("opens");
    for length in [0, 1, 70_000, 3] {
        let texts: Vec<String> = (0..300).map(|n| "ä".repeat(length) + &n.to_string()).collect();
        let records = (0..).zip(&texts).map(|(id, text)| Record { id: -id, values: vec![text.clone()] }).collect();
        let results = plugin.process(&Records { columns: vec!["text".to_owned()], records }).expect("echoes");
        for (text, result) in texts.iter().zip(results) {
            assert!(matches!(&result.outcome, Outcome::Ok(values) if values["echo"].as_str() == Some(text)));
        }
    }
}
