//! `nightshift-bench [ONLY-PREFIX]`: measures, prints a table and writes `bench.json` into cargo's target folder.
//!
//! To be built with `--release`, together with everything else. Ends with 0 also when a target is missed: figures of
//! a loaded machine are for a person to judge. Ends with 1 when something was lost that must not be.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use nightshift_e2e::bench::{self, Line};

/// Runs the project's benchmarks.
#[derive(Parser)]
struct Arguments {
    /// Only figures whose name begins with this.
    #[arg(default_value = "")]
    only: String,
}

fn main() -> Result<()> {
    let Arguments { only } = Arguments::parse();
    if !bench::names().any(|name| name.starts_with(&only)) {
        bail!("no figure begins with {only:?}; there are {}", bench::names().collect::<Vec<_>>().join(", "));
    }
    let mut talk = io::stderr();
    if cfg!(debug_assertions) {
        writeln!(talk, "this is a debug build; figures count only when built with --release")?;
    }
    let lines = bench::run(&only, |line| {
        let _ = writeln!(io::stderr(), "measured {}", line.name());
    });
    write!(io::stdout(), "{}", bench::table(&lines))?;
    let path = target_folder()?.join("bench.json");
    bench::write_json(&path, &lines)?;
    writeln!(talk, "written to {}", path.display())?;
    let failed: Vec<&str> = lines.iter().filter(|line| matches!(line, Line::Failed { .. })).map(Line::name).collect();
    if !failed.is_empty() {
        bail!("a promise was broken while these were measured: {}", failed.join(", "));
    }
    Ok(())
}

/// `target` for `target/release/nightshift-bench`.
fn target_folder() -> Result<PathBuf> {
    let me = std::env::current_exe().context("finding this program")?;
    Ok(me.ancestors().nth(2).context("this program is not in a target folder")?.to_owned())
}
