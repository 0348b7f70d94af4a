//! `nightshift-launcher`: one cycle of a worker (`run`), what the last one found (`status`), what is wrong (`doctor`).
//!
//! Started by `nightshift-worker`, which becomes it. Arguments and environment are read here and nowhere else. A quiet
//! cycle prints nothing, because cron mails what is printed.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use nightshift_contract::exit::Exit;
use nightshift_contract::handoff::SELF_CHECK;
use nightshift_contract::layout::DEFAULT_CONFIG;
use nightshift_engine::binaries::keep_temporary_files_in;
use nightshift_launcher::installed::Installed;
use nightshift_launcher::self_check::{self, SelfCheckError};
use nightshift_launcher::settings::Settings;
use nightshift_launcher::watchdog::{self, NOTIFY_SOCKET};
use nightshift_launcher::{cycle, doctor, log, screen};
use nightshift_manifest::binaries::Program;

/// One cycle of a Nightshift worker.
#[derive(Parser)]
#[command(name = "nightshift-launcher", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The worker's configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// The boot program that started this one.
    #[arg(long, global = true, hide = true)]
    boot: Option<PathBuf>,
    /// The program that it chose: this one, or what started this one in its place.
    #[arg(long, global = true, hide = true)]
    launcher: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Does one cycle: look, sync, hand off to the core, watch over it.
    Run,
    /// Says what the last or running cycle found, step by step, and what to do.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows that this launcher could do a cycle, before it comes into force.
    #[command(name = SELF_CHECK, hide = true)]
    SelfCheck {
        /// A folder of its own.
        scratch: PathBuf,
    },
    /// Checks everything a cycle needs, and says what to do about what is wrong.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(debug_assertions)]
    #[allow(clippy::disallowed_methods, reason = "main reads the environment")]
    if let Ok(step) = std::env::var("NIGHTSHIFT_DIE_AFTER") {
        nightshift_engine::steps::die_after(&step);
    }
    let settings = match read_settings(&arguments.config) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let me = arguments.launcher.or_else(|| std::env::current_exe().ok()).unwrap_or_default();
    let installed = Installed::new(arguments.boot, me, arguments.config);
    let done = match arguments.command {
        Command::SelfCheck { scratch } => {
            self_check::show(&settings.source, &settings.state, &scratch).map(|()| Exit::Done).map_err(Into::into)
        }
        Command::Run => run(&settings, &installed),
        Command::Status { json } => screen::status(&settings.state, json).map_err(anyhow::Error::from),
        Command::Doctor { json } => {
            if let Some(why) = doctor::refuses_root(&settings.state, &installed.config) {
                return fail(&anyhow::Error::msg(why), Exit::NotAllowed);
            }
            doctor::run(&settings, &installed.of(None, Program::Core), json).map_err(anyhow::Error::from)
        }
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            let of_cycle = error.downcast_ref().map(cycle::CycleError::exit);
            let exit = of_cycle.or_else(|| error.downcast_ref().map(SelfCheckError::exit));
            fail(&error, exit.unwrap_or(Exit::Failed))
        }
    }
}

fn run(settings: &Settings, installed: &Installed) -> anyhow::Result<Exit> {
    #[allow(clippy::disallowed_methods, reason = "main reads the environment")]
    let filter = std::env::var("NIGHTSHIFT_LOG").ok();
    if let Err(error) = log::start(&settings.state, filter.as_deref()) {
        let folder = settings.state.log();
        return Err(error).with_context(|| format!("writing the log in {}; is this the right user?", folder.display()));
    }
    keep_temporary_files_in(&settings.state.downloads());
    #[allow(clippy::disallowed_methods, reason = "main reads the environment")]
    let manager = std::env::var_os(NOTIFY_SOCKET);
    if let Some(Err(error)) = manager.as_deref().map(watchdog::tell) {
        tracing::warn!(%error, "the service manager cannot be told that this launcher gets on");
    }
    let ending = cycle::run(settings, installed)?;
    if ending.give_way {
        // Comes back only when it failed; the next cycle tries again.
        let error = installed.begin_again();
        tracing::error!(%error, "the launcher in force could not be started through boot");
    }
    // A person at a terminal wants to know why nothing runs; cron's mail would only repeat what is meant to be so.
    let needs_a_person = !matches!(ending.exit, Exit::Done | Exit::Stopped);
    if !ending.words.is_empty() && (needs_a_person || io::stderr().is_terminal()) {
        say(&ending.words);
    }
    Ok(ending.exit)
}

fn read_settings(config: &Path) -> anyhow::Result<Settings> {
    let name = config.display();
    let text = std::fs::read_to_string(config).with_context(|| {
        format!("reading {name}; name another file with --config, or make one with `nightshift init`")
    })?;
    Ok(Settings::parse(&text, &name.to_string())?)
}

fn fail(error: &anyhow::Error, exit: Exit) -> ExitCode {
    tracing::error!("{error:#}");
    say(&format!("{error:#}"));
    exit.into()
}

fn say(words: &str) {
    // Nobody can be told when stderr is closed.
    let _ = writeln!(io::stderr(), "nightshift-worker: {words}");
}
