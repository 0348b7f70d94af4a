//! What can be typed after `nightshift`. The texts here are the manual: `nightshift help COMMAND` prints them.
//!
//! Each command's own arguments stand in the file of that command.

use clap::{Parser, Subcommand};

use crate::commands::{
    artifact, batch_delete, batch_errors, batch_list, batch_receipt, batch_results, batch_resume, batch_retry,
    batch_show, batch_submit, batch_suspend, completion, context, demo, doctor, init, job_delete, job_edit,
    job_explain, job_list, job_resume, job_retry, job_show, job_suspend, key_revoke, key_rotate, login, man, plan,
    plugin_new, plugin_test, release_approve, release_cut, release_deny, release_pause, release_promote,
    release_resume, release_rollback, release_status, start, stats, status, stop, token_create, token_list,
    token_revoke, worker_decide, worker_drain, worker_list, worker_resume, worker_rules, worker_set, worker_show,
};

const MANUAL: &str = "\
Everything a person does with a Nightshift grid: make one, release plugins to it, hand in batches, stop it.

A grid is a central git repository, a job server and its workers. Releases are signed tags of the repository; a file \
called STOP on its control branch stops every worker. Data goes to standard output, talk to standard error. With \
--json the data is JSON for scripts; its `version` is raised when a field changes its meaning or goes away. (What prints \
records, completion, man and demo have no --json.)

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not found, 4 not allowed, 5 finished but some records have \
errors, 6 stopped by the stop flag, 7 the replica is not current and so nothing could run, 8 a release was refused, 75 try again later.

Your configuration is $XDG_CONFIG_HOME/nightshift/config.toml (~/.config/nightshift/config.toml), made by \
`nightshift init`:
  jobserver       URL of the job server            (http://127.0.0.1:7070)
  repository      URL of the central repository, for `stop` and `start` outside a clone of it
  control_branch  the branch with the stop flag    (control)
  signing_key     the private key for releases     (signing_key, beside config.toml)
  recovery_key    where `init` puts the recovery key (recovery_key, beside config.toml)

Who works with several grids has a context for each, [contexts.NAME] with the same keys: `nightshift login URL --context \
NAME` makes one, `nightshift context use NAME` takes one into use, and --context NAME with any command, or \
NIGHTSHIFT_CONTEXT, takes another for once.";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "nightshift",
    version,
    about = "Turns idle office PCs into a grid for batch jobs.",
    long_about = MANUAL,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    // For every command, and so in the manual of none: the text above says it once.
    #[arg(long, global = true, hide = true, value_name = "NAME", env = "NIGHTSHIFT_CONTEXT")]
    pub(crate) context: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    /// Make and try plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// Cut releases and see which ones the grid takes
    #[command(subcommand)]
    Release(Release),
    /// Change the key that signs releases, and revoke keys
    #[command(subcommand)]
    Key(Key),
    Stop(stop::Args),
    Start(start::Args),
    /// Hand in batches and fetch their results
    #[command(subcommand)]
    Batch(Batch),
    /// See and change the jobs that batches were split into
    #[command(subcommand)]
    Job(Job),
    /// See and change the workers, let them in, let them in no more
    #[command(subcommand)]
    Worker(Worker),
    /// Make tokens, list and revoke them
    #[command(subcommand)]
    Token(Token),
    /// See and change the files that the job server keeps for the grid
    #[command(subcommand)]
    Artifact(artifact::Artifacts),
    Login(login::Args),
    /// Which grid the commands are about, for who works with several
    #[command(subcommand)]
    Context(context::Contexts),
    Status(status::Args),
    Stats(Box<stats::Args>),
    Plan(Box<plan::Args>),
    Doctor(doctor::Args),
    Demo(demo::Args),
    Completion(completion::Args),
    Man(man::Args),
}

/// `nightshift plugin …`
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    New(plugin_new::Args),
    Test(plugin_test::Args),
}

/// `nightshift release …`
#[derive(Debug, Subcommand)]
pub(crate) enum Release {
    Cut(release_cut::Args),
    #[command(alias = "list")]
    Status(release_status::Args),
    Approve(release_approve::Args),
    Promote(release_promote::Args),
    Pause(release_pause::Args),
    Resume(release_resume::Args),
    Deny(release_deny::Args),
    Rollback(release_rollback::Args),
}

/// `nightshift key …`
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    Rotate(key_rotate::Args),
    Revoke(key_revoke::Args),
}

/// `nightshift batch …`
#[derive(Debug, Subcommand)]
pub(crate) enum Batch {
    Submit(Box<batch_submit::Args>),
    List(batch_list::Args),
    Show(batch_show::Args),
    Results(batch_results::Args),
    Errors(batch_errors::Args),
    Receipt(batch_receipt::Args),
    Suspend(batch_suspend::Args),
    Resume(batch_resume::Args),
    Retry(batch_retry::Args),
    Delete(batch_delete::Args),
}

/// `nightshift job …`
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    List(job_list::Args),
    Show(job_show::Args),
    Explain(job_explain::Args),
    Suspend(job_suspend::Args),
    Resume(job_resume::Args),
    Edit(job_edit::Args),
    Retry(job_retry::Args),
    Delete(job_delete::Args),
}

/// `nightshift worker …`
#[derive(Debug, Subcommand)]
pub(crate) enum Worker {
    List(worker_list::Args),
    Show(worker_show::Args),
    Drain(worker_drain::Args),
    Resume(worker_resume::Args),
    Set(worker_set::Args),
    Approve(worker_decide::ApproveArgs),
    Revoke(worker_decide::RevokeArgs),
    /// See and change the rules by which workers are let in without a person
    #[command(subcommand)]
    Rules(worker_rules::Rules),
}

/// `nightshift token …`
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    Create(token_create::Args),
    List(token_list::Args),
    Revoke(token_revoke::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// What prints no JSON, and why.
    const OTHERS: [(&str, &str); 5] = [
        ("batch results", "the records themselves, as CSV or JSON lines: --format says which"),
        ("batch errors", "records, too"),
        ("demo", "tells a person a story, and asks for ctrl-c at its end"),
        ("completion", "a script for a shell"),
        ("man", "writes man pages into a folder"),
    ];

    /// The names of all commands that do something themselves, and whether each prints JSON.
    fn leaves(command: &clap::Command, above: &str, found: &mut Vec<(String, bool)>) {
        for below in command.get_subcommands() {
            let name = format!("{above} {}", below.get_name()).trim_start().to_owned();
            if !below.is_subcommand_required_set() {
                found.push((name.clone(), below.get_arguments().any(|argument| argument.get_long() == Some("json"))));
            }
            leaves(below, &name, found);
        }
    }

    #[test]
    fn every_command_prints_json_but_for_those_that_print_something_else() {
        let mut found = Vec::new();
        leaves(&Arguments::command(), "", &mut found);
        let without: Vec<&str> = found.iter().filter(|(_, json)| !json).map(|(name, _)| name.as_str()).collect();
        assert_eq!(without, OTHERS.map(|(name, _)| name));
        assert!(found.iter().any(|(name, json)| name == "stats" && *json), "{found:?}");
    }
}
