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
use nightshift_contract::layout::{CORE, DEFAULT_CONFIG};
use nightshift_launcher::settings::Settings;
use nightshift_launcher::{cycle, doctor, log, screen};

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
    /// Checks everything a cycle needs, and says what to do about what is wrong.
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = match read_settings(&arguments.config) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    let done = match arguments.command {
        Command::Run => run(&settings),
        Command::Status { json } => screen::status(&settings.state, json).map_err(anyhow::Error::from),
        Command::Doctor { json } => doctor::run(&settings, &core_program(), json).map_err(anyhow::Error::from),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = error.downcast_ref::<cycle::CycleError>().map_or(Exit::Failed, cycle::CycleError::exit);
            fail(&error, exit)
        }
    }
}

fn run(settings: &Settings) -> anyhow::Result<Exit> {
    #[allow(clippy::disallowed_methods, reason = "main reads the environment")]
    let filter = std::env::var("NIGHTSHIFT_LOG").ok();
    if let Err(error) = log::start(&settings.state, filter.as_deref()) {
        let folder = settings.state.log();
        return Err(error).with_context(|| format!("writing the log in {}; is this the right user?", folder.display()));
    }
    let ending = cycle::run(settings, &core_program())?;
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

/// The core that came with this launcher: it stands beside it.
fn core_program() -> PathBuf {
    let me = std::env::current_exe().unwrap_or_default();
    me.with_file_name(CORE)
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
