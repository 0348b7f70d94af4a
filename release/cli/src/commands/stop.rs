//! `nightshift stop`: raises the stop flag in the repository and at the job server. Unsigned, because stopping is the easy
//! direction; it has succeeded when either took it.

use std::time::Duration;

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::stop::{Scope, When};
use nightshift_wire::{StopRequest, Worker};
use serde::Serialize;

use crate::clock::Stopwatch;
use crate::commands::worker_list::shut_out;
use crate::control::{Control, RepositoryArgs};
use crate::figures::counted;
use crate::output::Screen;
use crate::refusal::refusal;
use crate::same_grid::Check;
use crate::server::{ServerArgs, wait_for};
use crate::stopping::{Tally, count};
use crate::surroundings::Surroundings;
use crate::templates::toml_string;
use crate::wait;

/// Stop the whole grid, or a part of it
///
/// Tells the central repository (a file STOP on its control branch) and the job server, and succeeds when either took it.
/// Workers that can reach the job server stop within seconds, all others at their next look, within a minute, whatever
/// they do. They stay stopped until `nightshift start`. With plain git: `git push origin HEAD:refs/heads/stop` does the
/// same. Then the workers are counted until none runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; every worker's status shows it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Let workers finish the job in hand
    #[arg(long)]
    after_job: bool,
    /// Stop this plugin alone; workers go on with others
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Stop only workers whose id or machine's name is like this; * is any text, ? any character
    #[arg(long, value_name = "GLOB")]
    worker: Option<String>,
    /// Stop only workers on this release
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// Do not wait until no worker runs
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for that, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    wait_for: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// What became of the stop, for scripts.
#[derive(Debug, Serialize)]
struct Told {
    /// The repository took it, or had it already.
    repository: bool,
    /// Why it did not; empty when it did.
    repository_problem: String,
    /// The job server took it.
    job_server: bool,
    /// Why it did not; empty when it did.
    job_server_problem: String,
    /// The workers it concerns, when the job server can say.
    workers: Option<Tally>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let worker = args.worker_meant(around);
    let scope = args.scope(worker.as_deref())?;
    let (content, message) = flag(args.reason.as_deref(), &scope);
    let silent = Screen::silent();
    let screen = if args.json { &silent } else { &around.screen };
    // Both at once: a repository that does not answer must not keep the job server from hearing of it.
    let (repository, job_server) = std::thread::scope(|threads| {
        let repository = threads.spawn(|| -> anyhow::Result<_> {
            let control = Control::open(&args.repository, around)?;
            let standing = control.stop(&scope, &content, &message)?;
            Ok((control.url, standing))
        });
        let job_server = Check::of(&args.repository, &args.server, around)
            .and_then(|check| check.refuse_another(&args.server, around))
            .and_then(|()| {
                wait_for(async { Ok(args.server.client(around)?.raise_stop(&args.request(worker.as_deref())).await?) })
            });
        let broken = |_| Err(anyhow::anyhow!("raising the stop flag broke off"));
        (repository.join().unwrap_or_else(broken), job_server)
    });
    let url = args.server.url(around);
    match &repository {
        Ok((repository, None)) => screen.good(format!("the stop flag is raised in {repository}")),
        Ok((repository, Some(standing))) => screen.say(format!("{repository} was stopped already: {standing}")),
        Err(error) if job_server.is_ok() => screen.warn(format!("the repository did not take the stop: {error:#}")),
        Err(_) => {}
    }
    match &job_server {
        Ok(_) => screen.good(format!("the job server {url} is told")),
        Err(error) => screen.warn(format!("the job server did not take the stop: {error:#}")),
    }
    let problem = |error: Option<&anyhow::Error>| error.map(|error| format!("{error:#}")).unwrap_or_default();
    let mut told = Told {
        repository: repository.is_ok(),
        repository_problem: problem(repository.as_ref().err()),
        job_server: job_server.is_ok(),
        job_server_problem: problem(job_server.as_ref().err()),
        workers: None,
    };
    if job_server.is_err() {
        repository.context("neither the repository nor the job server took the stop")?;
        screen.say("Workers stop at their next look, within a minute. `nightshift start` starts them again.");
    } else if args.plugin.is_some() {
        screen.say("Workers go on with other plugins. `nightshift start` starts it again.");
    } else {
        screen.say("Workers stop within seconds, all others at their next look. `nightshift start` starts them again.");
        told.workers = args.count_until_none_runs(&scope, around, screen)?;
    }
    if args.json {
        around.screen.json("stop", &told)?;
    }
    if told.workers.is_some_and(|workers| workers == Tally::default()) && !scope.is_everything() {
        screen.warn("the job server knows no such worker now; --worker takes identities, hosts and names given here, and * for any text");
    }
    let still = told.workers.map_or(0, |workers| workers.running);
    if still > 0 && !args.no_wait {
        let still = counted(still, "worker");
        screen.warn(format!("still at work: {still}; the stop stands, see `nightshift worker list`"));
        return Ok(Exit::TryLater);
    }
    Ok(Exit::Done)
}

impl Args {
    /// The worker, by its identity where the flag gives the name that people gave it: workers know their identity and their
    /// host, and no other name. A job server that does not say leaves it as it was written.
    fn worker_meant(&self, around: &Surroundings) -> Option<String> {
        let said = self.worker.as_deref()?;
        let known = wait_for(async { Ok(self.server.client(around)?.workers().await?) }).unwrap_or_default();
        let named: Vec<&Worker> = known.iter().filter(|worker| worker.name.eq_ignore_ascii_case(said)).collect();
        let is_known = known.iter().any(|worker| worker.report.worker == said || worker.report.host == said);
        match named.as_slice() {
            [one] if !is_known => Some(one.report.worker.clone()),
            _ => Some(said.to_owned()),
        }
    }

    fn scope(&self, worker: Option<&str>) -> anyhow::Result<Scope> {
        let when = self.after_job.then_some(When::AfterJob.word());
        Scope::read(self.plugin.as_deref(), worker, self.release.as_deref(), when).map_err(|error| {
            refusal(
                Exit::Usage,
                format!("{error}; nothing was stopped. Leave it out to stop everything, or correct it"),
            )
        })
    }

    fn request(&self, worker: Option<&str>) -> StopRequest {
        StopRequest {
            reason: self.reason.clone().unwrap_or_default(),
            plugin: self.plugin.clone(),
            worker: worker.map(str::to_owned),
            release: self.release.clone(),
            when: self.after_job.then(|| When::AfterJob.word().to_owned()),
        }
    }

    /// Counts the workers until none runs or the time is over, telling each change; `None` when nobody can say.
    fn count_until_none_runs(
        &self,
        scope: &Scope,
        around: &Surroundings,
        screen: &Screen,
    ) -> anyhow::Result<Option<Tally>> {
        let (begun, limit) = (Stopwatch::start(), Duration::from_secs(self.wait_for));
        wait_for(async {
            let client = self.server.client(around)?;
            let mut last = None;
            loop {
                let seen = async {
                    let (mut workers, enrolments) =
                        (client.workers().await?, client.enrolments().await.unwrap_or_default());
                    // Who is let in no more does nothing, whatever it said last.
                    workers.retain(|worker| shut_out(worker, &enrolments).is_none());
                    Ok::<_, nightshift_client::ClientError>((workers, client.status().await?))
                };
                match seen.await {
                    Ok((workers, status)) => {
                        let tally = count(&workers, scope, status.now);
                        if last.replace(tally) != Some(tally) {
                            screen.say(tally.in_words());
                        }
                        if tally.running == 0 {
                            return Ok(last);
                        }
                    }
                    // Whoever may stop need not be one who may see the workers; and a job server may go away.
                    Err(error) if !error.is_retryable() => {
                        screen.warn(format!("the workers cannot be counted: {:#}", anyhow::Error::new(error)));
                        return Ok(last);
                    }
                    Err(_) => {}
                }
                if self.no_wait || begun.elapsed() >= limit {
                    return Ok(last);
                }
                wait::between_counts().await;
            }
        })
    }
}

/// The flag's content and the message of its commit.
pub(crate) fn flag(reason: Option<&str>, scope: &Scope) -> (String, String) {
    let (what, mut content) = match scope.in_words() {
        None => ("the grid".to_owned(), "# Stops every worker; `nightshift start` removes it.\n".to_owned()),
        Some(what) => (what.clone(), format!("# Stops {what}; `nightshift start` removes it.\n")),
    };
    let after_job = (scope.when() == When::AfterJob).then(|| scope.when().word().to_owned());
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    let keys = [
        ("reason", reason.map(ToOwned::to_owned)),
        ("plugin", scope.plugin().map(ToOwned::to_owned)),
        ("worker", scope.worker()),
        ("release", scope.release()),
        ("when", after_job),
    ];
    for (key, value) in keys {
        if let Some(value) = value {
            content += &format!("{key} = {}\n", toml_string(&value));
        }
    }
    (content, format!("Stop {what}{}\n", reason.map(|reason| format!(": {reason}")).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_manifest::stop::StopFlag;

    #[test]
    fn the_reason_and_the_scope_reach_the_workers_as_they_were_typed() {
        let seen = |reason, scope: &Scope| {
            let (content, _) = flag(reason, scope);
            StopFlag::of_entry(b"STOP", "control", Some(content.as_bytes()))
        };
        let everything = Scope::everything();
        assert_eq!(seen(Some("prices of \"Friday\" are wrong"), &everything).reason, "prices of \"Friday\" are wrong");
        assert_eq!(seen(Some("it's \"odd\" \\ here"), &everything).reason, "it's \"odd\" \\ here");
        assert_eq!(seen(None, &everything).reason, "no reason given");
        assert_eq!(seen(None, &everything).scope, everything);
        let scope =
            Scope::read(Some("name-count"), Some("pc-3*"), Some("1.5.0"), Some("after-job")).expect("understood");
        assert_eq!(seen(Some("odd"), &scope).scope, scope);
    }
}
