//! `nightshift worker rules …`: the rules by which workers are let in without a person.

use clap::Subcommand;
use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_manifest::duration;
use nightshift_wire::{JoinRule, NewJoinRule};

use crate::figures::{counted, moment};
use crate::list::{self, ListArgs, RemoveArgs};
use crate::refusal::refusal;
use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::table::Table;

/// `nightshift worker rules …`
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// List the rules by which workers are let in without a person
    List(ListArgs),
    Add(AddArgs),
    /// Remove a rule; the workers it let in stay
    Remove(RemoveArgs),
}

/// Let workers of a network in without a person, for a while
///
/// A worker still has to bring a good join token. So many are let in by the rule, then it is used up; who was let in stays,
/// also when the rule is removed.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// The rule's name: letters, digits and the signs . _ - @
    #[arg(value_name = "NAME")]
    name: String,
    /// The network that workers ask from, such as 10.1.0.0/16
    #[arg(long, value_name = "NETWORK")]
    network: String,
    /// How many it lets in at most
    #[arg(long, value_name = "N")]
    limit: u32,
    /// How long it lasts, such as 8h or 30d
    #[arg(long, value_name = "TIME")]
    expires: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

const NO_RULE: &str = "there is no rule: each worker that asks to join waits for `nightshift worker approve`";

/// Runs the command.
pub(crate) async fn run(rules: &Rules, around: &Surroundings) -> anyhow::Result<Exit> {
    match rules {
        Rules::List(args) => {
            let rules = args.server.client(around)?.join_rules().await?;
            let table = |rules: &[JoinRule]| table(rules, &TimeZone::system());
            list::show("rules", &rules, NO_RULE, table, args.json, around)
        }
        Rules::Add(args) => add(args, around).await,
        Rules::Remove(args) => {
            args.server.client(around)?.remove_join_rule(&args.name).await?;
            list::gone("removed", &args.name, &format!("the rule {} is removed", args.name), args.json, around)
        }
    }
}

async fn add(args: &AddArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    let expires = duration::parse(&args.expires);
    let expires = expires.map_err(|problem| refusal(Exit::Usage, format!("--expires: {problem}")))?;
    let wanted = NewJoinRule {
        name: args.name.clone(),
        network: args.network.clone(),
        limit: args.limit,
        expires_in_ms: u64::try_from(expires.as_millis()).unwrap_or(u64::MAX),
    };
    let made = args.server.client(around)?.make_join_rule(&wanted).await?;
    if args.json {
        around.screen.json("rule", &made)?;
        return Ok(Exit::Done);
    }
    let JoinRule { name, network, limit, expires_at, .. } = &made;
    let until = moment(*expires_at, &TimeZone::system());
    around
        .screen
        .good(format!("the rule {name} lets {} of {network} in until {until}", counted((*limit).into(), "worker")));
    Ok(Exit::Done)
}

fn table(rules: &[JoinRule], zone: &TimeZone) -> Table {
    let mut table = Table::new(&["NAME", "NETWORK", ">LET IN", "UNTIL", "MADE BY"]);
    for rule in rules {
        table.row(vec![
            rule.name.clone(),
            rule.network.clone(),
            format!("{} of {}", rule.approved, rule.limit),
            moment(rule.expires_at, zone),
            rule.created_by.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_listed_with_how_many_they_let_in_and_until_when() {
        let rule = |name: &str, approved| JoinRule {
            name: name.to_owned(),
            network: "10.1.0.0/16".to_owned(),
            limit: 50,
            approved,
            expires_at: 86_400_000,
            created_at: 0,
            created_by: "admin".to_owned(),
        };
        insta::assert_snapshot!(table(&[rule("first-floor", 7), rule("move", 50)], &TimeZone::UTC));
    }
}
