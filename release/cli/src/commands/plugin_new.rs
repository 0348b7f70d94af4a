//! `nightshift plugin new`: a folder with a plugin that works, to be changed into the one that is wanted.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use nightshift_contract::exit::Exit;
use nightshift_manifest::plugin::check_plugin_name;
use serde::Serialize;

use crate::grid_clone::GridClone;
use crate::refusal::refusal;
use crate::surroundings::Surroundings;
use crate::swap;
use crate::templates::{PROCESS_PLUGIN, SQL_PLUGIN, WASM_PLUGIN, fill};

/// Begin a plugin
///
/// Makes plugins/NAME in this clone with a small plugin that works, and samples that prove it. Change the columns in
/// plugin.toml, the query or program and the samples, and try it with `nightshift plugin test NAME`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin's name: lower-case letters, digits and hyphens
    name: String,
    /// What runs it
    #[arg(long, value_enum, default_value = "sql")]
    runtime: Runtime,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A plugin that was begun, for scripts.
#[derive(Debug, Serialize)]
struct Begun<'b> {
    name: &'b str,
    /// Its folder.
    folder: &'b Path,
    /// Its files, by their paths in the folder.
    files: Vec<&'b str>,
}

/// The runtimes a plugin can be begun for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Runtime {
    /// A query over a block of records and the data tables
    Sql,
    /// A WebAssembly module, written in text form or in C
    Wasm,
    /// Any program that reads and writes lines of JSON, here in Python
    Process,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let clone = GridClone::here(around)?;
    let name = &args.name;
    check_plugin_name(name).map_err(|problem| refusal(Exit::Usage, problem))?;
    let plugins = clone.root.join("plugins");
    let folder = plugins.join(name);
    if folder.exists() {
        let text = format!("there is a plugin {name} already, in {}; choose another name", folder.display());
        return Err(refusal(Exit::Usage, text));
    }
    let files = match args.runtime {
        Runtime::Sql => SQL_PLUGIN,
        Runtime::Wasm => WASM_PLUGIN,
        Runtime::Process => PROCESS_PLUGIN,
    };
    let what = || format!("making {}", folder.display());
    fs::create_dir_all(&plugins).with_context(what)?;
    let workshop = tempfile::Builder::new().prefix(".new-").tempdir_in(&plugins).with_context(what)?;
    let built = workshop.path().join(name);
    for (path, template) in files {
        let path = built.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&built)).with_context(what)?;
        fs::write(&path, fill(template, &[("name", name)])).with_context(what)?;
    }
    swap::publish_folder(&built, &folder)?;

    around.screen.good(format!("plugins/{name}"));
    for (path, _) in files {
        around.screen.say(format!("    {path}"));
    }
    around.screen.say(format!("Change it, then `nightshift plugin test {name}`."));
    if args.json {
        let files = files.iter().map(|(path, _)| *path).collect();
        around.screen.json("plugin", &Begun { name, folder: &folder, files })?;
    }
    Ok(Exit::Done)
}
