//! The person's own `git`, as a subprocess: their credentials, SSH configuration, proxies and hooks apply.
//!
//! This file starts git and says how it ended, nothing more; what is asked of it, and why, stands in the callers. Every
//! git started here is waited for here.
#![allow(clippy::disallowed_methods, reason = "this file is where git is started")]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Git working in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    dir: PathBuf,
    user: String,
}

/// A git command that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// The program cannot be started.
    #[error("git cannot be started; is it installed and in PATH?")]
    Start(#[source] std::io::Error),
    /// It ended with an error.
    #[error("`git {command}`: {said}")]
    Failed {
        /// The arguments.
        command: String,
        /// What git wrote on standard error.
        said: String,
    },
}

/// Who makes commits and tags, as git writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `Name <mail>`.
    pub(crate) who: String,
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Offset from UTC, `+0100`.
    pub(crate) zone: String,
}

/// Variables by which a surrounding git (a hook, an alias) would point this one at another repository.
const REPOSITORY_VARIABLES: [&str; 6] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
];

impl Git {
    /// Git working in `dir`. `user` stands in where git knows no name for the person.
    pub(crate) fn new(dir: &Path, user: &str) -> Self {
        Self { dir: dir.to_owned(), user: user.to_owned() }
    }

    /// Runs git; its standard output without the last newline.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String, GitError> {
        self.finish(self.command(args), args, None).map(text)
    }

    /// Runs git with `input` on its standard input.
    pub(crate) fn run_with_input<A: AsRef<OsStr>>(&self, args: &[A], input: &[u8]) -> Result<String, GitError> {
        self.finish(self.command(args), args, Some(input)).map(text)
    }

    /// Runs git on another index than the folder's own.
    pub(crate) fn run_with_index<A: AsRef<OsStr>>(&self, index: &Path, args: &[A]) -> Result<String, GitError> {
        let mut command = self.command(args);
        command.env("GIT_INDEX_FILE", index);
        self.finish(command, args, None).map(text)
    }

    /// Runs git as somebody with a name: the person's as git knows it, else the operating system's.
    pub(crate) fn run_as_person<A: AsRef<OsStr>>(&self, args: &[A], input: &[u8]) -> Result<String, GitError> {
        let mut command = self.command(args);
        if !self.knows_the_person()? {
            let mail = self.stand_in_mail();
            for role in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{role}_NAME"), &self.user).env(format!("GIT_{role}_EMAIL"), &mail);
            }
        }
        self.finish(command, args, Some(input)).map(text)
    }

    /// Git has a name and a mail address for the person, by configuration or environment.
    pub(crate) fn knows_the_person(&self) -> Result<bool, GitError> {
        let args = ["-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT"];
        let output = self.output(self.command(&args), None)?;
        Ok(output.status.success())
    }

    /// The name that stands in where git knows none, and a mail address that goes nowhere.
    pub(crate) fn stand_in(&self) -> (String, String) {
        (self.user.clone(), self.stand_in_mail())
    }

    /// Who signs now, and when it is.
    pub(crate) fn identity(&self) -> Result<Identity, GitError> {
        let args = ["var", "GIT_COMMITTER_IDENT"];
        let line = self.run_as_person(&args, &[])?;
        parse_identity(&line).ok_or_else(|| GitError::Failed {
            command: args.join(" "),
            said: format!("`{line}`, which is not `Name <mail> seconds zone`"),
        })
    }

    /// A value of git's configuration, `None` when it is not set.
    pub(crate) fn config(&self, key: &str) -> Result<Option<String>, GitError> {
        let output = self.output(self.command(&["config", "--get", key]), None)?;
        Ok(output.status.success().then(|| text(output.stdout)))
    }

    fn stand_in_mail(&self) -> String {
        format!("{}@localhost", self.user)
    }

    fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.dir).args(args);
        for name in REPOSITORY_VARIABLES {
            command.env_remove(name);
        }
        // Messages that are passed on, or parsed, in one language; repositories as libgit2 reads them.
        command.env("LC_ALL", "C").env("GIT_DEFAULT_HASH", "sha1").env("GIT_DEFAULT_REF_FORMAT", "files");
        command
    }

    fn finish<A: AsRef<OsStr>>(&self, command: Command, args: &[A], input: Option<&[u8]>) -> Result<Vec<u8>, GitError> {
        let output = self.output(command, input)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let command: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
        let said = text(output.stderr);
        let said = if said.is_empty() { output.status.to_string() } else { said };
        Err(GitError::Failed { command: command.join(" "), said })
    }

    fn output(&self, mut command: Command, input: Option<&[u8]>) -> Result<Output, GitError> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(GitError::Start)?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
            // A git that does not read all of it says why with its exit code.
            let _ = stdin.write_all(input);
        }
        child.wait_with_output().map_err(GitError::Start)
    }
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).trim_end_matches('\n').to_owned()
}

fn parse_identity(line: &str) -> Option<Identity> {
    let (who, when) = line.rsplit_once("> ")?;
    let (seconds, zone) = when.split_once(' ')?;
    Some(Identity { who: format!("{who}>"), seconds: seconds.parse().ok()?, zone: zone.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_identity_line_is_read() {
        let identity = parse_identity("Ada > Lovelace <ada@example.org> 1700000000 +0100").expect("identity");
        assert_eq!(identity.who, "Ada > Lovelace <ada@example.org>");
        assert_eq!((identity.seconds, identity.zone.as_str()), (1_700_000_000, "+0100"));
        assert_eq!(parse_identity("nobody"), None);
    }

    #[test]
    fn a_failed_command_says_what_git_said() {
        let folder = tempfile::tempdir().expect("folder");
        let error = Git::new(folder.path(), "ada").run(&["rev-parse", "HEAD"]).expect_err("no repository");
        assert!(error.to_string().starts_with("`git rev-parse HEAD`: fatal: not a git repository"), "{error}");
    }
}
