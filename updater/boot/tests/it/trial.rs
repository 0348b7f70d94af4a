//! Launchers of slots: the one in force is run, one on trial that comes to nothing is fallen back from.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nightshift_contract::boot_state::BootState;
use nightshift_contract::holder::Holder;
use nightshift_contract::layout::StateDir;
use tempfile::TempDir;

use crate::{boot, config, installed, stderr};

/// A worker with slots whose launchers say their slot's name.
struct Slots {
    folder: TempDir,
    state: StateDir,
}

impl Slots {
    fn with(launchers: &[(&str, &str)]) -> Slots {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::new(folder.path().join("state"));
        for (slot, does) in launchers {
            let program = state.slot_program(slot, "nightshift-launcher");
            fs::create_dir_all(program.parent().expect("a folder")).expect("created");
            fs::write(program.with_file_name("does"), does).expect("written");
            symlink(installed().path().join("launcher-of-a-slot"), &program).expect("linked");
        }
        fs::create_dir_all(state.root()).expect("created");
        Slots { folder, state }
    }

    fn note(&self, state: &BootState) {
        fs::write(self.state.boot_state(), state.to_text()).expect("written");
    }

    fn noted(&self) -> BootState {
        BootState::parse(&fs::read_to_string(self.state.boot_state()).expect("read")).expect("whole")
    }

    /// What a launcher says that boot becomes; the installed one says its arguments.
    fn cycle(&self) -> String {
        self.ask("run")
    }

    fn ask(&self, command: &str) -> String {
        let output = boot(&[command, "--config", &config(self.folder.path())]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(stderr(&output), "");
        said.split_whitespace().next().unwrap_or_default().to_owned()
    }

    fn fallen(&self) -> Option<String> {
        self.noted().trial.expect("remembered").fallen
    }
}

fn on_trial() -> BootState {
    BootState::on_trial(Some("old".into()), "new".into())
}

#[test]
fn the_launcher_of_the_slot_in_force_is_run() {
    let slots = Slots::with(&[("old", "exit 0")]);
    assert_eq!(slots.cycle(), "run", "no release names one yet: the installed one");
    slots.note(&BootState::good(Some("old".into())));
    assert_eq!((slots.cycle(), slots.ask("status")), ("old".into(), "old".into()));
    slots.note(&BootState::good(Some("without-programs".into())));
    assert_eq!(slots.cycle(), "run", "a release without a launcher of its own");
}

#[test]
fn a_launcher_that_crashes_is_killed_or_exits_without_working_is_fallen_back_from_within_two_cycles() {
    for does in ["kill -SEGV $$", "kill -9 $$", "exit 0", "exit 101"] {
        let slots = Slots::with(&[("old", "exit 0"), ("new", does)]);
        slots.note(&on_trial());
        assert_eq!(
            [slots.cycle(), slots.cycle(), slots.cycle(), slots.cycle()],
            ["new", "new", "old", "old"],
            "{does}"
        );
        assert!(slots.fallen().is_some(), "{does}");
    }
}

#[test]
fn a_good_launcher_that_comes_to_nothing_three_times_in_a_row_is_stood_in_for_by_the_installed_one() {
    let slots = Slots::with(&[("good", "kill -SEGV $$")]);
    slots.note(&BootState::good(Some("good".into())));
    assert_eq!([slots.cycle(), slots.cycle(), slots.cycle(), slots.cycle()], ["good", "good", "good", "run"]);
    assert_eq!(slots.ask("status"), "status", "questions are answered, too");
    // As a launcher does that came as far as a visit.
    fs::remove_file(slots.state.boot_starts()).expect("there");
    assert_eq!((slots.ask("status"), slots.cycle()), ("good".into(), "good".into()));
    assert_eq!(slots.noted(), BootState::good(Some("good".into())));
}

#[test]
fn a_cycle_beside_a_launcher_that_gets_on_does_not_count_against_a_good_one() {
    let slots = Slots::with(&[("good", "exit 0")]);
    slots.note(&BootState::good(Some("good".into())));
    let stat = fs::read_to_string("/proc/self/stat").expect("read");
    fs::write(slots.state.lock(), Holder::from_proc_stat(&stat).expect("a process").to_text()).expect("written");
    for _ in 0..5 {
        assert_eq!(slots.cycle(), "good");
    }
}

#[test]
fn a_launcher_that_cannot_be_started_is_fallen_back_from_in_the_same_cycle() {
    let slots = Slots::with(&[("old", "exit 0"), ("new", "exit 0")]);
    let program = slots.state.slot_program("new", "nightshift-launcher");
    fs::remove_file(&program).expect("removed");
    fs::write(&program, "no program").expect("written");
    slots.note(&on_trial());
    assert_eq!(slots.cycle(), "old");
    assert_eq!(slots.fallen().as_deref(), Some("its launcher cannot be started"));
}

#[test]
fn a_launcher_on_trial_that_got_nowhere_for_as_long_as_worker_toml_allows_is_fallen_back_from() {
    let slots = Slots::with(&[("old", "exit 0"), ("new", "exit 0")]);
    slots.note(&on_trial());
    // This test holds the lock and got nowhere for a minute.
    let stat = fs::read_to_string("/proc/self/stat").expect("read");
    fs::write(slots.state.lock(), Holder::from_proc_stat(&stat).expect("a process").to_text()).expect("written");
    let uptime = fs::read_to_string("/proc/uptime").expect("read");
    let seconds: f64 = uptime.split(' ').next().expect("a number").parse().expect("a number");
    fs::write(slots.state.progress(), format!("{:.0}\n", (seconds - 60.0).max(0.0) * 1000.0)).expect("written");

    let file = config(slots.folder.path());
    let text = fs::read_to_string(&file).expect("read");
    for (stuck_after, launcher) in [("10m", "new"), ("1s", "old")] {
        fs::write(&file, format!("{text}stuck_after = \"{stuck_after}\"\n")).expect("written");
        let said = String::from_utf8_lossy(&boot(&["run", "--config", &file]).stdout).into_owned();
        assert!(said.starts_with(launcher), "{stuck_after}: {said}");
    }
    assert_eq!(slots.fallen().as_deref(), Some("its launcher got nowhere for too long"));
}

#[test]
fn a_try_that_cannot_be_noted_is_not_made() {
    let slots = Slots::with(&[("old", "exit 0"), ("new", "exit 0")]);
    slots.note(&on_trial());
    fs::create_dir(slots.state.root().join(".boot.state.new")).expect("in the way");
    assert_eq!(slots.cycle(), "old");
    assert_eq!(slots.noted(), on_trial());
}

#[test]
fn questions_about_the_worker_count_as_no_try() {
    let slots = Slots::with(&[("old", "exit 0"), ("new", "exit 0")]);
    slots.note(&on_trial());
    for _ in 0..5 {
        assert_eq!(slots.ask("status"), "new");
    }
    assert_eq!(slots.noted(), on_trial());
}

#[test]
fn a_torn_state_is_made_up_for_by_the_link_to_the_slot_in_force() {
    let slots = Slots::with(&[("old", "exit 0")]);
    fs::write(slots.state.boot_state(), "good ol").expect("written");
    symlink(Path::new("slots/old"), slots.state.in_force()).expect("linked");
    assert_eq!(slots.cycle(), "old");
}
