//! The commands, one file each, and which file does which command.

pub(crate) mod artifact;
pub(crate) mod batch_delete;
pub(crate) mod batch_errors;
pub(crate) mod batch_list;
pub(crate) mod batch_receipt;
pub(crate) mod batch_results;
pub(crate) mod batch_resume;
pub(crate) mod batch_retry;
pub(crate) mod batch_show;
pub(crate) mod batch_submit;
pub(crate) mod batch_suspend;
pub(crate) mod completion;
pub(crate) mod context;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod init;
pub(crate) mod job_delete;
pub(crate) mod job_edit;
pub(crate) mod job_explain;
pub(crate) mod job_list;
pub(crate) mod job_resume;
pub(crate) mod job_retry;
pub(crate) mod job_show;
pub(crate) mod job_suspend;
pub(crate) mod key_revoke;
pub(crate) mod key_rotate;
pub(crate) mod login;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod plugin_new;
pub(crate) mod plugin_test;
pub(crate) mod release_approve;
pub(crate) mod release_cut;
pub(crate) mod release_deny;
pub(crate) mod release_pause;
pub(crate) mod release_promote;
pub(crate) mod release_resume;
pub(crate) mod release_rollback;
pub(crate) mod release_status;
pub(crate) mod start;
pub(crate) mod stats;
mod stats_baseline;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod token_create;
pub(crate) mod token_list;
pub(crate) mod token_revoke;
pub(crate) mod worker_decide;
pub(crate) mod worker_drain;
pub(crate) mod worker_list;
pub(crate) mod worker_resume;
pub(crate) mod worker_rules;
pub(crate) mod worker_set;
pub(crate) mod worker_show;

use nightshift_contract::exit::Exit;

use crate::arguments::{Batch, Command, Job, Key, Plugin, Release, Token, Worker};
use crate::server::wait_for;
use crate::surroundings::Surroundings;

/// Does what was asked; how it went is the exit code.
pub(crate) fn run(command: Command, around: &Surroundings) -> anyhow::Result<Exit> {
    match command {
        Command::Init(args) => init::run(&args, around),
        Command::Plugin(Plugin::New(args)) => plugin_new::run(&args, around),
        Command::Plugin(Plugin::Test(args)) => plugin_test::run(&args, around),
        Command::Release(Release::Cut(args)) => release_cut::run(&args, around),
        Command::Release(Release::Status(args)) => wait_for(release_status::run(&args, around)),
        Command::Release(Release::Approve(args)) => release_approve::run(&args, around),
        Command::Release(Release::Promote(args)) => release_promote::run(&args, around),
        Command::Release(Release::Pause(args)) => release_pause::run(&args, around),
        Command::Release(Release::Resume(args)) => release_resume::run(&args, around),
        Command::Release(Release::Deny(args)) => release_deny::run(&args, around),
        Command::Release(Release::Rollback(args)) => release_rollback::run(&args, around),
        Command::Key(Key::Rotate(args)) => key_rotate::run(&args, around),
        Command::Key(Key::Revoke(args)) => key_revoke::run(&args, around),
        Command::Stop(args) => stop::run(&args, around),
        Command::Start(args) => start::run(&args, around),
        Command::Batch(Batch::Submit(args)) => wait_for(batch_submit::run(&args, around)),
        Command::Batch(Batch::List(args)) => wait_for(batch_list::run(&args, around)),
        Command::Batch(Batch::Show(args)) => wait_for(batch_show::run(&args, around)),
        Command::Batch(Batch::Results(args)) => wait_for(batch_results::run(&args, around)),
        Command::Batch(Batch::Errors(args)) => wait_for(batch_errors::run(&args, around)),
        Command::Batch(Batch::Receipt(args)) => wait_for(batch_receipt::run(&args, around)),
        Command::Batch(Batch::Suspend(args)) => wait_for(batch_suspend::run(&args, around)),
        Command::Batch(Batch::Resume(args)) => wait_for(batch_resume::run(&args, around)),
        Command::Batch(Batch::Retry(args)) => wait_for(batch_retry::run(&args, around)),
        Command::Batch(Batch::Delete(args)) => wait_for(batch_delete::run(&args, around)),
        Command::Job(Job::List(args)) => wait_for(job_list::run(&args, around)),
        Command::Job(Job::Show(args)) => wait_for(job_show::run(&args, around)),
        Command::Job(Job::Explain(args)) => wait_for(job_explain::run(&args, around)),
        Command::Job(Job::Suspend(args)) => wait_for(job_suspend::run(&args, around)),
        Command::Job(Job::Resume(args)) => wait_for(job_resume::run(&args, around)),
        Command::Job(Job::Edit(args)) => wait_for(job_edit::run(&args, around)),
        Command::Job(Job::Retry(args)) => wait_for(job_retry::run(&args, around)),
        Command::Job(Job::Delete(args)) => wait_for(job_delete::run(&args, around)),
        Command::Worker(Worker::List(args)) => wait_for(worker_list::run(&args, around)),
        Command::Worker(Worker::Approve(args)) => wait_for(worker_decide::approve(&args, around)),
        Command::Worker(Worker::Revoke(args)) => wait_for(worker_decide::revoke(&args, around)),
        Command::Worker(Worker::Rules(rules)) => wait_for(worker_rules::run(&rules, around)),
        Command::Artifact(artifacts) => wait_for(artifact::run(&artifacts, around)),
        Command::Token(Token::Create(args)) => wait_for(token_create::run(&args, around)),
        Command::Token(Token::List(args)) => wait_for(token_list::run(&args, around)),
        Command::Token(Token::Revoke(args)) => wait_for(token_revoke::run(&args, around)),
        Command::Login(args) => wait_for(login::run(&args, around)),
        Command::Worker(Worker::Show(args)) => wait_for(worker_show::run(&args, around)),
        Command::Worker(Worker::Drain(args)) => wait_for(worker_drain::run(&args, around)),
        Command::Worker(Worker::Resume(args)) => wait_for(worker_resume::run(&args, around)),
        Command::Worker(Worker::Set(args)) => wait_for(worker_set::run(&args, around)),
        Command::Status(args) => wait_for(status::run(&args, around)),
        Command::Stats(args) => wait_for(stats::run(&args, around)),
        Command::Context(contexts) => context::run(&contexts, around),
        Command::Doctor(args) => wait_for(doctor::run(&args, around)),
        Command::Completion(args) => completion::run(&args, around),
        Command::Man(args) => man::run(&args, around),
        Command::Plan(args) => plan::run(&args, around),
        Command::Demo(args) => demo::run(&args, around),
    }
}
