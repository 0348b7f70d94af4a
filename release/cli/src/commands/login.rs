//! `nightshift login`: keeps a token for a job server, after trying it.

use std::io::BufRead;
use std::path::Path;

use anyhow::Context;
use nightshift_client::{Access, Client, Pin, Timeouts};
use nightshift_contract::exit::Exit;
use nightshift_wire::Role;
use serde::Serialize;

use crate::contexts;
use crate::refusal::refusal;
use crate::surroundings::Surroundings;

/// Keep a token for a job server
///
/// Reads the token from standard input, tries it, and keeps it in credentials.toml beside your configuration, which only
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
    if around.can_ask {
        around.screen.say("Paste the token and press Enter:");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("reading the token from standard input")?;
    let token = line.trim();
    if token.is_empty() {
        return Err(refusal(
            Exit::Usage,
            "standard input holds no token; pipe it in, as in `nightshift login URL < FILE`",
        ));
    }
    // The pin of an earlier login still holds.
    let kept = around.credentials.access(&args.url)?;
    let access = Access { pin: args.ca.or(kept.pin), token: Some(token.to_owned()), machine: None };
    let me = Client::with_access([args.url.clone()], Timeouts::default(), &access)?.me().await?;
    let kept_in = around.credentials.clone().keep(&args.url, &access, &around.config_dir)?;
    match (&me.name, me.role) {
        (Some(name), Some(role)) => around.screen.good(format!("{} knows you as {name} ({role})", args.url)),
        _ => around.screen.warn(format!("{} asks nobody for a token: its access is open", args.url)),
    }
    around.screen.good(format!("kept in {}", kept_in.display()));
    let config = &around.config;
    if let Some(name) = &config.chosen {
        let path = contexts::make(&around.config_dir, name, args.url.trim_end_matches('/'))?;
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

/// Whether two URLs are of one server; a slash at the end makes no other.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
