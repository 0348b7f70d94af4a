//! `nightshift token create`: makes a token and shows it once.

use nightshift_contract::exit::Exit;
use nightshift_manifest::duration;
use nightshift_wire::{NewToken, Role};

use crate::refusal::refusal;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;

/// Make a token and show it, once
///
/// Roles: viewer sees everything; owner hands batches in and sees its own only; operator also changes batches, jobs and
/// workers; admin also tokens, enrolment and artifacts; join can only ask to join, and stands in the worker.toml of the VM
/// image. The token goes to standard output. Who loses one gets another under the same name after `nightshift token revoke`,
/// and what was handed in under that name stays theirs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose it is: letters, digits and the signs . _ - @
    #[arg(value_name = "NAME")]
    name: String,
    /// What it may do: viewer, owner, operator, admin or join
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// How long it lasts, such as 30d [default: until it is revoked]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The network it may be used from, such as 10.1.0.0/16 [default: every]
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// Of a join token: how many workers may ask with it [default: any number]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn role(text: &str) -> Result<Role, String> {
    Role::of(text)
        .filter(|role| *role != Role::Worker)
        .ok_or_else(|| "a role is viewer, owner, operator, admin or join; workers get theirs by joining".to_owned())
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let expires = args.expires.as_deref().map(duration::parse).transpose();
    let expires = expires.map_err(|problem| refusal(Exit::Usage, format!("--expires: {problem}")))?;
    let wanted = NewToken {
        name: args.name.clone(),
        role: args.role,
        network: args.network.clone(),
        limit: args.limit,
        expires_in_ms: expires.map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX)),
    };
    let made = args.server.client(around)?.make_token(&wanted).await?;
    if args.json {
        around.screen.json("token", &made)?;
        return Ok(Exit::Done);
    }
    around.screen.data(&format!("{}\n", made.token))?;
    around.screen.good(format!("the token {} ({}); nobody can show it again", made.known.name, made.known.role));
    let next = match made.known.role {
        Role::Join => "It goes into worker.toml as `join_token`.".to_owned(),
        _ => {
            let url = args.server.url(around);
            let ca = around.credentials.access(url)?.pin.map(|pin| format!(" --ca {pin}")).unwrap_or_default();
            format!("Its holder keeps it with `nightshift login {url}{ca}`.")
        }
    };
    around.screen.say(next);
    Ok(Exit::Done)
}
