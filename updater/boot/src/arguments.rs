//! Boot's arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use nightshift_contract::layout::DEFAULT_CONFIG;

/// The whole manual.
pub(crate) const HELP: &str = "\
nightshift-worker: a worker of the grid on this machine

  nightshift-worker run      one cycle: looks for stops and releases, then works until there is a reason not to;
                             cron calls it every ten minutes, and it says nothing while all is well
  nightshift-worker status   what the worker does, step by step, and why
  nightshift-worker doctor   tries every step and says what to do about each
        --json               status or doctor for programs
  nightshift-worker stop     stops this worker, until start
        --reason TEXT        why; shown in its status
  nightshift-worker start    lets it go on

        --config FILE        the worker's configuration [/etc/nightshift/worker.toml]

Exit codes: 0 done, 1 failed, 2 usage or configuration, 6 stopped, 8 a release was refused, 75 try again later.
";

/// What boot is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) action: Action,
    pub(crate) config: PathBuf,
    /// The launcher shall answer in JSON.
    pub(crate) json: bool,
}

/// The commands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Become the launcher with this command.
    Launch(&'static str),
    /// Write the local stop file.
    Stop {
        reason: String,
    },
    /// Remove it.
    Start,
    Help,
    Version,
}

impl Arguments {
    /// Reads arguments without the program's name. The error says what is wrong with them.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let (mut action, mut reason, mut json) = (None, None, false);
        let mut config = PathBuf::from(DEFAULT_CONFIG);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = |name: &str| arguments.next().ok_or_else(|| format!("{name} has no value"));
            let found = match argument.to_str().unwrap_or_default() {
                "run" => Action::Launch("run"),
                "status" => Action::Launch("status"),
                "doctor" => Action::Launch("doctor"),
                "stop" => Action::Stop { reason: String::new() },
                "start" => Action::Start,
                "-h" | "--help" | "help" => Action::Help,
                "-V" | "--version" => Action::Version,
                "--config" => {
                    config = value("--config")?.into();
                    continue;
                }
                "--reason" => {
                    reason = Some(value("--reason")?.to_string_lossy().into_owned());
                    continue;
                }
                "--json" => {
                    json = true;
                    continue;
                }
                _ => return Err(format!("{} is not understood", argument.display())),
            };
            if action.replace(found).is_some() {
                return Err("there is more than one command".to_owned());
            }
        }
        let action = match (action, reason) {
            (None, _) => return Err("there is no command: write run, status, doctor, stop or start".to_owned()),
            (Some(Action::Stop { .. }), reason) => Action::Stop { reason: reason.unwrap_or_default() },
            (Some(_), Some(_)) => return Err("--reason is for stop alone".to_owned()),
            (Some(action), None) => action,
        };
        if json && !matches!(action, Action::Launch("status" | "doctor")) {
            return Err("--json is for status and doctor alone".to_owned());
        }
        Ok(Self { action, config, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_command_and_its_options_may_come_in_any_order() {
        let stop = Arguments { action: Action::Stop { reason: "noise".into() }, config: "/w.toml".into(), json: false };
        assert_eq!(parse("stop --reason noise --config /w.toml").as_ref(), Ok(&stop));
        assert_eq!(parse("--config /w.toml --reason noise stop"), Ok(stop));
        let run = Arguments { action: Action::Launch("run"), config: DEFAULT_CONFIG.into(), json: false };
        assert_eq!(parse("run"), Ok(run));
        assert!(parse("status --json").is_ok_and(|status| status.json));
    }

    #[test]
    fn arguments_that_are_not_understood_are_named() {
        for (line, problem) in [
            ("", "no command"),
            ("run stop", "more than one command"),
            ("run --colour", "--colour"),
            ("run --config", "--config has no value"),
            ("start --reason x", "--reason is for stop"),
            ("run --json", "--json is for status"),
        ] {
            assert!(parse(line).expect_err(line).contains(problem), "{line}");
        }
    }
}
