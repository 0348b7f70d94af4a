//! The lines that launcher and core exchange while the core runs: one message a line, UTF-8, fields parted by tabs.
//!
//! The launcher writes [`ToCore`] on the core's stdin, the core writes [`FromCore`] on its stdout. The end of stdin
//! means that the launcher is gone: the core ends at once. A line neither side knows is ignored, so that a core and a
//! launcher of different releases get along.

use crate::handoff::{AccessArgs, ReleaseArgs};
use crate::protections::Protections;

/// What a launcher tells its core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToCore {
    /// After the job in hand, go on with the plugins of this release.
    Release(ReleaseArgs),
    /// Finish and hand in the job in hand, take no other, then end with 0. The text is the reason.
    Drain(String),
    /// Stop now: the last checkpoint stands, end with 6. The text is the reason.
    Stop(String),
    /// How to get in at the job server.
    Access(AccessArgs),
    /// The plugins that are stopped, all of them: one that is not named may run (again).
    Stopped(Vec<PluginStop>),
    /// The launcher has looked for stops and releases since the core said [`FromCore::Woke`] with this number.
    Looked(u64),
}

/// A plugin that is stopped while the rest of the worker goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginStop {
    /// The plugin's name.
    pub plugin: String,
    /// The job in hand is finished first; otherwise it ends at once.
    pub after_job: bool,
    /// Why.
    pub reason: String,
}

/// What a core tells its launcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromCore {
    /// The core got somewhere (a block done, a long-poll answered); a launcher that hears none for long ends the core.
    Progress,
    /// The core waits for work or for the job server. The text says what for.
    Waiting(String),
    /// The core works on a job: number of the job, plugin, records done and in all.
    Working {
        /// The job's number on the job server.
        job: i64,
        /// The plugin's name.
        plugin: String,
        /// Records processed so far.
        done: u64,
        /// Records of the job.
        total: u64,
    },
    /// A job goes back because its plugin failed at it, or is done with nothing but errors: number of the job, plugin, why.
    Failed {
        /// The job's number on the job server.
        job: i64,
        /// The plugin's name.
        plugin: String,
        /// What went wrong.
        why: String,
    },
    /// The core begins to open a plugin of the release it was told to use: its name.
    Opening(String),
    /// The release whose plugins the core now uses: its tag.
    Using(String),
    /// What plugins' programs are locked in by on this machine.
    Protected(Protections),
    /// Results that the job server did not take yet and that are kept: of so many jobs, so many bytes.
    Spooled {
        /// Jobs.
        jobs: u64,
        /// Bytes on disk.
        bytes: u64,
    },
    /// The machine slept, or the core was frozen: nothing is written or handed in before [`ToCore::Looked`] with this
    /// number.
    Woke(u64),
}

impl ToCore {
    /// The message as a line, with its newline.
    pub fn to_line(&self) -> String {
        match self {
            ToCore::Release(release) => {
                line(&["release", &release.slot.to_string_lossy(), &release.tag, &release.commit])
            }
            ToCore::Drain(reason) => line(&["drain", reason]),
            ToCore::Stop(reason) => line(&["stop", reason]),
            ToCore::Access(access) => line(&["access", &access.pin, &access.token, &access.machine]),
            ToCore::Stopped(stops) => {
                let fields = stops.iter().flat_map(|stop| [stop.plugin.as_str(), when(stop), stop.reason.as_str()]);
                line(&std::iter::once("stopped").chain(fields).collect::<Vec<_>>())
            }
            ToCore::Looked(number) => line(&["looked", &number.to_string()]),
        }
    }

    /// The message as logs show it: on one line, and nothing secret.
    pub fn for_log(&self) -> String {
        match self {
            ToCore::Access(_) => "access".to_owned(),
            other => other.to_line().trim_end().replace('\t', " "),
        }
    }

    /// Reads one line; `None` for a message this version does not know.
    pub fn parse(line: &str) -> Option<ToCore> {
        match fields(line).as_slice() {
            ["release", slot, tag, commit] => Some(ToCore::Release(ReleaseArgs {
                slot: slot.into(),
                tag: (*tag).to_owned(),
                commit: (*commit).to_owned(),
            })),
            ["drain", reason] => Some(ToCore::Drain((*reason).to_owned())),
            ["stop", reason] => Some(ToCore::Stop((*reason).to_owned())),
            ["access", pin, token, machine] => Some(ToCore::Access(AccessArgs {
                pin: (*pin).to_owned(),
                token: (*token).to_owned(),
                machine: (*machine).to_owned(),
            })),
            ["stopped", stops @ ..] if stops.len() % 3 == 0 => Some(ToCore::Stopped(
                stops
                    .chunks_exact(3)
                    .map(|stop| PluginStop {
                        plugin: stop[0].to_owned(),
                        after_job: stop[1] == AFTER_JOB,
                        reason: stop[2].to_owned(),
                    })
                    .collect(),
            )),
            ["looked", number] => Some(ToCore::Looked(number.parse().ok()?)),
            _ => None,
        }
    }
}

impl FromCore {
    /// The message as a line, with its newline.
    pub fn to_line(&self) -> String {
        match self {
            FromCore::Progress => line(&["progress"]),
            FromCore::Waiting(what) => line(&["waiting", what]),
            FromCore::Working { job, plugin, done, total } => {
                line(&["working", &job.to_string(), plugin, &done.to_string(), &total.to_string()])
            }
            FromCore::Failed { job, plugin, why } => line(&["failed", &job.to_string(), plugin, why]),
            FromCore::Opening(plugin) => line(&["opening", plugin]),
            FromCore::Using(tag) => line(&["using", tag]),
            FromCore::Protected(protections) => line(&["protected", &protections.to_words()]),
            FromCore::Spooled { jobs, bytes } => line(&["spooled", &jobs.to_string(), &bytes.to_string()]),
            FromCore::Woke(number) => line(&["woke", &number.to_string()]),
        }
    }

    /// Reads one line; `None` for a message this version does not know.
    pub fn parse(line: &str) -> Option<FromCore> {
        match fields(line).as_slice() {
            ["progress"] => Some(FromCore::Progress),
            ["waiting", what] => Some(FromCore::Waiting((*what).to_owned())),
            ["working", job, plugin, done, total] => Some(FromCore::Working {
                job: job.parse().ok()?,
                plugin: (*plugin).to_owned(),
                done: done.parse().ok()?,
                total: total.parse().ok()?,
            }),
            ["failed", job, plugin, why] => {
                Some(FromCore::Failed { job: job.parse().ok()?, plugin: (*plugin).to_owned(), why: (*why).to_owned() })
            }
            ["opening", plugin] => Some(FromCore::Opening((*plugin).to_owned())),
            ["using", tag] => Some(FromCore::Using((*tag).to_owned())),
            ["protected", words] => Some(FromCore::Protected(Protections::from_words(words))),
            ["spooled", jobs, bytes] => {
                Some(FromCore::Spooled { jobs: jobs.parse().ok()?, bytes: bytes.parse().ok()? })
            }
            ["woke", number] => Some(FromCore::Woke(number.parse().ok()?)),
            _ => None,
        }
    }
}

const AFTER_JOB: &str = "after-job";

fn when(stop: &PluginStop) -> &'static str {
    if stop.after_job { AFTER_JOB } else { "now" }
}

fn line(fields: &[&str]) -> String {
    let clean: Vec<String> = fields.iter().map(|field| field.replace(['\t', '\n', '\r'], " ")).collect();
    clean.join("\t") + "\n"
}

fn fields(line: &str) -> Vec<&str> {
    line.trim_end_matches(['\n', '\r']).split('\t').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let release = ReleaseArgs { slot: "/s/a b".into(), tag: "v1.2.3".into(), commit: "c".repeat(40) };
        for message in [ToCore::Release(release), ToCore::Drain("why".into()), ToCore::Stop("STOP pushed".into())] {
            assert_eq!(message.for_log(), message.to_line().trim_end().replace('\t', " "));
            assert_eq!(ToCore::parse(&message.to_line()), Some(message));
        }
        for message in [
            FromCore::Progress,
            FromCore::Waiting("work".into()),
            FromCore::Working { job: 7, plugin: "name-count".into(), done: 3, total: 1000 },
            FromCore::Failed { job: 7, plugin: "name-count".into(), why: "no such table".into() },
            FromCore::Opening("name-count".into()),
            FromCore::Using("v1.2.3".into()),
            FromCore::Protected(Protections { bubblewrap: true, landlock: 6, seccomp: true, own_user: true }),
            FromCore::Spooled { jobs: 2, bytes: 4_096 },
            FromCore::Woke(3),
        ] {
            assert_eq!(FromCore::parse(&message.to_line()), Some(message));
        }
    }

    #[test]
    fn plugins_that_are_stopped_are_read_as_they_were_written_and_none_is_a_message_too() {
        let stop = |plugin: &str, after_job| PluginStop { plugin: plugin.into(), after_job, reason: "a\tb".into() };
        let message = ToCore::Stopped(vec![stop("a", true), stop("b", false)]);
        assert_eq!(message.to_line(), "stopped\ta\tafter-job\ta b\tb\tnow\ta b\n");
        let read = |line: &str| ToCore::parse(line).expect("understood").to_line();
        assert_eq!(read(&message.to_line()), message.to_line());
        assert_eq!(ToCore::parse(&ToCore::Stopped(Vec::new()).to_line()), Some(ToCore::Stopped(Vec::new())));
        assert_eq!(ToCore::parse(&ToCore::Looked(7).to_line()), Some(ToCore::Looked(7)));
    }

    #[test]
    fn a_credential_is_read_as_it_was_written_and_is_in_no_log() {
        let access = AccessArgs { pin: String::new(), token: "ns_worker_1".into(), machine: "m".into() };
        let message = ToCore::Access(access);
        assert_eq!(ToCore::parse(&message.to_line()).as_ref(), Some(&message));
        assert!(!format!("{message:?}{}", message.for_log()).contains("ns_worker_1"));
    }

    #[test]
    fn a_reason_with_line_ends_stays_one_message() {
        let line = ToCore::Stop("two\nlines\tand a tab".into()).to_line();
        assert_eq!(line, "stop\ttwo lines and a tab\n");
    }

    #[test]
    fn a_message_of_a_later_version_is_ignored() {
        assert_eq!(ToCore::parse("dance\tnow\n"), None);
        assert_eq!(FromCore::parse("working\tx\ty\tz\n"), None);
    }
}
