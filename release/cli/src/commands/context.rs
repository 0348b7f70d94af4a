//! `nightshift context …`: which grid the commands are about, for who works with several.

use std::path::Path;

use clap::Subcommand;
use nightshift_contract::exit::Exit;
use serde::Serialize;

use crate::contexts;
use crate::refusal::refusal;
use crate::surroundings::Surroundings;
use crate::table::Table;

/// `nightshift context …`
#[derive(Debug, Subcommand)]
pub(crate) enum Contexts {
    List(ListArgs),
    Use(UseArgs),
}

/// List the contexts of your configuration
///
/// A context is a grid with a name: [contexts.NAME] in config.toml, with the keys jobserver, repository, control_branch and
/// signing_key. `nightshift login URL --context NAME` makes one. --context NAME before or behind any command takes another
/// for that command, NIGHTSHIFT_CONTEXT for a whole shell.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Take a context into use
#[derive(Debug, clap::Args)]
pub(crate) struct UseArgs {
    /// The context; without a name the keys outside of contexts count again
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The context that was taken into use, for scripts.
#[derive(Debug, Serialize)]
struct Taken<'t> {
    /// Its name; `null` when the keys outside of contexts count again.
    name: Option<&'t str>,
    /// The configuration that says so.
    config: &'t Path,
}

/// A context as the list shows it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    jobserver: &'a str,
    in_use: bool,
}

/// Runs the command.
pub(crate) fn run(contexts: &Contexts, around: &Surroundings) -> anyhow::Result<Exit> {
    match contexts {
        Contexts::List(args) => list(args, around),
        Contexts::Use(args) => take(args, around),
    }
}

fn list(args: &ListArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    let config = &around.config;
    let rows = config.contexts.iter().map(|(name, jobserver)| Row {
        name,
        jobserver: jobserver.as_deref().unwrap_or_default(),
        in_use: config.context.as_ref() == Some(name),
    });
    let rows: Vec<Row<'_>> = rows.collect();
    let outside = config.context.is_none() && config.written;
    if args.json {
        around.screen.json("contexts", &rows)?;
    } else if rows.is_empty() {
        around.screen.say("there is no context; `nightshift login URL --context NAME` makes one");
    } else {
        let mut table = Table::new(&["IN USE", "CONTEXT", "JOB SERVER"]);
        for row in rows {
            let mark = if row.in_use { "*" } else { "" };
            table.row(vec![mark.to_owned(), row.name.to_owned(), row.jobserver.to_owned()]);
        }
        around.screen.table(&table)?;
        if outside {
            around
                .screen
                .say(format!("none is in use: commands ask {}, which stands outside of contexts", config.jobserver));
        } else {
            around.screen.say("`nightshift context use` without a name takes the keys outside of contexts again");
        }
    }
    Ok(Exit::Done)
}

fn take(args: &UseArgs, around: &Surroundings) -> anyhow::Result<Exit> {
    if let Some(name) = &args.name
        && !around.config.contexts.contains_key(name)
    {
        let names: Vec<&str> = around.config.contexts.keys().map(String::as_str).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let text =
            format!("there is no context {name} (there is: {names}); `nightshift login URL --context {name}` makes it");
        return Err(refusal(Exit::NotFound, text));
    }
    let path = contexts::take(&around.config_dir, args.name.as_deref())?;
    match &args.name {
        Some(name) => around.screen.good(format!("{name} is in use, says {}", path.display())),
        None => around.screen.good(format!("no context is in use, says {}", path.display())),
    }
    if args.json {
        around.screen.json("context", &Taken { name: args.name.as_deref(), config: &path })?;
    }
    Ok(Exit::Done)
}
