//! `nightshift login`: keeps a token for a job server, after trying it.

use std::io::BufRead;
use std::path::Path;

use anyhow::Context;
use nightshift_client::{Access, Client, ClientError, Pin, Timeouts};
use nightshift_contract::exit::Exit;
use nightshift_wire::{Me, Role};
use serde::Serialize;

use crate::contexts;
use crate::refusal::refusal;
use crate::surroundings::Surroundings;

/// Keep a token for a job server
///
/// Reads the token from standard input, tries it, and keeps it (a job server that asks nobody needs none) in credentials.toml beside your configuration, which only
/// you can read. The commands use it from then on. An admin makes tokens with `nightshift token create`; the first one, and
/// the pin of the job server's certificate authority, are printed by `nightshift-jobserver init`.
///
/// With --context NAME the job server becomes a context of that name in your configuration, and that is in use from then on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job server
    #[arg(value_name = "URL")]
    url: String,
    /// Pin of the certificate authority, as `nightshift-jobserver init` prints it; needed for https://
    #[arg(long, value_name = "sha256:…")]
    ca: Option<Pin>,
    /// The central repository of its grid, for `stop`, `start` and `release` with this context; with --context
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A login, for scripts. The token is nowhere in it.
#[derive(Debug, Serialize)]
struct Login<'l> {
    jobserver: &'l str,
    /// Whose token it is, and what it may do; `null` at a job server that asks nobody.
    name: Option<String>,
    role: Option<Role>,
    /// The file that the token is kept in.
    credentials: &'l Path,
    /// The context that is in use from now on, when one was named.
    context: Option<&'l str>,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    if args.repository.is_some() && around.config.chosen.is_none() {
        return Err(refusal(Exit::Usage, "--repository is kept with a context: name one with --context NAME"));
    }
    // The pin of an earlier login still holds.
    let pin = args.ca.or(around.credentials.access(&args.url)?.pin);
    let nobody = Access { pin, token: None, machine: None };
    let is_open = me(&args.url, &nobody).await.is_ok_and(|me| me.role.is_none());
    let token = if is_open && around.can_ask { None } else { token(around)? };
    if token.is_none() && !is_open {
        return Err(refusal(
            Exit::Usage,
            "standard input holds no token; pipe it in, as in `nightshift login URL < FILE`",
        ));
    }
    let access = Access { token, ..nobody };
    let me = me(&args.url, &access).await?;
    let mut credentials = around.credentials.clone();
    if around.config.chosen.is_none() {
        credentials = credentials.asking(&args.url);
    }
    let kept_in = credentials.keep(&args.url, &access, &around.config_dir)?;
    match (&me.name, me.role) {
        (Some(name), Some(role)) => around.screen.good(format!("{} knows you as {name} ({role})", args.url)),
        _ => around.screen.warn(format!("{} asks nobody for a token: its access is open", args.url)),
    }
    around.screen.good(format!("kept in {}", kept_in.display()));
    let config = &around.config;
    if let Some(name) = &config.chosen {
        let mut keys = vec![("jobserver", args.url.trim_end_matches('/'))];
        keys.extend(args.repository.as_deref().map(|repository| ("repository", repository)));
        let path = contexts::make(&around.config_dir, name, &keys)?;
        around.screen.good(format!("context {name} is in use, says {}", path.display()));
    } else if let Some(other) = config.jobserver_named.as_ref().filter(|other| !same(other, &args.url)) {
        around.screen.warn(format!(
            "your configuration names {other}, which commands go on asking; give them --jobserver {}, or log in with \
             --context NAME",
            args.url
        ));
    }
    if args.json {
        let (jobserver, context) = (args.url.as_str(), config.chosen.as_deref());
        let login = Login { jobserver, name: me.name, role: me.role, credentials: &kept_in, context };
        around.screen.json("login", &login)?;
    }
    Ok(Exit::Done)
}

/// Who this is for the job server.
async fn me(url: &str, access: &Access) -> Result<Me, ClientError> {
    Client::with_access([url.to_owned()], Timeouts::default(), access)?.me().await
}

/// The token on standard input; `None` when there is nothing.
fn token(around: &Surroundings) -> anyhow::Result<Option<String>> {
    if around.can_ask {
        around.screen.say("Paste the token and press Enter:");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("reading the token from standard input")?;
    Ok(Some(line.trim().to_owned()).filter(|token| !token.is_empty()))
}

/// Whether two URLs are of one server; a slash at the end makes no other.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
