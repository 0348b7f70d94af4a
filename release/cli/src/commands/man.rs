//! `nightshift man`: the manual as man pages, one for each command, made from the texts that `--help` prints.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use nightshift_contract::exit::Exit;

use crate::arguments::Arguments;
use crate::surroundings::Surroundings;

/// Write the manual as man pages
///
/// One page for each command, as in nightshift-batch-submit.1. Into ~/.local/share/man/man1 they are found by man.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to write them into; made when it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let dir = around.resolve(&args.dir);
    let doing = || format!("writing man pages into {}", dir.display());
    std::fs::create_dir_all(&dir).with_context(doing)?;
    // `help` of each command would be a page as well; what it prints is on the command's own.
    clap_mangen::generate_to(Arguments::command().disable_help_subcommand(true), &dir).with_context(doing)?;
    around.screen.good(format!(
        "man pages are in {}; read one with `man {}/nightshift.1`",
        dir.display(),
        dir.display()
    ));
    Ok(Exit::Done)
}
