//! `nightshift doctor`: whether this person's commands can do what they are for, and what to do about what keeps them.

use nightshift_contract::exit::Exit;
use nightshift_wire::Status;
use serde::Serialize;

use crate::config;
use crate::figures::counted;
use crate::git::Git;
use crate::grid_clone::GridClone;
use crate::same_grid::Refs;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;

/// Say what works and what does not: configuration, git, keys, job server, central repository
///
/// Changes nothing. Exit code 1 when something is wrong; what only needs attention is none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

const REPOSITORY: &str = "repository";

/// What was found of one thing.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    /// What is so, and what to do when it is not good.
    said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    Attention,
    Wrong,
}

impl Finding {
    fn good(what: &'static str, said: impl Into<String>) -> Finding {
        Finding { what, verdict: Verdict::Good, said: said.into() }
    }

    fn attention(what: &'static str, said: impl Into<String>) -> Finding {
        Finding { what, verdict: Verdict::Attention, said: said.into() }
    }

    fn wrong(what: &'static str, said: impl Into<String>) -> Finding {
        Finding { what, verdict: Verdict::Wrong, said: said.into() }
    }
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let mut findings = vec![configuration(around)];
    let git = around.git(&around.current_dir);
    let mut central = None;
    match git.run(&["--version"]) {
        Ok(version) => {
            findings.push(Finding::good("git", version));
            let (found, of) = repository(&git, around);
            findings.push(found);
            central = of;
        }
        Err(error) => findings.push(Finding::wrong("git", with_causes(error))),
    }
    findings.push(signing_key(around));
    let (found, status) = job_server(args, around).await;
    findings.extend(found);
    if let (Some(central), Some(status)) = (&central, &status) {
        findings.extend(one_grid(&git, central, status));
    }
    match args.json {
        true => around.screen.json("findings", &findings)?,
        false => show(&findings, around)?,
    }
    let wrong = findings.iter().any(|finding| finding.verdict == Verdict::Wrong);
    Ok(if wrong { Exit::Failed } else { Exit::Done })
}

fn show(findings: &[Finding], around: &Surroundings) -> anyhow::Result<()> {
    for Finding { what, verdict, said } in findings {
        let mark = match verdict {
            Verdict::Good => "ok  ",
            Verdict::Attention => "look",
            Verdict::Wrong => "BAD ",
        };
        around.screen.data(&format!("{mark}  {what:<15}{said}\n"))?;
    }
    Ok(())
}

fn configuration(around: &Surroundings) -> Finding {
    let path = config::path(&around.config_dir);
    let context = around.config.context.as_ref().map_or_else(String::new, |name| format!(", context {name}"));
    match around.config.written {
        true => Finding::good("configuration", format!("{}{context}", path.display())),
        false => Finding::attention(
            "configuration",
            format!(
                "there is no {}; `nightshift init` makes it, and `nightshift login URL` does without",
                path.display()
            ),
        ),
    }
}

/// Whether the central repository answers, and has its control branch; and both, when it does.
fn repository(git: &Git, around: &Surroundings) -> (Finding, Option<(String, String)>) {
    match named_repository(around) {
        Err(finding) => (finding, None),
        Ok((url, branch)) => match control_branch(git, &url, &branch) {
            Ok(finding) => (finding, Some((url, branch))),
            Err(finding) => (finding, None),
        },
    }
}

/// The central repository's URL and its control branch, as the clone or the configuration names them.
fn named_repository(around: &Surroundings) -> Result<(String, String), Finding> {
    let wrong = |error: anyhow::Error| Finding::wrong(REPOSITORY, format!("{error:#}"));
    if let Some(clone) = GridClone::find(around).map_err(wrong)? {
        return Ok((clone.url().map_err(wrong)?, clone.control_branch));
    }
    let config = &around.config;
    config.repository.clone().map(|url| (url, config.control_branch.clone())).ok_or_else(|| {
        Finding::attention(
            REPOSITORY,
            "none is named, so `stop`, `start` and `release` work only in a clone of it; write `repository` into \
             config.toml",
        )
    })
}

fn control_branch(git: &Git, url: &str, branch: &str) -> Result<Finding, Finding> {
    match git.run(&["ls-remote", "--heads", url, &format!("refs/heads/{branch}")]) {
        Ok(found) if found.is_empty() => Err(Finding::wrong(
            REPOSITORY,
            format!("{url} has no branch {branch}: nobody can stop the grid there; see control_branch in config.toml"),
        )),
        Ok(_) => Ok(Finding::good(REPOSITORY, format!("{url}, control branch {branch}"))),
        Err(error) => Err(Finding::wrong(REPOSITORY, format!("{url}: {}", with_causes(error)))),
    }
}

/// Whether repository and job server are of one grid, as far as the job server says what it sees.
fn one_grid(git: &Git, (url, branch): &(String, String), status: &Status) -> Option<Finding> {
    let refs = Refs::of(git, url, branch).ok()?;
    if refs.are_of(status)? {
        return None;
    }
    let seen = match &status.release {
        Some(tag) if refs.has_tag(tag) => format!("the job server offers {tag}, which is another one in {url}"),
        Some(tag) => format!("the job server offers {tag}, which is not in {url}"),
        None => format!("the job server sees another branch {branch} than {url} has"),
    };
    let text = format!(
        "{seen}: they are of two grids. Name the job server of this repository with --jobserver or --context, or go to the \
         clone of the other grid"
    );
    Some(Finding::wrong("one grid", text))
}

fn signing_key(around: &Surroundings) -> Finding {
    let path = &around.config.signing_key;
    match path.is_file() {
        true => Finding::good("signing key", path.display().to_string()),
        false => Finding::attention(
            "signing key",
            format!("there is none at {}; only who cuts releases needs one", path.display()),
        ),
    }
}

/// Whether the job server answers, knows this person, and can hand jobs out; and its figures.
async fn job_server(args: &Args, around: &Surroundings) -> (Vec<Finding>, Option<Status>) {
    const WHAT: &str = "job server";
    let url = args.server.url(around);
    let client = match args.server.client(around) {
        Ok(client) => client,
        Err(error) => return (vec![Finding::wrong(WHAT, format!("{error:#}"))], None),
    };
    let me = match client.me().await {
        Ok(me) => match (me.name, me.role) {
            (Some(name), Some(role)) => Finding::good("login", format!("{url} knows you as {name} ({role})")),
            _ => Finding::attention("login", format!("{url} asks nobody for a token: its access is open")),
        },
        Err(error) if error.is_retryable() => {
            return (vec![Finding::wrong(WHAT, format!("{url}: {}", with_causes(error)))], None);
        }
        Err(error) => Finding::wrong("login", format!("{url}: {}", with_causes(error))),
    };
    let mut findings = vec![me];
    match client.status().await {
        Ok(status) => {
            findings.insert(0, Finding::good(WHAT, format!("{url}, version {}", status.version)));
            findings.extend(grid(&status));
            (findings, Some(status))
        }
        Err(error) => {
            findings.insert(0, Finding::wrong(WHAT, format!("{url}: {}", with_causes(error))));
            (findings, None)
        }
    }
}

/// What keeps the grid from working, as far as the job server knows.
fn grid(status: &Status) -> Vec<Finding> {
    let release = match (&status.release, status.release_problem.as_str()) {
        (Some(release), "") => Finding::good("release", release.clone()),
        (None, "") => Finding::attention("release", "there is none yet; cut one with `nightshift release cut 1.0.0`"),
        (_, problem) => Finding::attention("release", problem),
    };
    let workers = match status.workers {
        0 => Finding::attention(
            "workers",
            "none was heard of in the last two minutes; on a worker, `nightshift-worker doctor` says what keeps it",
        ),
        workers => Finding::good("workers", format!("{} heard of in the last two minutes", counted(workers, "worker"))),
    };
    let stop = status.stopped.as_ref().map(|flag| {
        Finding::attention("stop flag", format!("the grid is stopped: {flag}; `nightshift start` removes the flag"))
    });
    [release, workers].into_iter().chain(stop).collect()
}

/// An error with what led to it.
fn with_causes(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_that_cannot_work_is_told_with_what_to_do() {
        let status = Status {
            version: "0.1.0".into(),
            now: 0,
            release: None,
            release_id: None,
            control_id: None,
            release_problem: String::new(),
            stopped: Some("prices are wrong".into()),
            jobs_waiting: 0,
            jobs_running: 0,
            jobs_done: 0,
            jobs_quarantined: 0,
            jobs_suspended: 0,
            jobs_deleted: 0,
            workers: 0,
            primary: None,
        };
        let said: Vec<String> = grid(&status).into_iter().map(|finding| finding.said).collect();
        assert!(said[0].contains("nightshift release cut 1.0.0") && said[1].contains("nightshift-worker doctor"));
        assert!(said[2].contains("prices are wrong") && said[2].contains("nightshift start"), "{said:?}");
        assert!(grid(&status).iter().all(|finding| finding.verdict == Verdict::Attention));
    }
}
