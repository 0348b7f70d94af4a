//! `nightshift token list`: every token, what it may do and whether it is still good.

use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_wire::Token;

use crate::figures::moment;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::table::Table;

/// List tokens
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let tokens = args.server.client(around)?.tokens().await?;
    if args.json {
        around.screen.json("tokens", &tokens)?;
        return Ok(Exit::Done);
    }
    around.screen.table(&table(&tokens, &TimeZone::system()))?;
    Ok(Exit::Done)
}

fn table(tokens: &[Token], zone: &TimeZone) -> Table {
    let mut table = Table::new(&["NAME", "ROLE", "GOOD", "NETWORK", ">USES", "LAST USED", "MADE BY"]);
    for token in tokens {
        let good = match (token.revoked_at, token.expires_at) {
            (Some(revoked), _) => format!("revoked {}", moment(revoked, zone)),
            (None, Some(end)) => format!("until {}", moment(end, zone)),
            (None, None) => "until revoked".to_owned(),
        };
        let uses = match (token.uses, token.limit) {
            (0, None) => String::new(),
            (uses, None) => uses.to_string(),
            (uses, Some(limit)) => format!("{uses} of {limit}"),
        };
        table.row(vec![
            token.name.clone(),
            token.role.to_string(),
            good,
            token.network.clone().unwrap_or_default(),
            uses,
            token.last_used.map(|used| moment(used, zone)).unwrap_or_default(),
            token.created_by.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_wire::Role;

    #[test]
    fn tokens_are_listed_with_what_they_may_do_and_for_how_long() {
        let token = |name: &str, role| Token {
            name: name.to_owned(),
            role,
            network: None,
            limit: None,
            uses: 0,
            created_at: 0,
            created_by: "admin".to_owned(),
            expires_at: None,
            revoked_at: None,
            last_used: None,
        };
        let image = Token {
            network: Some("10.1.0.0/16".to_owned()),
            limit: Some(50),
            uses: 7,
            expires_at: Some(86_400_000),
            ..token("image", Role::Join)
        };
        let gone = Token { revoked_at: Some(60_000), last_used: Some(30_000), ..token("bert", Role::Owner) };
        insta::assert_snapshot!(table(&[token("anna", Role::Owner), gone, image], &TimeZone::UTC));
    }
}
