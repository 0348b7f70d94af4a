//! `nightshift completion`: what a shell needs to complete the commands, made from the commands themselves.

use clap::CommandFactory;
use clap_complete::Shell;
use nightshift_contract::exit::Exit;

use crate::arguments::Arguments;
use crate::surroundings::Surroundings;

/// Print what completes these commands in a shell
///
/// For bash: nightshift completion bash > ~/.local/share/bash-completion/completions/nightshift
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "nightshift", &mut script);
    around.screen.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
