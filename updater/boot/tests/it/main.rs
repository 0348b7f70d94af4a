//! What the built `nightshift-worker` does, beside a launcher that only says how it was started.
#![allow(clippy::disallowed_methods, reason = "these tests run the program itself")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

mod trial;

/// An installation: boot, and beside it a launcher that prints its arguments and ends with 8; and one in `broken/` that
/// lacks the launcher; and a launcher for slots, which says its slot's name and does what the file beside it says. Made once, before any process is started: a program that is still open for writing in a forked child cannot be run.
fn installed() -> &'static TempDir {
    static INSTALLED: OnceLock<TempDir> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let broken = folder.path().join("broken");
        fs::create_dir(&broken).expect("created");
        for place in [folder.path(), &broken] {
            fs::copy(env!("CARGO_BIN_EXE_nightshift-worker"), place.join("nightshift-worker")).expect("copied");
        }
        let launcher = folder.path().join("nightshift-launcher");
        fs::write(&launcher, "#!/bin/sh\necho \"$@\" \"$$\"\nexit 8\n").expect("written");
        fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).expect("a program");
        let of_a_slot = folder.path().join("launcher-of-a-slot");
        fs::write(&of_a_slot, "#!/bin/sh\nbin=${0%/*}\nslot=${bin%/*}\necho ${slot##*/}\n. $bin/does\n")
            .expect("written");
        fs::set_permissions(&of_a_slot, fs::Permissions::from_mode(0o755)).expect("a program");
        folder
    })
}

fn boot(arguments: &[&str]) -> Output {
    Command::new(installed().path().join("nightshift-worker")).args(arguments).output().expect("runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A configuration whose state folder does not exist yet.
fn config(folder: &Path) -> String {
    let file = folder.join("worker.toml");
    fs::write(&file, format!("state_dir = \"{}\"\n", folder.join("state").display())).expect("written");
    file.to_str().expect("text").to_owned()
}

#[test]
fn boot_becomes_the_launcher_and_passes_on_command_and_configuration() {
    for command in ["run", "status", "doctor"] {
        let mut child = Command::new(installed().path().join("nightshift-worker"));
        let child =
            child.args([command, "--config", "/w.toml"]).stdout(std::process::Stdio::piped()).spawn().expect("runs");
        let pid = child.id();
        let output = child.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(8), "the launcher's exit code");
        let boot = installed().path().join("nightshift-worker").canonicalize().expect("a program");
        let launcher = boot.with_file_name("nightshift-launcher");
        let (boot, launcher) = (boot.display(), launcher.display());
        let same_process = format!("{command} --config /w.toml --boot {boot} --launcher {launcher} {pid}\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), same_process);
    }
}

#[test]
fn stop_works_without_a_launcher_and_before_the_first_cycle() {
    installed();
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let alone = Command::new(env!("CARGO_BIN_EXE_nightshift-worker"))
        .args(["stop", "--reason", "the fan is loud", "--config", &config])
        .output()
        .expect("runs");
    assert_eq!(alone.status.code(), Some(0), "{}", stderr(&alone));
    assert!(stderr(&alone).contains("nightshift-worker start lets it go on"));
    let file = folder.path().join("state/STOP");
    assert_eq!(fs::read_to_string(&file).expect("stopped"), "the fan is loud\n");

    assert_eq!(boot(&["start", "--config", &config]).status.code(), Some(0));
    assert!(!file.exists());
    let again = boot(&["start", "--config", &config]);
    assert_eq!(again.status.code(), Some(0));
    assert!(stderr(&again).contains("was not stopped here"));
}

#[test]
fn a_stop_without_a_reason_is_a_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    assert_eq!(boot(&["stop", "--config", &config]).status.code(), Some(0));
    assert!(folder.path().join("state/STOP").exists());
}

#[test]
fn a_stop_writes_into_no_file_that_was_there_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let state = folder.path().join("state");
    fs::create_dir(&state).expect("created");
    let others = folder.path().join("somebody else's");
    fs::write(&others, "all of it").expect("written");
    fs::hard_link(&others, state.join("STOP")).expect("the same file under another name");
    std::os::unix::fs::symlink(&others, state.join(".STOP.new")).expect("linked");
    let stopped = boot(&["stop", "--reason", "noise", "--config", &config]);
    assert_eq!(stopped.status.code(), Some(0), "{}", stderr(&stopped));
    assert_eq!(fs::read_to_string(&others).expect("there"), "all of it");
    assert_eq!(fs::read_to_string(state.join("STOP")).expect("stopped"), "noise\n");
}

#[test]
fn a_configuration_that_cannot_be_read_ends_with_2_and_says_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = boot(&["stop", "--config", "/nowhere/worker.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("reading /nowhere/worker.toml: "), "{}", stderr(&missing));

    let file = folder.path().join("worker.toml");
    fs::write(&file, "\nstate_dir = here\n").expect("written");
    let unread = boot(&["stop", "--config", file.to_str().expect("text")]);
    assert_eq!(unread.status.code(), Some(2));
    assert!(stderr(&unread).contains("worker.toml, line 2: "), "{}", stderr(&unread));
}

#[test]
fn a_stop_goes_to_the_folder_the_launcher_uses_or_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, decoy) = (folder.path().join("worker.toml"), folder.path().join("decoy"));
    let text = format!("repository = \"\"\"\nstate_dir = \"{}\"\n\"\"\"\n", decoy.display());
    fs::write(&file, text).expect("written");
    let refused = boot(&["stop", "--config", file.to_str().expect("text")]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("worker.toml, line 1: a text in three quotes"), "{}", stderr(&refused));
    assert!(!decoy.exists());
}

#[test]
fn the_launcher_is_found_through_a_link_to_boot() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("nightshift-worker");
    std::os::unix::fs::symlink(installed().path().join("nightshift-worker"), &link).expect("linked");
    let output = Command::new(&link).args(["run"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(8), "{}", stderr(&output));
}

#[test]
fn a_missing_launcher_is_named() {
    let broken = &installed().path().join("broken").join("nightshift-worker");
    let output = Command::new(broken).arg("run").output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("broken/nightshift-launcher: "), "{}", stderr(&output));
}

#[test]
fn the_manual_names_every_command() {
    let output = boot(&["--help"]);
    let manual = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    for word in ["run", "status", "doctor", "stop", "start", "--config", "--reason"] {
        assert!(manual.contains(word), "{word}");
    }
    assert_eq!(boot(&["dance"]).status.code(), Some(2));
}

#[test]
fn whatever_is_named_stop_stays_a_stop_and_can_be_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let stop = folder.path().join("state/STOP");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(folder.path().join("state")).expect("created");
    fs::write(&elsewhere, "untouched").expect("written");
    type Make = fn(&Path, &Path);
    let odd: [Make; 3] = [
        |stop, _| fs::create_dir(stop).expect("a folder"),
        |stop, elsewhere| std::os::unix::fs::symlink(elsewhere, stop).expect("a link"),
        |stop, _| std::os::unix::fs::symlink("/nowhere/at/all", stop).expect("a link that leads nowhere"),
    ];
    for make in odd {
        make(&stop, &elsewhere);
        let stopped = boot(&["stop", "--reason", "noise", "--config", &config]);
        assert_eq!(stopped.status.code(), Some(1));
        assert!(stderr(&stopped).starts_with("nightshift-worker: this worker is stopped, but the reason is not noted"));
        assert!(fs::symlink_metadata(&stop).is_ok());
        assert_eq!(boot(&["start", "--config", &config]).status.code(), Some(0));
        assert!(fs::symlink_metadata(&stop).is_err());
    }
    assert_eq!(fs::read_to_string(&elsewhere).expect("read"), "untouched", "nothing is written through a link");
}

#[test]
fn a_state_folder_that_depends_on_where_one_stands_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("worker.toml");
    fs::write(&file, "state_dir = \"here\"\n").expect("written");
    let refused = boot(&["stop", "--config", file.to_str().expect("text")]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("write it from the root on"), "{}", stderr(&refused));
}
