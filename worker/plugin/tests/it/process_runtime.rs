//! The `process` runtime with real programs, written in perl because every Debian has it.

use std::fs;
use std::time::Duration;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{BlockError, Data, open, speed};
use nightshift_testbed::wait::{SOON, until};

use crate::stage::{Stage, block, host, host_without_a_fence, in_each_sandbox, said};

#[test]
fn a_program_answers_block_after_block_and_runs_on_between_them() {
    in_each_sandbox(|host| {
        let stage = Stage::poisoned("return ++$main::count");
        let mut plugin = stage.open(host).expect("opens");
        for round in 1..4 {
            let results = plugin.process(&block(&["a", "poison", "\u{e4}"])).expect("answers");
            assert_eq!(
                results.iter().map(said).collect::<Vec<_>>(),
                ["fine".to_owned(), round.to_string(), "fine".to_owned()]
            );
        }
        assert_eq!(stage.processes().len(), 1);
        drop(plugin);
        assert_eq!(stage.processes().len(), 0, "dropping a plugin ends its program");
    });
}

#[test]
fn a_program_may_have_huge_pages_although_its_worker_does_without() {
    rustix::thread::disable_transparent_huge_pages(true).expect("every kernel knows of it");
    in_each_sandbox(|host| {
        let stage = Stage::poisoned("");
        let mut plugin = stage.open(host).expect("opens");
        plugin.process(&block(&["a"])).expect("answers");
        for program in stage.processes() {
            let status = fs::read_to_string(format!("/proc/{program}/status")).expect("it runs");
            // Kernels before 5.0, and those without huge pages, say nothing.
            assert!(!status.contains("THP_enabled:\t0"), "{status}");
        }
    });
}

#[test]
fn a_large_block_goes_there_and_back_through_pipes_that_are_smaller() {
    let stage = Stage::with(
        "$| = 1; while (my $l = <STDIN>) { $l =~ s/\"records\"/\"results\"/; $l =~ s/\"n\":(\"[^\"]*\")/\"ok\":{\"said\":$1}/g; print $l }",
    );
    let text = "x".repeat(3_000);
    let said = stage.run(&host(), &vec![text.as_str(); 2_000]).expect("6 MB each way");
    assert!(said.len() == 2_000 && said.iter().all(|said| *said == text));
}

#[test]
fn a_program_that_ended_between_two_blocks_is_started_again_and_no_record_pays_for_it() {
    let stage = Stage::poisoned("$SIG{ALRM} = sub { exit 0 }; alarm 1; return 'dying'");
    let mut plugin = stage.open(&host()).expect("opens");
    assert_eq!(said(&plugin.process(&block(&["poison"])).expect("answers")[0]), "dying");
    until("the program to end", SOON, || stage.is_over().then_some(())).expect("it ends");
    assert_eq!(said(&plugin.process(&block(&["a"])).expect("answers")[0]), "fine");
}

#[test]
fn a_program_that_ends_before_it_reads_a_block_is_started_again_and_no_record_pays_for_it() {
    // It ends as soon as there is another line, and leaves that unread.
    let ends = "my $r = ''; vec($r, fileno(STDIN), 1) = 1; select($r, undef, undef, undef); exit";
    let stage = Stage::with(&format!(
        "$| = 1; while (my $l = <STDIN>) {{ $l =~ s/\"records\"/\"results\"/; \
         $l =~ s/\"n\":(\"[^\"]*\")/\"ok\":{{\"said\":$1}}/g; print $l; {ends} }}"
    ));
    let mut plugin = stage.open(&host()).expect("opens");
    for text in ["a", "b", "c"] {
        assert_eq!(said(&plugin.process(&block(&[text])).expect("answers")[0]), text);
    }
}

#[test]
fn a_block_is_broken_off_from_another_thread_at_once_and_the_next_one_works() {
    let stage = Stage::poisoned("fork; sleep 1000");
    let mut plugin = stage.open(&host()).expect("opens");
    let stop = plugin.stopper();
    let working = std::thread::spawn(move || {
        let stopped = plugin.process(&block(&["a", "poison", "b"]));
        (stopped, plugin.process(&block(&["a"])).map(|results| said(&results[0])))
    });
    until("both processes to run", SOON, || (stage.processes().len() == 2).then_some(())).expect("run");
    stop();
    let (stopped, next) = working.join().expect("no panic");
    assert!(matches!(stopped, Err(BlockError::Stopped { .. })), "{stopped:?}");
    assert_eq!(next.expect("works"), "fine");
}

/// A plugin with data, whose program answers the line about them with the perl expression `answer`.
fn with_data(answer: &str) -> Stage {
    let stage = Stage::with(&format!(
        "$| = 1; my $open = <STDIN>; my ($file) = $open =~ /\"people\":\"([^\"]*)\"/; open my $f, '<', $file or die \"$file: $!\";\n\
         my @rows = <$f>; print {answer} . \"\\n\"; while (my $l = <STDIN>) {{ $l =~ /\"id\":(\\d+)/;\n\
         print '{{\"results\":[{{\"id\":' . $1 . ',\"ok\":{{\"said\":\"' . @rows . \" rows\\\"}}}}]}}\\n\" }}"
    ));
    fs::create_dir(stage.path().join("data")).expect("a folder");
    fs::write(stage.path().join("data/people.csv"), "name\nanna\nbob\n").expect("a file");
    stage
}

#[test]
fn a_program_with_data_opens_them_before_its_first_block() {
    in_each_sandbox(|host| {
        let mut stage = with_data("'{\"opened\":true}'");
        stage.limits = "[data]\nsource = \"repo\"\ntables = [\"people\"]".to_owned();
        let mut plugin = stage.open(host).expect("opens");
        assert_eq!(stage.processes().len(), 1, "it runs before its first block");
        assert_eq!(said(&plugin.process(&block(&["a"])).expect("answers")[0]), "3 rows");
    });
}

#[test]
fn a_program_that_cannot_open_its_data_is_no_plugin_and_says_why() {
    for (answer, why) in [
        ("'{\"error\":\"a column is missing\"}'", "opening its data: a column is missing"),
        ("'ready'", "it should answer {\"opened\":true}"),
        ("die('no module')", "it ended instead of answering"),
    ] {
        let mut stage = with_data(answer);
        stage.limits = "[data]\nsource = \"repo\"\ntables = [\"people\"]".to_owned();
        let error = stage.open(&host()).err().expect(answer).to_string();
        assert!(error.contains(why) && error.contains("plugin p"), "{answer}: {error}");
        assert!(!answer.contains("die") || error.contains("it said last: no module"), "{error}");
        assert_eq!(stage.processes().len(), 0);
    }
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let stage = Stage::with("");
    let text =
        "runtime = \"process\"\ncommand = [\"no-such-program\"]\n[input]\nn = \"text\"\n[output]\nsaid = \"text\"\n";
    let manifest = PluginManifest::parse("p", text).expect("well formed");
    let why = open(stage.path(), &manifest, Data::Release, &host()).err().expect("does not open").to_string();
    assert!(why.contains("there is no no-such-program in ") && why.contains("install it on every worker"), "{why}");
}

#[test]
fn where_nothing_keeps_programs_from_files_only_those_that_are_allowed_by_name_run() {
    let stage = Stage::poisoned("return 'ran'");
    let mut host = host_without_a_fence();
    let refused = stage.open(&host).err().expect("refused").to_string();
    assert!(refused.contains("allow_unsandboxed = [\"p\"]") && refused.contains("install bubblewrap"), "{refused}");
    host.allow_unsandboxed = vec!["p".to_owned()];
    assert_eq!(stage.run(&host, &["poison"]).expect("allowed"), ["ran"]);
}

#[test]
fn the_memory_that_is_told_of_a_program_is_its_own() {
    in_each_sandbox(|host| {
        let stage = Stage::poisoned("").with_lines(
            "our $kept //= 'x' x 64e6; my @r = map { qq({\"id\":$_,\"ok\":{\"said\":\"x\"}}) } /\"id\":(-?\\d+)/g; print '{\"results\":[' . \
             join(',', @r) . \"]}\\n\"",
        );
        let (folder, manifest) = (stage.path().join("plugins/p"), stage.manifest());
        let measured = speed::measure(
            (&folder, stage.path()),
            &manifest,
            &block(&["a"]),
            (Data::Release, Duration::from_millis(500)),
            host,
        );
        let speed = measured.expect("it runs").expect("a record has a result");
        assert!((64_000_000..256_000_000).contains(&speed.memory), "{} bytes", speed.memory);
        assert!(speed.records >= 250 && !speed.worked.is_zero(), "{speed:?}");
    });
}
