//! The self-check of a staged release, and what the last good one shows beside it: programs are started apart from any
//! job, in a folder of their own, for a limited time, and ended with everything they started.
//!
//! 1. A launcher that the release brings shows that it could do a cycle (`self-check`): it reads the configuration and the
//!    state folder and looks at the repository from a clone of its own.
//! 2. Its core has its plugins pass their own samples (`--samples`). When it does not, the last good release's core and
//!    plugins have to show on the same machine that they do.
//!
//! What cannot be tried (a full disk, a program that the machine cannot start for want of memory) is held against nobody.
#![allow(clippy::disallowed_methods, reason = "programs of releases are tried here, and ended here")]

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nightshift_contract::exit::Exit;
use nightshift_contract::handoff::{SAMPLES, SELF_CHECK, WATCHED};
use nightshift_contract::layout::StateDir;
use nightshift_engine::{Check, Checked, Engine, Fault, FaultKind, LookError, OpenError, Release, Source};
use nightshift_kin::{MARK, Roots};
use nightshift_manifest::binaries::Program;
use uuid::Uuid;

use crate::installed::Installed;
use crate::process::{self, Running};
use crate::watch::ENDED_WITHIN;

/// How long a launcher may take to show that it could do a cycle.
const LAUNCHER_WITHIN: Duration = Duration::from_secs(45);
/// How long the samples of all plugins together may take.
const SAMPLES_WITHIN: Duration = Duration::from_secs(60);
/// The most of a program's last words that is told on.
const LAST_WORDS: usize = 400;

/// Tries releases with this worker's programs.
#[derive(Debug, Clone)]
pub struct SelfCheck {
    /// Where the programs are.
    pub installed: Installed,
    /// A folder of its own, made and removed with each try.
    pub scratch: PathBuf,
}

impl Check for SelfCheck {
    fn check(&self, staged: &Release) -> Checked {
        if staged.program(Program::Launcher).is_some() && self.installed.is_another_launcher(staged) {
            match self.launcher(staged) {
                Checked::Passed => {}
                other => return other,
            }
        }
        match self.samples(staged) {
            Ok(Tried::Ended(status, _)) if status.success() => Checked::Passed,
            Ok(tried) => {
                failed(FaultKind::Samples, format!("its plugins fail their own samples: {}", tried.in_words()))
            }
            Err(error) => hindered("its samples could not be run", &error),
        }
    }

    fn last_good(&self, last_good: &Release, fault: &FaultKind) -> Option<bool> {
        match fault {
            // This launcher has just looked at the repository.
            FaultKind::Launcher | FaultKind::Look => Some(true),
            FaultKind::Samples => match self.samples(last_good) {
                Ok(Tried::Ended(status, _)) => Some(status.success()),
                Ok(Tried::Hung) => Some(false),
                Err(_) => None,
            },
            FaultKind::Core | FaultKind::Jobs(_) | FaultKind::Claim => None,
        }
    }
}

/// What became of a program that was tried.
enum Tried {
    /// It ended, with these last words.
    Ended(ExitStatus, String),
    /// It had to be ended.
    Hung,
}

impl Tried {
    fn in_words(&self) -> String {
        match self {
            Tried::Hung => "it did not come to an end".to_owned(),
            Tried::Ended(status, said) if said.is_empty() => format!("it ended with {status}"),
            Tried::Ended(status, said) => format!("it ended with {status} and said: {said}"),
        }
    }
}

impl SelfCheck {
    fn launcher(&self, staged: &Release) -> Checked {
        let program = self.installed.of(Some(staged), Program::Launcher);
        let mut command = Command::new(program);
        command.arg(SELF_CHECK).arg(self.scratch.join("state")).arg("--config").arg(&self.installed.config);
        match self.run(command, LAUNCHER_WITHIN) {
            Ok(Tried::Ended(status, _)) if status.success() => Checked::Passed,
            Ok(Tried::Ended(status, said)) if status.code() == Some(i32::from(Exit::TryLater.code())) => {
                failed(FaultKind::Look, format!("its launcher cannot look at the repository: {said}"))
            }
            Ok(tried) => {
                failed(FaultKind::Launcher, format!("its launcher fails its self-check: {}", tried.in_words()))
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied || is_no_program(&error) => {
                failed(FaultKind::Launcher, format!("its launcher cannot be started: {error}"))
            }
            Err(error) => hindered("its launcher could not be tried", &error),
        }
    }

    fn samples(&self, release: &Release) -> io::Result<Tried> {
        let mut command = Command::new(self.installed.of(Some(release), Program::Core));
        command.arg(SAMPLES).arg(&release.slot).arg(WATCHED);
        match self.run(command, SAMPLES_WITHIN) {
            // A core that this machine cannot start fails its samples.
            Err(error) if is_no_program(&error) => Ok(Tried::Hung),
            tried => tried,
        }
    }

    /// Runs a program to its end, or to the end of its time, and ends whatever it started and left behind.
    fn run(&self, mut command: Command, within: Duration) -> io::Result<Tried> {
        let family = Family::expected()?;
        let _ = fs::remove_dir_all(&self.scratch);
        fs::create_dir_all(&self.scratch)?;
        let said = self.scratch.join("said");
        let mut child = command
            .current_dir(&self.scratch)
            // Closed when this process is killed: a core that is tried then ends what it started.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&said)?)
            .process_group(0)
            .env(MARK, &family.mark)
            .spawn()?;
        let ended =
            process::child(child.id()).ok().and_then(Running::find).is_some_and(|child| child.ends_within(within));
        process::kill_group(child.id());
        let status = child.wait()?;
        family.end();
        let tried = match ended {
            true => Tried::Ended(status, last_words(&said)),
            false => Tried::Hung,
        };
        let _ = fs::remove_dir_all(&self.scratch);
        Ok(tried)
    }
}

/// What a program that is tried starts: it has a mark, or is below this process and was not there before.
struct Family {
    mark: String,
    /// This process, and what was below it before: a core that works meanwhile.
    others: Vec<u32>,
}

impl Family {
    fn expected() -> io::Result<Family> {
        nightshift_kin::adopt_orphans()?;
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
