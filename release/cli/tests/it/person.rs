//! A person with a home of their own, who types commands and reads screens.
#![allow(clippy::disallowed_methods, reason = "runs the program under test, and git; both are waited for")]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nightshift_testbed::database::MYSQLD;
use rustix::process::{Pid, Signal, kill_process};

/// A person; everything of theirs is gone with them.
pub(crate) struct Person {
    home: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that runs in the background; killed when dropped.
pub(crate) struct Background(Child);

impl Background {
    /// Interrupts the program, as ctrl-c does.
    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::INT).expect("it runs");
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Person {
    /// Somebody whose git knows nothing and who has no configuration.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        std::fs::create_dir(home.path().join(".tmp")).expect("a folder");
        Self { home }
    }

    /// Somebody with a new grid in `~/grid`.
    pub(crate) fn with_grid() -> Self {
        let person = Self::new();
        person.nightshift(&person.home(), &["init", "grid"]).expect_code(0);
        person
    }

    /// Their home.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().canonicalize().expect("a home")
    }

    /// Where programs of theirs put temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.home().join(".tmp")
    }

    /// The release manager's clone.
    pub(crate) fn clone_dir(&self) -> PathBuf {
        self.home().join("grid/grid")
    }

    /// The central repository.
    pub(crate) fn central(&self) -> PathBuf {
        self.home().join("grid/central.git")
    }

    /// The private signing key.
    pub(crate) fn signing_key(&self) -> PathBuf {
        self.home().join("config/nightshift/signing_key")
    }

    /// Types a command in `folder`.
    pub(crate) fn nightshift(&self, folder: &Path, words: &[&str]) -> Ended {
        self.run(env!("CARGO_BIN_EXE_nightshift"), folder, words)
    }

    /// Types a command at home, with this server named to test with, or none.
    pub(crate) fn nightshift_with_mysqld(&self, mysqld: Option<&Path>, words: &[&str]) -> Ended {
        let mut command = self.command(env!("CARGO_BIN_EXE_nightshift"), &self.home(), words);
        match mysqld {
            Some(program) => command.env(MYSQLD, program),
            None => command.env_remove(MYSQLD),
        };
        Ended::of(&command.output().expect("the program starts"))
    }

    /// Types a command in the release manager's clone.
    pub(crate) fn in_clone(&self, words: &[&str]) -> Ended {
        self.nightshift(&self.clone_dir(), words)
    }

    /// Types a command, and `text` into its standard input.
    pub(crate) fn typing(&self, folder: &Path, words: &[&str], text: &str) -> Ended {
        let mut command = self.command(env!("CARGO_BIN_EXE_nightshift"), folder, words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        // A program that ends before it has read everything is what some tests look for.
        let _ = child.stdin.take().expect("a pipe").write_all(text.as_bytes());
        Ended::of(&child.wait_with_output().expect("ends"))
    }

    /// Plain git, which has to succeed; its standard output.
    pub(crate) fn git(&self, folder: &Path, words: &[&str]) -> String {
        let ended = self.run("git", folder, words);
        assert_eq!(ended.code, 0, "git {words:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout.trim_end().to_owned()
    }

    /// Plain git, however it ends.
    pub(crate) fn try_git(&self, folder: &Path, words: &[&str]) -> Ended {
        self.run("git", folder, words)
    }

    /// Runs any program as this person.
    pub(crate) fn run(&self, program: impl AsRef<OsStr>, folder: &Path, words: &[&str]) -> Ended {
        Ended::of(&self.command(program, folder, words).output().expect("the program starts"))
    }

    /// Starts a program that runs until its handle is dropped; what it says is thrown away.
    pub(crate) fn start(&self, program: impl AsRef<OsStr>, folder: &Path, words: &[&str]) -> Background {
        let mut command = self.command(program, folder, words);
        Background(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts"))
    }

    fn command(&self, program: impl AsRef<OsStr>, folder: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(folder)
            .env("HOME", self.home())
            .env("XDG_CONFIG_HOME", self.home().join("config"))
            .env("TMPDIR", self.temporary())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("USER", "ada")
            .env("TZ", "UTC")
            .env("COLUMNS", "100")
            .env_remove("GIT_AUTHOR_NAME")
            .env_remove("GIT_COMMITTER_NAME")
            .env_remove("NIGHTSHIFT_JOBSERVER")
            .env_remove("NIGHTSHIFT_CONTEXT")
            .stdin(Stdio::null());
        command
    }

    /// Writes a file of the release manager's clone.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.clone_dir().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(path, content).expect("written");
    }

    /// Everything git knows: all refs of the central repository and of the clone, and what is uncommitted.
    pub(crate) fn everything(&self) -> String {
        let refs = |folder: &Path, under: &[&str]| {
            self.git(folder, &[&["for-each-ref", "--format=%(objectname) %(refname)"], under].concat())
        };
        [
            refs(&self.central(), &[]),
            refs(&self.clone_dir(), &["refs/heads", "refs/tags"]),
            self.git(&self.clone_dir(), &["status", "--porcelain"]),
        ]
        .join("\n")
    }

    /// A screen without what differs from run to run: the home, ids of objects, moments.
    pub(crate) fn same_everywhere(&self, screen: &str) -> String {
        let screen = screen.replace(&*self.home().to_string_lossy(), "~");
        let word = |word: &str| {
            let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let is_id = core.len() >= 10 && core.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_id { word.replace(core, "[ID]") } else { word.to_owned() }
        };
        let line = |line: &str| without_moments(&line.split(' ').map(word).collect::<Vec<_>>().join(" "));
        screen.lines().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Ended {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("not ended by a signal"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code; the screens are in the message when it is another.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Checks that the talk says something.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "does not say {words:?}: {}", self.stderr);
        self
    }
}

/// Puts `[TIME]` where a line has `2026-01-31 12:00`.
fn without_moments(line: &str) -> String {
    const SHAPE: &[u8] = b"0000-00-00 00:00";
    let is_moment = |text: &[u8]| {
        text.len() == SHAPE.len()
            && text
                .iter()
                .zip(SHAPE)
                .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
    };
    let mut line = line.to_owned();
    while let Some(at) = line.as_bytes().windows(SHAPE.len()).position(is_moment) {
        line.replace_range(at..at + SHAPE.len(), "[TIME]");
    }
    line
}
