//! Real processes that hide, and what is left of them. They are perl scripts, because every Debian has perl.
#![allow(clippy::disallowed_methods, reason = "starts the processes that hide; every one of them is ended")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nightshift_kin::{Roots, end, is_left};
use nightshift_testbed::wait::{SOON, until};
use tempfile::TempDir;

/// What a script does when it is set up: says so in the file it was given.
const READY: &str = "sub ready { open my $f, '>', $ARGV[0]; close $f; }";

/// The children that tests wait for. They share a process, and whoever ends a family there buries ended children.
static WAITED_FOR: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn start(command: &mut Command) -> Child {
    let mut waited_for = WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn().expect("the program is there");
    waited_for.push(child.id());
    child
}

fn waited_for() -> Vec<u32> {
    WAITED_FOR.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

struct Stage {
    folder: TempDir,
    mark: String,
}

impl Stage {
    fn new(name: &str) -> Stage {
        Stage { folder: tempfile::tempdir().expect("a folder"), mark: format!("{name}-{}", std::process::id()) }
    }

    fn ready(&self) -> PathBuf {
        self.folder.path().join("ready")
    }

    fn keeper(&self, script: &str, hold: bool) -> Child {
        let me = std::env::current_exe().expect("this test");
        let keeper = me.parent().and_then(Path::parent).expect("target folder").join("examples/keeper");
        let mut command = Command::new(keeper);
        let script = format!("use POSIX; {READY} {script}");
        command.arg(&self.mark).arg(self.ready()).arg(script).stdin(Stdio::piped());
        if hold {
            command.arg("hold");
        }
        start(&mut command)
    }

    fn roots(&self) -> Roots<'_> {
        Roots { mark: Some(&self.mark), ..Roots::default() }
    }

    fn set_up(&self) {
        until("the script to be set up", SOON, || self.ready().exists().then_some(())).expect("set up");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = end(&self.roots(), &waited_for(), Duration::from_secs(30));
    }
}

/// The keeper ends a script's family; what must not be left is looked for by the mark and by the file that `held` names.
fn is_ended(name: &str, script: &str) {
    let stage = Stage::new(name);
    let mut keeper = stage.keeper(script, false);
    let status = keeper.wait().expect("our child");
    assert_eq!(status.code(), Some(0), "{name}: something is left");
    assert_eq!(is_left(&stage.roots()).expect("/proc"), [] as [u32; 0], "{name}");
    let processes = nightshift_testbed::grid::processes_in(stage.folder.path());
    assert!(processes.is_empty(), "{name}: {processes:?}");
}

#[test]
fn a_process_that_leaves_its_group_is_ended() {
    is_ended("group", "setpgrp(0, 0); ready(); sleep 1000;");
}

#[test]
fn a_process_that_leaves_its_session_and_forks_twice_is_ended() {
    is_ended("twice", "exit if fork; setsid(); exit if fork; chdir $ARGV[0] =~ s{/[^/]*$}{}r; ready(); sleep 1000;");
}

#[test]
fn a_process_that_ignores_every_signal_it_can_is_ended() {
    is_ended("deaf", "$SIG{$_} = 'IGNORE' for grep { !/KILL|STOP|NUM/ } keys %SIG; ready(); sleep 1000 while 1;");
}

#[test]
fn a_process_that_renames_itself_and_throws_its_environment_away_is_ended() {
    is_ended(
        "renamed",
        "exit if fork; setsid(); $0 = 'systemd' . ('x' x 4000); %ENV = (); if (fork) { ready(); sleep 1000 } exec 'env', '-i', 'sleep', '1000';",
    );
}

#[test]
fn a_process_that_has_frozen_itself_is_ended() {
    is_ended("frozen", "if (fork) { sleep 1000 } ready(); kill 'STOP', $$; sleep 1000;");
}

#[test]
fn a_process_that_forks_on_and_on_and_ends_each_time_is_outrun() {
    // Each generation lives as long as its fork takes and leads a session of its own. Should it get away, it ends some time.
    is_ended("comet", "my $n = 0; while ($n < 100_000) { my $p = fork; exit if $p; setsid(); ready() if ++$n == 50; }");
}

#[test]
fn a_process_that_starts_more_and_more_is_outrun() {
    is_ended(
        "bush",
        "my $n = 0; while ($n < 100_000) { my $p = fork; if (defined $p && !$p) { setsid(); fork; sleep 1000; exit } ready() if ++$n == 30; select undef, undef, undef, 0.001; }",
    );
}

#[test]
fn what_is_left_when_everybody_who_watched_was_killed_is_found_by_its_mark() {
    let stage = Stage::new("leftover");
    let mut keeper = stage.keeper("exit if fork; setsid(); exit if fork; ready(); system('sleep 1000');", true);
    stage.set_up();
    keeper.kill().expect("ours");
    keeper.wait().expect("ours");
    let two = || (is_left(&stage.roots()).ok()?.len() >= 2).then_some(());
    until("perl and sleep to be left over", SOON, two).expect("they outlive the keeper");
    end(&stage.roots(), &waited_for(), Duration::from_secs(30)).expect("ended");
    assert_eq!(is_left(&stage.roots()).expect("/proc"), [] as [u32; 0]);
}

#[test]
fn somebody_elses_processes_are_left_alone() {
    let stage = Stage::new("ours");
    let mut other = start(Command::new("sleep").arg("1000"));
    let mut keeper = stage.keeper("ready(); sleep 1000;", false);
    assert!(keeper.wait().expect("our child").success());
    assert!(other.try_wait().expect("our child").is_none(), "it runs on");
    other.kill().expect("ours");
    other.wait().expect("ours");
}

#[test]
fn a_process_that_throws_its_environment_away_is_known_by_its_limit_when_nobody_else_is_left() {
    let stage = Stage::new("bare");
    let script = "%ENV = (); setsid(); fork and exit; exec '/bin/sh', '-c', 'touch \"$0\"; exec sleep 3600', $ARGV[0];";
    let mut keeper = stage.keeper(script, true);
    stage.set_up();
    keeper.kill().expect("our child");
    keeper.wait().expect("our child");
    assert_eq!(is_left(&stage.roots()).expect("/proc is there").len(), 1);
}
