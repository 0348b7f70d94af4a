//! `nightshift`, the command line of a grid: release manager, admin, batch owner and plugin author work with it.
//!
//! This file reads arguments, environment and terminal, once; everything else gets them as values. How the program ends
//! is decided here, too: see [`nightshift_contract::exit`].

mod arguments;
mod authority;
mod binaries;
mod candidate;
mod checks;
mod clock;
mod commands;
mod config;
mod contexts;
mod control;
mod credentials;
mod demo;
mod figures;
mod git;
mod grid_clone;
mod job_change;
mod key_change;
mod list;
mod new_grid;
mod output;
mod plan_report;
mod program;
mod refusal;
mod releases;
mod same_grid;
mod sample_server;
mod server;
mod signing_key;
mod stats_report;
mod stopping;
mod surroundings;
mod swap;
mod table;
mod templates;
mod urls;
mod vote_tag;
mod wait;
mod workers;

use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use nightshift_contract::exit::Exit;
use nightshift_plugin::Host;
use nightshift_plugin::sandbox::{self, Sandbox};

use crate::arguments::{Arguments, Command};
use crate::config::Choice;
use crate::output::Screen;
use crate::refusal::{exit_of, refusal};
use crate::surroundings::Surroundings;

fn main() -> ExitCode {
    // Before anything else: this process may be one that becomes a plugin's program.
    if let Some(exit) = sandbox::entered(std::env::args_os()) {
        return exit;
    }
    // Ends the program itself on --help, --version and wrong usage, with 0 and 2.
    let arguments = Arguments::parse();
    let width = terminal_size::terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0));
    let screen = || Screen::new(stderr().is_terminal(), variable("NO_COLOR").is_none()).fitted_to(width);
    let makes_contexts = matches!(arguments.command, Command::Login(_) | Command::Context(_));
    let context = Choice { name: arguments.context.as_deref(), may_be_new: makes_contexts };
    let result = surroundings(screen(), context).and_then(|around| commands::run(arguments.command, &around));
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            screen().error(&error);
            exit_of(&error).into()
        }
    }
}

fn surroundings(screen: Screen, context: Choice<'_>) -> anyhow::Result<Surroundings> {
    let config_home = match (variable("XDG_CONFIG_HOME"), variable("HOME")) {
        (Some(folder), _) => PathBuf::from(folder),
        (None, Some(home)) => PathBuf::from(home).join(".config"),
        (None, None) => return Err(refusal(Exit::Usage, "neither XDG_CONFIG_HOME nor HOME says where your home is")),
    };
    let config_dir = config_home.join("nightshift");
    let user = variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "nightshift".into());
    Ok(Surroundings {
        screen,
        host: Host { sandbox: std::env::current_exe().ok().map(Sandbox::new), ..Host::default() },
        config: config::read(&config_dir, context)?,
        credentials: credentials::read(&config_dir)?,
        config_dir,
        current_dir: std::env::current_dir().context("looking for the current folder")?,
        user: user.to_string_lossy().into_owned(),
        can_ask: stdin().is_terminal() && stderr().is_terminal(),
    })
}

/// A variable of the environment; an empty one counts as absent.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
