//! The core's arguments, as the launcher writes them and the core reads them.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A core's first argument when it shall do no jobs, but have the plugins of the slot that is named next pass their own
/// samples: it ends with 0 when all do, and says else on stderr which does not.
pub const SAMPLES: &str = "--samples";
/// A core's first argument when it shall do no jobs, but have the records in the file that is named behind the slot done
/// again by their plugin ([`HostArgs`] follow): it ends with 0 when one of them has a result, with 2 when it does not understand the file, and
/// says else on stderr what went wrong. It is watched over as by [`WATCHED`].
pub const AGAIN: &str = "--again";
/// Behind the slot of [`SAMPLES`], before [`HostArgs`]: whoever holds the core's stdin watches over it, and its end means that nobody does.
pub const WATCHED: &str = "--watched";

/// A program's first argument when it shall do nothing of its own, but lock itself in as the next argument says and become
/// a plugin's program. The core and the command line know it; see `worker/plugin/src/sandbox`.
pub const SANDBOX: &str = "--sandbox";

/// A launcher's command when it shall do no cycle, but show that it could: read the configuration and the state folder, and
/// look at the repository from a clone of its own, in the folder that is named next. It ends with 0, or with 75 when the
/// repository could not be looked at.
pub const SELF_CHECK: &str = "self-check";

/// Everything a core is told when it is started. What changes later arrives as [`crate::message::ToCore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreArgs {
    /// The worker's state folder.
    pub state_dir: PathBuf,
    /// The release to begin with.
    pub release: ReleaseArgs,
    /// Job servers to try in turn, each a base URL such as `http://10.0.0.5:7070`; or one store that is used directly,
    /// such as `mysql://worker@10.0.0.5/nightshift`.
    pub jobservers: Vec<String>,
    /// A file with the password for the store, when it is used directly and needs one.
    pub store_password_file: Option<PathBuf>,
    /// The machine, as plugins find it.
    pub host: HostArgs,
    /// The worker's enrolled identity.
    pub worker: String,
    /// The job server asks who comes: the first line on stdin is a [`crate::message::ToCore::Access`].
    pub asked: bool,
}

/// What a core is told of the machine, whatever it is to do: jobs, samples or records once more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostArgs {
    /// The replica with the company's data, such as `mysql://reader@127.0.0.1:3306/company`, when the worker has one.
    pub replica: Option<String>,
    /// A file with the password for the replica, when it needs one.
    pub replica_password_file: Option<PathBuf>,
    /// The table with the primary's heartbeat, as `schema.table`, where it is not the usual one.
    pub replica_heartbeat: Option<String>,
    /// How old data may be and still count as current, where that is not the usual time; to the millisecond.
    pub replica_max_behind: Option<Duration>,
    /// Plugins whose programs may run on a machine that cannot lock them in.
    pub allow_unsandboxed: Vec<String>,
}

/// How a core gets in at a job server that asks who comes. Never an argument or in the environment, where others could
/// read it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccessArgs {
    /// The pin of the servers' certificate authority; empty when none is needed.
    pub pin: String,
    /// The worker's credential.
    pub token: String,
    /// The machine's fingerprint.
    pub machine: String,
}

/// The credential is not shown.
impl fmt::Debug for AccessArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessArgs").field("pin", &self.pin).finish_non_exhaustive()
    }
}

/// A release as the core needs to know it: where its files are, and what to write into provenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseArgs {
    /// The slot's folder, absolute; the release's tree is `SLOT/tree`.
    pub slot: PathBuf,
    /// The release tag, `vX.Y.Z`.
    pub tag: String,
    /// The commit the tag names, 40 hex digits.
    pub commit: String,
}

/// An argument list that is not a core's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadArgs(String);

impl fmt::Display for BadArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "reading the core's arguments: {}; nightshift-core is started by nightshift-launcher, not by hand",
            self.0
        )
    }
}

impl std::error::Error for BadArgs {}

impl CoreArgs {
    /// The arguments in the order [`CoreArgs::parse`] reads them, without the program name.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![
            "--state-dir".into(),
            self.state_dir.clone().into(),
            "--slot".into(),
            self.release.slot.clone().into(),
            "--tag".into(),
            self.release.tag.clone().into(),
            "--commit".into(),
            self.release.commit.clone().into(),
            "--worker".into(),
            self.worker.clone().into(),
        ];
        if self.asked {
            args.extend(["--access".into(), "stdin".into()]);
        }
        for url in &self.jobservers {
            args.push("--jobserver".into());
            args.push(url.into());
        }
        if let Some(file) = &self.store_password_file {
            args.push("--store-password-file".into());
            args.push(file.into());
        }
        args.extend(self.host.to_args());
        args
    }

    /// Reads arguments without the program name. Every argument but `--access`, those of the replica, the password files and
    /// `--allow-unsandboxed` is required, `--jobserver` at least once.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<CoreArgs, BadArgs> {
        let (mut state_dir, mut slot, mut tag, mut commit, mut worker) = (None, None, None, None, None);
        let (mut store_password_file, mut jobservers, mut host) = (None, Vec::new(), HostArgs::default());
        let mut asked = false;
        let mut args = args.into_iter();
        while let Some(name) = args.next() {
            let name = text(name)?;
            let value = args.next().ok_or_else(|| BadArgs(format!("{name} has no value")))?;
            match name.as_str() {
                "--state-dir" => state_dir = Some(PathBuf::from(value)),
                "--slot" => slot = Some(PathBuf::from(value)),
                "--tag" => tag = Some(text(value)?),
                "--commit" => commit = Some(text(value)?),
                "--worker" => worker = Some(text(value)?),
                "--access" if value == "stdin" => asked = true,
                "--jobserver" => jobservers.push(text(value)?),
                "--store-password-file" => store_password_file = Some(PathBuf::from(value)),
                name => host.take(name, value)?,
            }
        }
        let missing = |name: &str| BadArgs(format!("{name} is missing"));
        if jobservers.is_empty() {
            return Err(missing("--jobserver"));
        }
        Ok(CoreArgs {
            state_dir: state_dir.ok_or_else(|| missing("--state-dir"))?,
            release: ReleaseArgs {
                slot: slot.ok_or_else(|| missing("--slot"))?,
                tag: tag.ok_or_else(|| missing("--tag"))?,
                commit: commit.ok_or_else(|| missing("--commit"))?,
            },
            jobservers,
            store_password_file,
            host,
            worker: worker.ok_or_else(|| missing("--worker"))?,
            asked,
        })
    }
}

impl HostArgs {
    /// The arguments in the order [`HostArgs::parse`] reads them.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = Vec::new();
        if let Some(replica) = &self.replica {
            args.extend(["--replica".into(), replica.into()]);
        }
        if let Some(file) = &self.replica_password_file {
            args.extend(["--replica-password-file".into(), file.into()]);
        }
        if let Some(table) = &self.replica_heartbeat {
            args.extend(["--replica-heartbeat".into(), table.into()]);
        }
        if let Some(time) = self.replica_max_behind {
            args.extend(["--replica-max-behind-ms".into(), time.as_millis().to_string().into()]);
        }
        for plugin in &self.allow_unsandboxed {
            args.extend(["--allow-unsandboxed".into(), plugin.into()]);
        }
        args
    }

    /// Reads arguments that say nothing else.
    ///
    /// # Errors
    /// The argument that says something else, or nothing.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<HostArgs, BadArgs> {
        let (mut host, mut args) = (HostArgs::default(), args.into_iter());
        while let Some(name) = args.next() {
            let name = text(name)?;
            let value = args.next().ok_or_else(|| BadArgs(format!("{name} has no value")))?;
            host.take(&name, value)?;
        }
        Ok(host)
    }

    fn take(&mut self, name: &str, value: OsString) -> Result<(), BadArgs> {
        match name {
            "--replica" => self.replica = Some(text(value)?),
            "--replica-password-file" => self.replica_password_file = Some(PathBuf::from(value)),
            "--replica-heartbeat" => self.replica_heartbeat = Some(text(value)?),
            "--replica-max-behind-ms" => {
                let millis = text(value)?.parse().map_err(|_| BadArgs(format!("{name} is no number")))?;
                self.replica_max_behind = Some(Duration::from_millis(millis));
            }
            "--allow-unsandboxed" => self.allow_unsandboxed.push(text(value)?),
            other => return Err(BadArgs(format!("{other} is unknown"))),
        }
        Ok(())
    }
}

fn text(value: OsString) -> Result<String, BadArgs> {
    value.into_string().map_err(|value| BadArgs(format!("{} is not UTF-8", value.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> CoreArgs {
        CoreArgs {
            state_dir: "/var/lib/nightshift".into(),
            release: ReleaseArgs { slot: "/s/v1.0.0".into(), tag: "v1.0.0".into(), commit: "c".repeat(40) },
            jobservers: vec!["http://a:1".into(), "http://b:2".into()],
            store_password_file: None,
            host: HostArgs { allow_unsandboxed: vec!["old-php".into()], ..HostArgs::default() },
            worker: "w-1".into(),
            asked: true,
        }
    }

    #[test]
    fn what_the_launcher_writes_the_core_reads() {
        assert_eq!(CoreArgs::parse(example().to_args()), Ok(example()));
        let direct = CoreArgs {
            store_password_file: Some("/etc/nightshift/store-password".into()),
            host: HostArgs {
                replica: Some("mysql://reader@127.0.0.1:3306/company".into()),
                replica_password_file: Some("/etc/nightshift/replica-password".into()),
                replica_heartbeat: Some("percona.heartbeat".into()),
                replica_max_behind: Some(Duration::from_millis(90_500)),
                ..example().host
            },
            ..example()
        };
        assert_eq!(CoreArgs::parse(direct.to_args()), Ok(direct.clone()));
        assert_eq!(HostArgs::parse(direct.host.to_args()), Ok(direct.host));
    }

    #[test]
    fn a_missing_or_unknown_argument_is_named() {
        let without = CoreArgs { jobservers: Vec::new(), ..example() };
        let args = without.to_args();
        let error = CoreArgs::parse(args).expect_err("no job server");
        assert!(error.to_string().contains("--jobserver is missing"), "{error}");
        let error = CoreArgs::parse(["--colour".into(), "red".into()]).expect_err("unknown");
        assert!(error.to_string().contains("--colour is unknown"), "{error}");
        let error = HostArgs::parse(["--worker".into(), "w-1".into()]).expect_err("no part of the machine");
        assert!(error.to_string().contains("--worker is unknown"), "{error}");
        let error = HostArgs::parse(["--replica-max-behind-ms".into(), "soon".into()]).expect_err("no number");
        assert!(error.to_string().contains("--replica-max-behind-ms is no number"), "{error}");
    }
}
