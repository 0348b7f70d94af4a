//! `nightshift-worker`: the part of a worker that never updates itself. It finds the launcher and becomes it.
//!
//! Standard library only, so that nothing that ever changes can break it. It stops and starts this one worker itself
//! (`stop`, `start`), because that must work when the launcher does not. Everything else is the launcher's: that of the
//! slot in force, when it brings one, else the installed one, which stands beside this program. From a launcher on trial
//! that comes to nothing boot falls back by itself ([`choice`]).

mod arguments;
mod choice;
mod process;
mod stop_file;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use arguments::{Action, Arguments, HELP};
use choice::Choice;
use nightshift_contract::boot_config;
use nightshift_contract::exit::Exit;
use nightshift_contract::holder::STUCK_AFTER;
use nightshift_contract::layout::{BOOT, DEFAULT_STATE_DIR, StateDir};

/// What could not be done, and how to end.
struct Failure {
    exit: Exit,
    message: String,
}

fn main() -> ExitCode {
    match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(arguments) => run(&arguments).unwrap_or_else(|failure| {
            talk(&format!("{BOOT}: {}", failure.message));
            failure.exit.into()
        }),
        Err(problem) => {
            talk(&format!("{BOOT}: {problem}; see {BOOT} --help"));
            Exit::Usage.into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.action {
        Action::Help => print(HELP.trim_end()),
        Action::Version => print(&format!("{BOOT} {}", env!("CARGO_PKG_VERSION"))),
        Action::Launch(command) => {
            // Without a configuration the installed launcher says what is wrong with it.
            let choice = match (*command, state_dir(&arguments.config)) {
                (_, Err(_)) => Choice::default(),
                ("run", Ok(state)) => choice::for_cycle(state, stuck_after(&arguments.config)),
                (_, Ok(state)) => choice::for_question(&state),
            };
            return Err(process::become_launcher(command, arguments, &choice));
        }
        Action::Stop { reason } => {
            let file = state_dir(&arguments.config)?.stop();
            stop_file::write(&file, reason)?;
            talk(&format!("this worker is stopped by {}; {BOOT} start lets it go on", file.display()));
        }
        Action::Start => {
            let file = state_dir(&arguments.config)?.stop();
            talk(&match stop_file::remove(&file)? {
                true => "this worker is no longer stopped here; a stop flag in the central repository still counts"
                    .to_owned(),
                false => format!("this worker was not stopped here: there is no {}", file.display()),
            });
        }
    }
    Ok(Exit::Done.into())
}

/// The state folder that the configuration names.
fn state_dir(config: &Path) -> Result<StateDir, Failure> {
    let usage = |message| Failure { exit: Exit::Usage, message };
    let text = std::fs::read_to_string(config)
        .map_err(|error| usage(format!("reading {}: {error}; name the right file with --config", config.display())))?;
    let named = boot_config::state_dir(&text).map_err(|error| usage(format!("{}, {error}", config.display())))?;
    let folder = named.unwrap_or_else(|| PathBuf::from(DEFAULT_STATE_DIR));
    if !folder.is_absolute() {
        let (config, folder) = (config.display(), folder.display());
        return Err(usage(format!("{config}, state_dir = \"{folder}\": write it from the root on")));
    }
    Ok(StateDir::new(folder))
}

/// How long a launcher may get nowhere before the launcher of the next cycle ends it. What the configuration should say and
/// does not is the launcher's to complain about.
fn stuck_after(config: &Path) -> Duration {
    let text = std::fs::read_to_string(config).unwrap_or_default();
    boot_config::stuck_after(&text).unwrap_or(STUCK_AFTER)
}

#[expect(clippy::print_stderr, reason = "what boot has to say goes to the person who called it")]
fn talk(message: &str) {
    eprintln!("{message}");
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn print(text: &str) {
    println!("{text}");
}
