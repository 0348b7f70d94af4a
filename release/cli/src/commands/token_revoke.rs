//! `nightshift token revoke`: a token is good no more.

use nightshift_contract::exit::Exit;
use nightshift_wire::{Moment, Role, Token};

use crate::list;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;

/// Revoke a token
///
/// At once on the job server that is asked, within a minute on others that share its store. What its holder handed in
/// stays. The last token of an admin is kept unless you say --yes: nobody could make another one by command after that.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The token's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Do not ask; for scripts
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let client = args.server.client(around)?;
    if !args.yes {
        let is_last = is_last_admin(&client.tokens().await?, &args.name, client.status().await?.now);
        let besides = match is_last {
            true => {
                " It is the last one of an admin: make another with `nightshift token create NAME --role admin` before"
            }
            false => "",
        };
        let name = &args.name;
        around
            .confirm(&format!("who works with the token {name} would be let in no more, for good.{besides}"), false)?;
    }
    client.revoke_token(&args.name).await?;
    list::gone("revoked", &args.name, &format!("the token {} is revoked", args.name), args.json, around)
}

/// Whether there is no admin any more without this token.
fn is_last_admin(tokens: &[Token], name: &str, now: Moment) -> bool {
    let is_good = |token: &&Token| token.revoked_at.is_none() && token.expires_at.is_none_or(|until| until > now);
    let mut admins = tokens.iter().filter(|token| token.role == Role::Admin).filter(is_good);
    admins.next().is_some_and(|first| first.name == name) && admins.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_admin_is_the_only_one_whose_token_is_good() {
        let token = |name: &str, role| Token {
            name: name.to_owned(),
            role,
            network: None,
            limit: None,
            uses: 0,
            created_at: 0,
            created_by: String::new(),
            expires_at: None,
            revoked_at: None,
            last_used: None,
        };
        let ada = token("ada", Role::Admin);
        let gone = Token { revoked_at: Some(3), ..token("ben", Role::Admin) };
        let over = Token { expires_at: Some(5), ..token("cid", Role::Admin) };
        let tokens = [gone, ada.clone(), over, token("vera", Role::Viewer)];
        assert!(is_last_admin(&tokens, "ada", 5) && !is_last_admin(&tokens, "ada", 4));
        assert!(!is_last_admin(&tokens, "vera", 5) && !is_last_admin(&tokens, "ben", 5));
        assert!(!is_last_admin(&[ada, token("dora", Role::Admin)], "ada", 5));
    }
}
