//! The self-check of a staged release, and what the last good one shows beside it: programs are started apart from any
//! job, in a folder of their own, for a limited time, and ended with everything they started.
//!
//! 1. A launcher that the release brings shows that it could do a cycle (`self-check`): it reads the configuration and the
//!    state folder and looks at the repository from a clone of its own.
//! 2. Its core has its plugins pass their own samples (`--samples`).
//!
//! A release that fails at one of these, or at every job of a plugin, is compared side by side: the last good release's
//! programs do the same (for jobs: the records that failed, `--again`), and when they do not fail at it, the other's do it
//! once more. Only what fails then is held against it.
//!
//! What cannot be tried (a full disk, a program that the machine cannot start for want of memory), is ended by somebody, or
//! broken off because the worker is stopped, is held against nobody.
#![allow(clippy::disallowed_methods, reason = "programs of releases are tried here, and ended here")]

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nightshift_contract::exit::Exit;
use nightshift_contract::handoff::{AGAIN, HostArgs, SAMPLES, SELF_CHECK, WATCHED};
use nightshift_contract::layout::StateDir;
use nightshift_engine::{
    BreakOff, Check, Checked, Engine, Fault, FaultKind, LookError, OpenError, Release, Shown, Source,
};
use nightshift_kin::Roots;
use nightshift_manifest::binaries::Program;
use uuid::Uuid;

use crate::clock;
use crate::installed::Installed;
use crate::process::{self, Running};
use crate::watch::ENDED_WITHIN;
use crate::watchdog;

/// How long a launcher may take to show that it could do a cycle.
const LAUNCHER_WITHIN: Duration = Duration::from_secs(45);
/// How long the samples of all plugins together may take.
const SAMPLES_WITHIN: Duration = Duration::from_secs(60);
/// A program that is tried runs no longer than this without a look whether the worker was stopped.
const AT_ONCE: Duration = Duration::from_millis(200);
/// What a suspected release gets at least to do what the last good one did in less.
const SUSPECT_AT_LEAST: Duration = Duration::from_secs(15);
/// It gets so many times what the last good one needed, beside that, and no more than anybody.
const SUSPECT_TIMES: u32 = 10;
/// The most of a program's last words that is told on.
const LAST_WORDS: usize = 400;

/// Tries releases with this worker's programs.
#[derive(Clone)]
pub struct SelfCheck {
    /// Where the programs are.
    pub installed: Installed,
    /// The worker's state folder.
    pub state: StateDir,
    /// The machine, as cores are told of it.
    pub host: HostArgs,
    /// Whether the worker was stopped.
    pub break_off: BreakOff,
}

impl Check for SelfCheck {
    fn check(&self, staged: &Release) -> Checked {
        if staged.program(Program::Launcher).is_some() && self.installed.is_another_launcher(staged) {
            match self.launcher(&self.installed.of(Some(staged), Program::Launcher), LAUNCHER_WITHIN) {
                Checked::Passed => {}
                other => return other,
            }
        }
        match self.samples(staged, SAMPLES_WITHIN) {
            Ok(tried) => match tried.is_good() {
                Some(true) => Checked::Passed,
                Some(false) => {
                    failed(FaultKind::Samples, format!("its plugins fail their own samples: {}", tried.in_words()))
                }
                None => Checked::Hindered(format!("its samples could not be run: {}", tried.in_words())),
            },
            Err(error) => hindered("its samples could not be run", &error),
        }
    }

    fn compare(&self, last_good: Option<&Release>, suspected: &Release, fault: &FaultKind) -> Option<Shown> {
        match fault {
            // This launcher has just looked at the repository.
            FaultKind::Launcher | FaultKind::Look => Some(Shown::Better),
            FaultKind::SelfCheck => side_by_side(
                LAUNCHER_WITHIN,
                |within| self.passes(&self.installed.of(last_good, Program::Launcher), within),
                |within| self.passes(&self.installed.of(Some(suspected), Program::Launcher), within),
            ),
            FaultKind::Samples | FaultKind::Jobs(_) if last_good.is_none() => Some(Shown::NoBetter),
            FaultKind::Samples => {
                let samples = |release: &Release, within| self.samples(release, within).ok()?.is_good();
                side_by_side(SAMPLES_WITHIN, |within| samples(last_good?, within), |within| samples(suspected, within))
            }
            FaultKind::Jobs(plugin) => {
                let records = self.state.failed_records(plugin);
                // A core that does not know how, or cannot read them, says nothing.
                let knows = |tried: &Tried| !tried.is(Exit::Usage);
                let again =
                    |release: &Release, within| self.again(release, &records, within).ok().filter(knows)?.is_good();
                let compare = || {
                    side_by_side(SAMPLES_WITHIN, |within| again(last_good?, within), |within| again(suspected, within))
                };
                let shown = records.is_file().then(compare)?;
                if shown.is_some() {
                    // They have said what they can.
                    let _ = fs::remove_file(&records);
                }
                shown
            }
            FaultKind::Core | FaultKind::CutOff | FaultKind::Claim => None,
        }
    }
}

/// What two releases show that do the same, the last good one first, within a time; `None` when either could not be tried.
fn side_by_side(
    within: Duration,
    last_good: impl FnOnce(Duration) -> Option<bool>,
    suspected: impl FnOnce(Duration) -> Option<bool>,
) -> Option<Shown> {
    let begun = clock::since_start();
    if !last_good(within)? {
        return Some(Shown::NoBetter);
    }
    let took = Duration::from_millis(clock::since_start().saturating_sub(begun));
    let is_good = suspected(within.min(SUSPECT_AT_LEAST + took * SUSPECT_TIMES))?;
    Some(if is_good { Shown::NotAgain } else { Shown::Outdone })
}

/// What became of a program that was tried.
enum Tried {
    /// It ended, with these last words.
    Ended(ExitStatus, String),
    /// It had to be ended.
    Hung,
    /// The worker was stopped meanwhile.
    BrokenOff,
}

impl Tried {
    /// Whether it did what it was to do; `None` when that cannot be said.
    fn is_good(&self) -> Option<bool> {
        match self {
            Tried::Hung => Some(false),
            Tried::BrokenOff => None,
            Tried::Ended(status, _) if process::is_ended_by_somebody(*status) => None,
            Tried::Ended(..) if self.is(Exit::TryLater) => None,
            Tried::Ended(status, _) => Some(status.success()),
        }
    }

    fn is(&self, exit: Exit) -> bool {
        matches!(self, Tried::Ended(status, _) if status.code() == Some(i32::from(exit.code())))
    }

    fn in_words(&self) -> String {
        match self {
            Tried::Hung => "it did not come to an end".to_owned(),
            Tried::BrokenOff => "this worker was stopped meanwhile".to_owned(),
            Tried::Ended(status, said) if said.is_empty() => format!("it ended with {status}"),
            Tried::Ended(status, said) => format!("it ended with {status} and said: {said}"),
        }
    }
}

impl SelfCheck {
    fn launcher(&self, program: &Path, within: Duration) -> Checked {
        let mut command = Command::new(program);
        command.arg(SELF_CHECK).arg(self.scratch().join("state")).arg("--config").arg(&self.installed.config);
        match self.run(command, within) {
            Ok(tried) if tried.is(Exit::TryLater) => {
                failed(FaultKind::Look, format!("its launcher cannot look at the repository: {}", tried.in_words()))
            }
            Ok(tried) => match tried.is_good() {
                Some(true) => Checked::Passed,
                Some(false) => {
                    failed(FaultKind::SelfCheck, format!("its launcher fails its self-check: {}", tried.in_words()))
                }
                None => Checked::Hindered(format!("its launcher could not be tried: {}", tried.in_words())),
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied || is_no_program(&error) => {
                failed(FaultKind::SelfCheck, format!("its launcher cannot be started: {error}"))
            }
            Err(error) => hindered("its launcher could not be tried", &error),
        }
    }

    /// Whether a launcher passes its self-check; `None` when that cannot be said.
    fn passes(&self, program: &Path, within: Duration) -> Option<bool> {
        match self.launcher(program, within) {
            Checked::Passed => Some(true),
            Checked::Failed(fault) => (fault.kind == FaultKind::SelfCheck).then_some(false),
            Checked::Hindered(_) => None,
        }
    }

    fn samples(&self, release: &Release, within: Duration) -> io::Result<Tried> {
        let mut command = Command::new(self.installed.of(Some(release), Program::Core));
        command.arg(SAMPLES).arg(&release.slot).arg(WATCHED).args(self.host.to_args());
        self.run_core(command, within)
    }

    /// Has records done again by a release.
    fn again(&self, release: &Release, records: &Path, within: Duration) -> io::Result<Tried> {
        let mut command = Command::new(self.installed.of(Some(release), Program::Core));
        command.arg(AGAIN).arg(&release.slot).arg(records).args(self.host.to_args());
        self.run_core(command, within)
    }

    fn run_core(&self, command: Command, within: Duration) -> io::Result<Tried> {
        match self.run(command, within) {
            // A core that this machine cannot start fails its samples.
            Err(error) if is_no_program(&error) => Ok(Tried::Hung),
            tried => tried,
        }
    }

    /// A folder for what is tried, made and removed with each try.
    fn scratch(&self) -> PathBuf {
        self.state.root().join("self-check")
    }

    /// Runs a program to its end, or to the end of its time or of the worker's, and ends whatever it started and left behind.
    fn run(&self, mut command: Command, within: Duration) -> io::Result<Tried> {
        let (family, scratch) = (Family::expected()?, self.scratch());
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch)?;
        let said = scratch.join("said");
        nightshift_kin::mark(&mut command, &family.mark);
        watchdog::keep_from(&mut command);
        command
            .current_dir(&scratch)
            // Closed when this process is killed: a core that is tried then ends what it started.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&said)?)
            .process_group(0);
        // A core that ends meanwhile is cleared up after, and this is none of it.
        let mut child = nightshift_kin::start_family(&family.mark, || {
            let child = command.spawn()?;
            let pid = child.id();
            Ok((child, pid))
        })?;
        let waited = process::child(child.id()).ok().and_then(Running::find).map(|child| self.wait(&child, within));
        process::kill_group(child.id());
        let status = child.wait()?;
        family.end();
        let tried = match waited {
            Some(Waited::Ended) => Tried::Ended(status, last_words(&said)),
            Some(Waited::Stopped) => Tried::BrokenOff,
            Some(Waited::TimeIsOver) | None => Tried::Hung,
        };
        let _ = fs::remove_dir_all(&scratch);
        Ok(tried)
    }

    fn wait(&self, child: &Running, within: Duration) -> Waited {
        let mut waited = Duration::ZERO;
        while waited < within {
            let slice = AT_ONCE.min(within - waited);
            if child.ends_within(slice) {
                return Waited::Ended;
            }
            if (self.break_off)() {
                return Waited::Stopped;
            }
            waited += slice;
        }
        Waited::TimeIsOver
    }
}

/// Why a program that is tried is waited for no longer.
enum Waited {
    Ended,
    TimeIsOver,
    Stopped,
}

/// What a program that is tried starts: it has a mark, or is below this process and was not there before.
struct Family {
    mark: String,
    /// This process, and what was below it before: a core that works meanwhile.
    others: Vec<u32>,
}

impl Family {
    fn expected() -> io::Result<Family> {
        // In the tests of this crate many share one process, and whoever adopts orphans buries the others' children.
        if !cfg!(test) {
            nightshift_kin::adopt_orphans()?;
        }
        let below = Roots { below: Some(std::process::id()), ..Roots::default() };
        let there = nightshift_kin::members(&below).map_err(io::Error::other)?;
        let others = there.into_iter().map(|(pid, _)| pid).chain([std::process::id()]).collect();
        Ok(Family { mark: Uuid::new_v4().simple().to_string(), others })
    }

    fn end(&self) {
        // In the tests of this crate many share one process; there the mark alone tells them apart.
        let below = (!cfg!(test)).then(std::process::id);
        let roots = Roots { below, mark: Some(&self.mark), spare: &self.others, ..Roots::default() };
        if let Err(left) = nightshift_kin::end(&roots, &self.others, ENDED_WITHIN) {
            tracing::warn!(error = &left as &dyn std::error::Error, "ending what a tried release left behind");
        }
    }
}

fn is_no_program(error: &io::Error) -> bool {
    const ENOEXEC: i32 = 8;
    error.raw_os_error() == Some(ENOEXEC)
}

fn last_words(said: &Path) -> String {
    let said = fs::read(said).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().chars().take(LAST_WORDS).collect()
}

fn failed(kind: FaultKind, found: String) -> Checked {
    Checked::Failed(Fault { kind, found })
}

fn hindered(what: &str, error: &io::Error) -> Checked {
    Checked::Hindered(format!("{what}: {error}"))
}

/// Why a launcher could not show that it can do a cycle.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckError {
    /// The state folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The repository could not be looked at.
    #[error(transparent)]
    Look(#[from] LookError),
}

impl SelfCheckError {
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            SelfCheckError::Open(_) => Exit::Failed,
            SelfCheckError::Look(_) => Exit::TryLater,
        }
    }
}

/// What a launcher does that is tried: it reads the worker's state folder, and looks at the repository from `scratch`.
///
/// # Errors
/// When it could not do a cycle.
pub fn show(source: &Source, state: &StateDir, scratch: &Path) -> Result<(), SelfCheckError> {
    Engine::open(source.clone(), state.clone())?;
    let mut apart = Engine::open(source.clone(), StateDir::new(scratch))?;
    apart.look(&crate::clock::moment())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nightshift_manifest::version::ReleaseVersion;
    use tempfile::TempDir;

    use super::*;

    /// A worker with two releases, whose cores do what a script says.
    struct Scene {
        folder: TempDir,
        is_stopped: Arc<AtomicBool>,
    }

    impl Scene {
        fn new() -> Scene {
            Scene { folder: tempfile::tempdir().expect("a folder"), is_stopped: Arc::default() }
        }

        fn state(&self) -> StateDir {
            StateDir::new(self.folder.path().join("state"))
        }

        fn check(&self) -> SelfCheck {
            let boot = self.folder.path().join("nightshift-worker");
            let is_stopped = Arc::clone(&self.is_stopped);
            SelfCheck {
                installed: Installed::new(Some(boot), PathBuf::new(), PathBuf::new()),
                state: self.state(),
                host: HostArgs::default(),
                break_off: Arc::new(move || is_stopped.load(Ordering::Relaxed)),
            }
        }

        fn release(&self, minor: u64, core: &str) -> Release {
            let version = ReleaseVersion::new(1, minor, 0);
            let slot = self.state().slots().join(version.tag());
            let program = slot.join("bin").join(Program::Core.file_name());
            fs::create_dir_all(slot.join("bin")).expect("made");
            fs::write(&program, format!("#!/bin/sh\n{core}\n")).expect("written");
            fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("a program");
            let none = String::new;
            Release {
                version,
                tag: version.tag(),
                tag_id: none(),
                commit: none(),
                tree_id: none(),
                signer: none(),
                slot,
            }
        }

        fn records(&self) -> PathBuf {
            let records = self.state().failed_records("twice");
            fs::create_dir_all(records.parent().expect("a folder")).expect("made");
            fs::write(&records, "{}").expect("written");
            records
        }

        fn samples(&self, last_good: &str, suspected: &str) -> Option<Shown> {
            let (last_good, suspected) = (self.release(5, last_good), self.release(6, suspected));
            self.check().compare(Some(&last_good), &suspected, &FaultKind::Samples)
        }

        fn jobs(&self, last_good: &str, suspected: &str) -> Option<Shown> {
            let (last_good, suspected) = (self.release(5, last_good), self.release(6, suspected));
            self.check().compare(Some(&last_good), &suspected, &FaultKind::Jobs("twice".into()))
        }
    }

    #[test]
    fn only_a_release_that_fails_again_at_what_the_last_good_one_can_do_is_outdone() {
        let scene = Scene::new();
        assert_eq!(scene.samples("exit 0", "exit 1"), Some(Shown::Outdone));
        assert_eq!(scene.samples("exit 0", "kill -SEGV $$"), Some(Shown::Outdone));
        assert_eq!(scene.samples("exit 0", "exit 0"), Some(Shown::NotAgain));
        assert_eq!(scene.samples("exit 1", "exit 1"), Some(Shown::NoBetter));
    }

    #[test]
    fn a_suspected_release_gets_a_multiple_of_the_time_that_the_last_good_one_needed_and_no_more_than_anybody() {
        let given = |within| {
            let mut given = None;
            side_by_side(within, |_| Some(true), |within| given.replace(within).map_or(Some(false), |_| None));
            given.expect("it was tried")
        };
        assert!(given(SAMPLES_WITHIN) >= SUSPECT_AT_LEAST && given(SAMPLES_WITHIN) < SAMPLES_WITHIN);
        assert_eq!(given(Duration::from_secs(1)), Duration::from_secs(1));
    }

    #[test]
    fn what_somebody_kills_says_nothing_about_a_release() {
        let scene = Scene::new();
        assert_eq!(scene.samples("kill -KILL $$", "exit 1"), None);
        assert_eq!(scene.samples("exit 0", "kill -TERM $$"), None);
        let staged = scene.release(6, "kill -KILL $$");
        assert!(matches!(scene.check().check(&staged), Checked::Hindered(why) if why.contains("signal: 9")));
    }

    #[test]
    fn jobs_are_compared_by_the_records_that_failed_once_and_by_nothing_where_there_are_none() {
        let scene = Scene::new();
        assert_eq!(scene.jobs("exit 0", "exit 1"), None, "no records were kept");
        let records = scene.records();
        let asked = "[ \"$1\" = --again ] && [ -f \"$3\" ] || exit 9\n";
        let fails = format!("{asked}exit 1");
        assert_eq!(scene.jobs(&format!("{asked}exit 0"), &fails), Some(Shown::Outdone));
        assert!(!records.exists(), "they have said what they can");
        scene.records();
        assert_eq!(scene.jobs(&fails, &fails), Some(Shown::NoBetter), "wrong records");
        scene.records();
        assert_eq!(scene.jobs("exit 2", &fails), None, "a core from before cannot do records again");
    }

    #[test]
    fn a_stop_breaks_off_what_is_tried_and_nothing_is_held_against_it() {
        let scene = Scene::new();
        scene.is_stopped.store(true, Ordering::Relaxed);
        let staged = scene.release(6, "exec sleep 3600");
        assert!(matches!(scene.check().check(&staged), Checked::Hindered(why) if why.contains("stopped")));
        assert_eq!(scene.samples("exec sleep 3600", "exit 1"), None);
    }
}
