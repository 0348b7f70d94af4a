//! `nightshift job edit`: other priority, requirements or plugin for jobs that are not done.

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::requires::megabytes;
use nightshift_wire::{JobAction, JobEdit, JobFilter, JobId, Requirements};

use crate::job_change::{ChangeArgs, Narrowing, change};
use crate::refusal::{OrRefuse as _, refusal};
use crate::server::number;
use crate::surroundings::Surroundings;

/// Change whom jobs are for, and when they go out
///
/// The jobs get a higher revision: a worker that has one in hand drops it, and results from before are refused. Any of
/// --memory, --disk, --tag and --min-release replaces all requirements the jobs had; --no-requirements drops them.
///
/// Give jobs by number, or choose them by the flags; then their number is shown first and you are asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The jobs' numbers; without any, the flags choose
    #[arg(value_name = "ID", value_parser = number, required_unless_present_any = ["batch", "state", "plugin", "release", "worker", "owner"])]
    ids: Vec<JobId>,
    #[command(flatten)]
    narrowing: Narrowing,
    /// Higher goes first
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = "Edits")]
    priority: Option<i32>,
    /// The plugin that shall process them
    #[arg(long, value_name = "NAME", help_heading = "Edits")]
    to_plugin: Option<String>,
    /// Memory a worker must have, as in 512MB
    #[arg(long, value_name = "AMOUNT", help_heading = "Edits")]
    memory: Option<String>,
    /// Disk space a worker must have free, as in 2GB
    #[arg(long, value_name = "AMOUNT", help_heading = "Edits")]
    disk: Option<String>,
    /// A tag a worker must have; several add up
    #[arg(long, value_name = "TAG", help_heading = "Edits")]
    tag: Vec<String>,
    /// The oldest release that may process them
    #[arg(long, value_name = "VERSION", help_heading = "Edits")]
    min_release: Option<String>,
    /// Any worker may take them
    #[arg(long, conflicts_with_all = ["memory", "disk", "tag", "min_release"], help_heading = "Edits")]
    no_requirements: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let edit = edit(args)?;
    if edit == JobEdit::default() {
        return Err(refusal(Exit::Usage, "nothing to edit: give --priority, --to-plugin or requirements"));
    }
    let filter: JobFilter = args.narrowing.filter(&args.ids);
    change(JobAction::Edit(edit), filter, "edited", &args.change, around).await
}

fn edit(args: &Args) -> anyhow::Result<JobEdit> {
    let amount = |flag: &str, value: &Option<String>| match value {
        None => Ok(0),
        Some(text) => megabytes(text).map_err(anyhow::Error::msg).or_refuse(Exit::Usage, || format!("--{flag}")),
    };
    let requirements = Requirements {
        memory_mb: amount("memory", &args.memory).context("reading the requirements")?,
        disk_mb: amount("disk", &args.disk).context("reading the requirements")?,
        tags: args.tag.iter().cloned().collect(),
        release: args.min_release.clone(),
    };
    let edits = args.no_requirements || requirements != Requirements::default();
    Ok(JobEdit { priority: args.priority, requirements: edits.then_some(requirements), plugin: args.to_plugin.clone() })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn edited(words: &[&str]) -> anyhow::Result<JobEdit> {
        edit(&Line::try_parse_from([&["edit"], words].concat()).expect("well formed").args)
    }

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let edit = edited(&["7", "--priority", "-3"]).expect("an edit");
        assert_eq!(edit, JobEdit { priority: Some(-3), ..JobEdit::default() });
        let none = edited(&["7", "--no-requirements"]).expect("an edit");
        assert_eq!(none.requirements, Some(Requirements::default()));
    }

    #[test]
    fn requirements_are_replaced_as_a_whole() {
        let words = ["7", "--memory", "2GB", "--tag", "gpu", "--tag", "floor:3", "--min-release", "1.4.0"];
        let asked = edited(&words).expect("an edit").requirements.expect("requirements");
        assert_eq!((asked.memory_mb, asked.disk_mb, asked.tags.len()), (2_000, 0, 2));
        assert_eq!(asked.release.as_deref(), Some("1.4.0"));
        let error = format!("{:#}", edited(&["7", "--disk", "lots"]).expect_err("no amount"));
        assert!(error.contains("--disk") && error.contains("\"lots\" is no amount"), "{error}");
    }
}
