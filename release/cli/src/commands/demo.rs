//! `nightshift demo`: shows a whole grid on this machine. The story itself stands in [`crate::demo`].

use std::path::PathBuf;

use anyhow::Context;
use nightshift_contract::exit::Exit;

use crate::demo::{Data, Interrupt, replicated_make, tell};
use crate::refusal::refusal;
use crate::surroundings::Surroundings;

/// Show a whole grid on this machine, in under three minutes
///
/// In a temporary folder, on free ports, with a configuration of its own: makes a central repository, starts a job
/// server and three workers, matches 20,000 records with typing errors against 5,000 people and counts 1,000 names.
/// Meanwhile a new release is cut and taken, and the stop flag is raised and removed. In the end every record is
/// checked, every process ended, and only the result files are left.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the grid running until ctrl-c
    #[arg(long)]
    keep: bool,
    /// With a primary database and a replica for each worker, one of which breaks and is healed
    ///
    /// On the mysqld that NIGHTSHIFT_TEST_MYSQLD names, or else on the machine's mariadbd. No service is touched.
    #[arg(long)]
    mysql: bool,
    /// Your own records, a CSV with the columns of match-person and rec_id
    #[arg(long, value_name = "FILE", requires = "people")]
    records: Option<PathBuf>,
    /// Your own people, a CSV with the same columns and person_id
    #[arg(long, value_name = "FILE", requires = "records")]
    people: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let data = match (&args.people, &args.records) {
        (Some(people), Some(records)) => Data::read(&around.resolve(people), &around.resolve(records))?,
        _ => Data::generated(),
    };
    let make = args.mysql.then(replicated_make).transpose()?;
    let interrupt = Interrupt::listen()?;
    let folder = tempfile::Builder::new()
        .prefix("nightshift-demo-")
        .tempdir()
        .and_then(|folder| folder.keep().canonicalize())
        .context("making a temporary folder")?;
    let told = tell(&folder, &data, args.keep, make, &around.user, &around.screen, &interrupt);
    let left = format!("everything was ended; what is left to look at is in {}", folder.display());
    match told {
        // Whatever failed did so because of it.
        Err(_) if interrupt.heard() => Err(refusal(Exit::Failed, format!("interrupted; {left}"))),
        told => told.context(left).map(|()| Exit::Done),
    }
}
