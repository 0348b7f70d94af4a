//! What the job server keeps a list of, such as rules and baselines: how a list is shown, and that something is on it no more.

use nightshift_contract::exit::Exit;
use serde::Serialize;

use crate::server::ServerArgs;
use crate::surroundings::Surroundings;
use crate::table::Table;

/// How a list is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How something is taken from a list.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Something that is gone, for scripts.
#[derive(Debug, Serialize)]
struct Gone<'g> {
    /// What it was called.
    name: &'g str,
}

/// Shows a list: as JSON under `key`, as a table, or with the words `none` when nothing is on it.
pub(crate) fn show<T: Serialize>(
    key: &str,
    list: &[T],
    none: &str,
    table: impl FnOnce(&[T]) -> Table,
    json: bool,
    around: &Surroundings,
) -> anyhow::Result<Exit> {
    match list {
        list if json => around.screen.json(key, &list)?,
        [] => around.screen.say(none),
        list => around.screen.table(&table(list))?,
    }
    Ok(Exit::Done)
}

/// Says that what was called `name` is gone: as JSON under `key`, which is what was done to it (removed, revoked, deleted), or
/// in `words`.
pub(crate) fn gone(key: &str, name: &str, words: &str, json: bool, around: &Surroundings) -> anyhow::Result<Exit> {
    match json {
        true => around.screen.json(key, &Gone { name })?,
        false => around.screen.good(words),
    }
    Ok(Exit::Done)
}
