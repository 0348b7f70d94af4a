//! `nightshift login`: keeps a token for a job server, after trying it.

use std::io::BufRead;

use anyhow::Context;
use nightshift_client::{Access, Client, Pin, Timeouts};
use nightshift_contract::exit::Exit;

use crate::refusal::refusal;
use crate::surroundings::Surroundings;

/// Keep a token for a job server
///
/// Reads the token from standard input, tries it, and keeps it in credentials.toml beside your configuration, which only
/// you can read. The commands use it from then on. An admin makes tokens with `nightshift token create`; the first one, and
/// the pin of the job server's certificate authority, are printed by `nightshift-jobserver init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job server
    #[arg(value_name = "URL")]
    url: String,
    /// Pin of the certificate authority, as `nightshift-jobserver init` prints it; needed for https://
    #[arg(long, value_name = "sha256:…")]
    ca: Option<Pin>,
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
    let path = around.credentials.clone().keep(&args.url, &access, &around.config_dir)?;
    match (me.name, me.role) {
        (Some(name), Some(role)) => around.screen.good(format!("{} knows you as {name} ({role})", args.url)),
        _ => around.screen.warn(format!("{} asks nobody for a token: its access is open", args.url)),
    }
    around.screen.good(format!("kept in {}", path.display()));
    Ok(Exit::Done)
}
