//! `nightshift token revoke`: a token is good no more.

use nightshift_contract::exit::Exit;

use crate::list;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;

/// Revoke a token
///
/// At once on the job server that is asked, within a minute on others that share its store. What its holder handed in
/// stays.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The token's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    args.server.client(around)?.revoke_token(&args.name).await?;
    list::gone("revoked", &args.name, &format!("the token {} is revoked", args.name), args.json, around)
}
