//! A release that is tried while one core ends and another begins. In a process of its own, because whatever is below it
//! counts.
#![expect(clippy::disallowed_methods, reason = "the test needs processes that do not end by themselves")]

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use nightshift_contract::handoff::HostArgs;
use nightshift_contract::layout::StateDir;
use nightshift_engine::{Check as _, Checked, Release};
use nightshift_kin::Roots;
use nightshift_launcher::installed::Installed;
use nightshift_launcher::self_check::SelfCheck;
use nightshift_manifest::binaries::Program;
use nightshift_manifest::version::ReleaseVersion;
use nightshift_testbed::wait;

/// None of it takes so long.
const SOON: Duration = Duration::from_secs(60);

/// A core that works until it is killed.
fn core(mark: &str) -> Child {
    let start = || {
        let mut command = Command::new("sleep");
        nightshift_kin::mark(command.arg("3600"), mark);
        let child = command.spawn()?;
        let pid = child.id();
        io::Result::Ok((child, pid))
    };
    nightshift_kin::start_family(mark, start).expect("sleep is there")
}

/// A release whose samples have begun when `begun` is there, and pass when `go` is.
fn release(state: &StateDir, begun: &Path, go: &Path) -> Release {
    let version = ReleaseVersion::new(1, 6, 0);
    let slot = state.slots().join(version.tag());
    let program = slot.join("bin").join(Program::Core.file_name());
    fs::create_dir_all(slot.join("bin")).expect("made");
    let samples = format!("touch {}\nwhile [ ! -e {} ]; do sleep 0.1; done", begun.display(), go.display());
    fs::write(&program, format!("#!/bin/sh\n{samples}\n")).expect("written");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("a program");
    let none = String::new;
    Release { version, tag: version.tag(), tag_id: none(), commit: none(), tree_id: none(), signer: none(), slot }
}

#[test]
fn a_release_that_is_tried_and_cores_that_end_and_begin_beside_it_leave_each_other_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = StateDir::new(folder.path().join("state"));
    let (begun, go) = (folder.path().join("begun"), folder.path().join("go"));
    let check = SelfCheck {
        installed: Installed::new(Some(folder.path().join("nightshift-worker")), PathBuf::new(), PathBuf::new()),
        state: state.clone(),
        host: HostArgs::default(),
        break_off: Arc::new(|| false),
    };
    let staged = release(&state, &begun, &go);
    let mut old = core("the old core");
    let trial = std::thread::spawn(move || check.check(&staged));
    wait::until("the samples to begin", SOON, || begun.exists().then_some(())).expect("they are tried");

    let me = std::process::id();
    let roots = Roots { below: Some(me), mark: Some("the old core"), spare: &[me], ..Roots::default() };
    let ended = nightshift_kin::end(&roots, &[old.id()], SOON).expect("nothing survives");
    assert_eq!(ended.killed, 1, "the old core");
    assert!(old.wait().is_ok_and(|status| !status.success()));

    let mut new = core("the new core");
    fs::write(&go, "").expect("written");
    let tried = trial.join().expect("tried");
    assert!(matches!(tried, Checked::Passed), "{tried:?}");
    assert!(new.try_wait().expect("our child").is_none(), "the new core works on");
    new.kill().and_then(|()| new.wait()).expect("ended");
}
