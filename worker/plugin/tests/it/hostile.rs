//! Programs that do what no plugin should, in each sandbox that this machine offers: each gets a named error, on its record, its
//! block or at its opening, and nothing that it should not touch is touched.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use nightshift_plugin::{BlockError, Host};

use crate::stage::{Stage, block, has_a_view, host, in_each_sandbox, said};

/// The memory that this process has ever had at once, in bytes, stays below this.
const OUR_MEMORY: u64 = 1 << 30;

/// Runs a poisonous record between two good ones, which get their results; what became of the poisonous one.
fn poison(stage: &Stage, host: &Host) -> String {
    let mut said = stage.run(host, &["a", "poison", "b"]).expect("a block whose other records are good");
    assert_eq!((said.remove(0), said.pop().expect("three")), ("fine".to_owned(), "fine".to_owned()));
    said.remove(0)
}

fn limited(evil: &str, limits: &str) -> Stage {
    Stage { limits: limits.to_owned(), ..Stage::poisoned(evil) }
}

fn our_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn a_program_that_loops_costs_its_record_an_error() {
    in_each_sandbox(|host| {
        let why = poison(&limited("1 while 1", "seconds_per_block = 2"), host);
        assert!(why.starts_with("error: it was not done after 2 s"), "{why}");
    });
}

#[test]
fn a_program_that_allocates_without_end_is_refused_memory() {
    in_each_sandbox(|host| {
        let why = poison(&limited("my @a; push @a, 'x' x 1e6 while 1", "memory = \"64MB\""), host);
        assert!(why.contains("it ended instead of answering") && why.contains("Out of memory"), "{why}");
    });
}

#[test]
fn processes_that_take_too_much_together_are_ended() {
    in_each_sandbox(|host| {
        let evil = "for (1..8) { unless (fork) { my $x = 'x' x 3e7; sleep 1000 } } sleep 1000";
        let why = poison(&limited(evil, "memory = \"96MB\""), host);
        assert!(why.contains("of memory together, and may take 96"), "{why}");
    });
}

#[test]
fn a_program_that_forks_without_end_gets_so_many_processes_and_all_of_them_are_ended() {
    in_each_sandbox(|host| {
        let evil = "my $n = 0; while (defined(my $pid = fork)) { sleep 1000 unless $pid; $n++ } return $n";
        let forked: u32 = poison(&Stage::poisoned(evil), host).parse().expect("a number");
        // An ordinary user's other processes count as well, as they come and go.
        assert!((64..192).contains(&forked), "{forked} processes");
    });
}

#[test]
fn a_program_that_forks_as_fast_as_it_can_is_ended_with_all_of_them() {
    in_each_sandbox(|host| {
        let why = poison(&limited("while (1) { fork }", "seconds_per_block = 2"), host);
        assert!(why.contains("it was not done after 2 s") || why.contains("of memory together"), "{why}");
    });
}

#[test]
fn what_leaves_group_and_session_and_parents_is_ended_with_the_program() {
    // Behind landlock alone orphans are found by whoever adopts them, as the core does: worker/kin and the stories of the kill
    // switch are about that.
    in_each_sandbox(|host| {
        if !has_a_view(host) {
            return;
        }
        let evil = "use POSIX; pipe(my $r, my $w); unless (fork) { setsid(); unless (fork) { setsid(); $SIG{$_} = 'IGNORE' for keys %SIG; \
                    syswrite $w, 'x'; close $w; sleep 1000 } exit } close $w; sysread $r, my $x, 1; return 'hidden'";
        assert_eq!(poison(&Stage::poisoned(evil), host), "hidden");
    });
}

#[test]
fn a_program_writes_nowhere_but_to_its_scratch_folder() {
    let outside = tempfile::tempdir().expect("a folder");
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o777)).expect("ours");
    in_each_sandbox(|host| {
        let stage = Stage::poisoned("");
        let places = [
            outside.path().join("x"),
            stage.path().join("x"),
            stage.path().join("plugins/p/x"),
            "/etc/x".into(),
            "/usr/x".into(),
        ];
        // In a view of its own it may write into what looks like these folders, because they are below its /tmp.
        let seen = places.iter().filter(|place| !has_a_view(host) || !place.starts_with("/tmp"));
        let list = places.each_ref().map(|place| format!("'{}'", place.display())).join(",");
        let evil = format!(
            "my @w; for ({list}, '/dev/x', '/x') {{ push @w, $_ if open my $f, '>', $_ }} \
                    open my $s, '>', \"$ENV{{TMPDIR}}/its-own\" or push @w, 'not even scratch'; return \"wrote: @w\""
        );
        let stage = stage.with_evil(&evil);
        let wrote = poison(&stage, host);
        assert!(wrote.starts_with("wrote:") && !wrote.contains("not even"), "{wrote}");
        assert!(seen.into_iter().all(|place| !wrote.contains(&*place.to_string_lossy())), "{wrote}");
        assert!(places.iter().all(|place| !place.exists()));
    });
}

#[test]
fn a_program_cannot_change_its_own_plugin() {
    in_each_sandbox(|host| {
        let evil = "return truncate('p.pl', 0) || (open my $f, '>>', 'p.pl') || unlink('p.pl') || rename('p.pl', 'q.pl') || chmod(0777, '.') ? 'changed' : 'kept'";
        let stage = Stage::poisoned(evil);
        let before = fs::read(stage.script()).expect("a script");
        assert_eq!(poison(&stage, host), "kept");
        assert_eq!(fs::read(stage.script()).expect("a script"), before);
    });
}

#[test]
fn a_program_reads_neither_the_workers_keys_nor_its_memory() {
    let state = tempfile::tempdir().expect("a folder");
    let key = state.path().join("credential");
    fs::write(&key, "secret").expect("a file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("ours");
    let worker = std::process::id();
    in_each_sandbox(|host| {
        let evil = format!(
            "my @r; for ('{}', '/proc/{worker}/environ', '/proc/{worker}/mem', '/proc/{worker}/maps', '/etc/shadow') {{ push @r, $_ if \
             open my $f, '<', $_ and defined sysread $f, my $x, 1 }} opendir my $d, '{}' and push @r, 'folder'; return \"read: @r\"",
            key.display(),
            state.path().display()
        );
        assert_eq!(poison(&Stage::poisoned(&evil), host), "read: ");
    });
}

#[test]
fn a_program_has_an_environment_of_its_own() {
    in_each_sandbox(|host| {
        let evil = "delete $ENV{PWD}; return join ' ', sort keys %ENV";
        assert_eq!(poison(&Stage::poisoned(evil), host), "HOME LANG PATH TMPDIR");
    });
}

/// Perl that says which kinds of sockets it gets, and whether it reaches the port.
fn sockets(port: u16) -> String {
    format!(
        "use Socket; my @s; push @s, 'inet' if socket(my $i, PF_INET, SOCK_STREAM, 0); push @s, 'unix' if socket(my $u, PF_UNIX, \
         SOCK_STREAM, 0); push @s, 'connected' if $i && connect($i, pack_sockaddr_in({port}, inet_aton('127.0.0.1'))); return \"got: @s\""
    )
}

#[test]
fn a_program_gets_no_socket_and_reaches_no_job_server_unless_it_declares_the_network() {
    let job_server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    job_server.set_nonblocking(true).expect("a socket");
    let evil = sockets(job_server.local_addr().expect("an address").port());
    in_each_sandbox(|host| {
        assert_eq!(poison(&Stage::poisoned(&evil), host), "got: ");
        assert_eq!(job_server.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
        let declared = Stage { top: "network = true".to_owned(), ..Stage::poisoned(&evil) };
        assert_eq!(poison(&declared, host), "got: inet unix connected");
        job_server.accept().expect("somebody came");
    });
}

#[test]
fn a_program_that_returns_too_few_too_many_or_foreign_results_is_found_out() {
    let answer = |results: &str| format!("print '{{\"results\":[{results}]}}' . \"\\n\"; next");
    in_each_sandbox(|host| {
        let too_few = Stage::poisoned("").with_lines(&answer(""));
        let said = too_few.run(host, &["a", "b"]).expect("each record has its error");
        assert_eq!(said, vec!["error: the plugin returned no result for this record"; 2]);
        let good = "{\"id\":1,\"ok\":{\"said\":\"x\"}}";
        let repeated = Stage::poisoned("").with_lines(&answer(&format!("{good},{good}")));
        assert_eq!(
            repeated.run(host, &["a"]).expect("an error"),
            ["error: the plugin returned 2 results for this record"]
        );
        let foreign = Stage::poisoned("").with_lines(&answer("{\"id\":99,\"ok\":{}}"));
        let error = foreign.run(host, &["a"]).expect_err("nothing can be trusted");
        assert!(matches!(error, BlockError::ForeignRow { .. }), "{error}");
    });
}

#[test]
fn a_program_that_does_not_answer_in_utf_8_costs_its_record_an_error() {
    in_each_sandbox(|host| {
        assert_eq!(poison(&Stage::poisoned("return \"\\xff\""), host), "error: its answer is not UTF-8");
    });
}

#[test]
fn output_without_end_is_neither_kept_nor_waited_for() {
    in_each_sandbox(|host| {
        let one_line = poison(&Stage::poisoned("my $x = 'x' x 1e6; print $x while 1"), host);
        assert!(one_line.contains("it answered with more than 5 MiB"), "{one_line}");
        let lines = poison(&Stage::poisoned("my $x = \"x\\n\" x 1e6; print $x while 1"), host);
        assert!(lines.contains("it answered with more than one line"), "{lines}");
        let errors = limited("my $x = \"x\\n\" x 1e6; print STDERR $x while 1", "seconds_per_block = 2");
        let errors = poison(&errors, host);
        assert!(errors.contains("it was not done after 2 s") && errors.contains("it said last: x | x | x"), "{errors}");
        assert!(our_memory() < OUR_MEMORY, "{} bytes", our_memory());
    });
}

#[test]
fn a_program_that_dies_at_its_start_says_why_in_its_own_words() {
    in_each_sandbox(|host| {
        let error = Stage::with("die \"no such module\\n\"").run(host, &["a"; 8]).expect_err("fails on everything");
        let words = error.to_string();
        assert!(
            words.contains("it ended instead of answering") && words.contains("it said last: no such module"),
            "{words}"
        );
    });
}

#[test]
fn a_program_that_dies_in_the_middle_costs_the_record_at_fault_an_error() {
    in_each_sandbox(|host| {
        let exits = poison(&Stage::poisoned("exit 7"), host);
        assert!(exits.contains("it ended instead of answering (exit status: 7)"), "{exits}");
        let crashes = poison(&Stage::poisoned("kill 'SEGV', $$; sleep 1000"), host);
        assert!(crashes.contains("it ended instead of answering"), "{crashes}");
    });
}

#[test]
fn what_a_program_says_unasked_is_nobodys_answer() {
    in_each_sandbox(|host| {
        let two = poison(&Stage::poisoned("print qq({\"results\":[]}\\n) x 2; exit"), host);
        assert!(two.contains("error: it answered with more than one line"), "{two}");
        let early = Stage::with(
            "$| = 1; print qq({\"results\":[{\"id\":1,\"ok\":{\"said\":\"lie\"}}]}\\n); sleep 1000 while <STDIN>",
        );
        let mut plugin = early.open(host).expect("opens");
        let first = plugin.process(&block(&["a"])).expect("one record");
        assert!(
            ["lie"].contains(&said(&first[0]).as_str()) || said(&first[0]).contains("before it was asked"),
            "{first:?}"
        );
    });
}

#[test]
fn a_program_fills_its_scratch_folder_and_no_disk() {
    in_each_sandbox(|host| {
        let evil = "my $x = 'x' x 1e6; my $n = 0; OUT: while (1) { open my $f, '>', \"$ENV{TMPDIR}/\" . $n or last; for (1..50) { \
                    defined(syswrite $f, $x) and ++$n or last OUT } } return \"wrote $n\"";
        let result = poison(&Stage::poisoned(evil), host);
        match result.strip_prefix("wrote ") {
            Some(number) => assert!(number.parse::<u32>().expect("a number") <= 270, "{result} MB"),
            None => assert!(result.contains("MB in its scratch folder"), "{result}"),
        }
        assert!(has_a_view(host) || result.starts_with("error"), "on disk it is ended: {result}");
    });
}

#[test]
fn a_program_neither_signals_nor_traces_the_worker_or_another_program() {
    let worker = std::process::id();
    let neighbour = Stage::poisoned("return $$");
    let mut other = neighbour.open(&host()).expect("opens");
    other.process(&block(&["a"])).expect("answers");
    // These alone, and never whatever can be seen: where a sandbox fails, a test kills nobody else's processes.
    let others = neighbour.processes();
    assert_eq!(others.len(), 1, "the neighbour runs");
    let others = others.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    in_each_sandbox(|host| {
        // 101 is ptrace on x86-64, and something harmless or unknown elsewhere; 16 is attach.
        let evil = format!(
            "my @d; push @d, 'signalled' if kill 0, {worker}; push @d, 'traced' if syscall(101, 16, {worker}, 0, 0) == 0; \
             push @d, 'killed' if kill 'KILL', {others}; return \"did: @d\""
        );
        assert_eq!(poison(&Stage::poisoned(&evil), host), "did: ");
        assert_eq!(said(&other.process(&block(&["a"])).expect("still runs")[0]), "fine");
        assert_eq!(neighbour.processes().len(), 1, "and was not started again");
    });
}

#[test]
fn a_program_inherits_no_file_that_whoever_started_the_worker_left_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = fs::File::create(folder.path().join("left-open")).expect("a file");
    // As a shell leaves it to what it starts.
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("set");
    in_each_sandbox(|host| {
        let evil = "opendir my $d, '/proc/self/fd'; my @o = grep { m,left-open, } map { readlink \"/proc/self/fd/$_\" // '' } readdir $d; \
                    return 'left: ' . @o";
        assert_eq!(poison(&Stage::poisoned(evil), host), "left: 0");
    });
}

/// Numbers of utimensat and ioctl; those of the newer calls are the same everywhere.
#[cfg(target_arch = "x86_64")]
const UTIMENSAT_AND_IOCTL: (i32, i32) = (280, 16);
#[cfg(not(target_arch = "x86_64"))]
const UTIMENSAT_AND_IOCTL: (i32, i32) = (88, 29);

#[test]
fn a_program_changes_no_mode_time_or_attribute_of_a_file_that_is_the_workers() {
    let (utimensat, ioctl) = UTIMENSAT_AND_IOCTL;
    // FS_IOC_SETFLAGS, FS_IOC_SETVERSION, FS_IOC_FSSETXATTR.
    let by_device = [0x4008_6602_u32, 0x4008_7602, 0x401C_5820];
    let by_device = by_device.map(|request| format!("[{ioctl}, fileno($f), {request}, $long]")).join(", ");
    let evil = format!(
        "my ($p, $n, $long) = ('p.pl', 'user.x', \"\\0\" x 64); open my $f, '<', $p or return 'cannot even read'; \
         my @calls = ([463, -100, $p, 0, $n, $long, 16], [466, -100, $p, 0, $n], [469, -100, $p, $long, 24, 0], \
         [{utimensat}, -100, $p, 0, 0], {by_device}); \
         my @got = map {{ my @c = @$_; $! = 0; syscall(shift @c, @c) == 0 ? 'done' : $! + 0 }} @calls; \
         push @got, chmod(0777, $p) ? 'done' : $! + 0, utime(1, 1, $p) ? 'done' : $! + 0; return \"@got\""
    );
    in_each_sandbox(|host| {
        let stage = Stage::poisoned(&evil);
        let before = fs::metadata(stage.script()).expect("a script");
        let got = poison(&stage, host);
        assert!(!got.contains("done") && !got.contains("cannot"), "{got}");
        // Beside the worker's own user landlock has no rule about these, and so the filter of calls says no to each of them.
        if !rustix::process::geteuid().is_root() && !has_a_view(host) {
            assert_eq!(got, ["1"; 9].join(" "), "each is not permitted");
        }
        let after = fs::metadata(stage.script()).expect("a script");
        assert_eq!((after.permissions(), after.modified().ok()), (before.permissions(), before.modified().ok()));
    });
}
