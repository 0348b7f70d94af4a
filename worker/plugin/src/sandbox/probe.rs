//! Tries what a machine can lock programs in by: a process that locks itself in and says what it got.

use std::path::{Path, PathBuf};

use nightshift_contract::protections::Protections;

use super::{Cell, Limits, Protection, Sandbox, bubblewrap, place};
use crate::process::heard;

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Bubblewrap, where it works.
    pub(super) bubblewrap: Option<PathBuf>,
    /// What programs are locked in by.
    pub(super) protections: Protections,
    /// Why not even the rest works.
    pub(super) trouble: Option<String>,
}

/// Enough for a process that only reports.
const SMALL: Limits = Limits { memory: 256 << 20, scratch: 1 << 20 };

/// Tries bubblewrap, and without it.
pub(super) fn probe(sandbox: &Sandbox) -> Found {
    place::clear_leftovers(&std::env::temp_dir());
    let bubblewraps = bubblewrap::PLACES.map(PathBuf::from).into_iter().filter(|path| Path::is_file(path));
    let ways = bubblewraps.filter(|_| !sandbox.without.contains(&Protection::Bubblewrap)).map(Some).chain([None]);
    let mut trouble = None;
    for bubblewrap in ways {
        match attempt(sandbox, bubblewrap.clone()) {
            Ok(protections) => return Found { bubblewrap, protections, trouble: None },
            Err(why) => {
                let way = if bubblewrap.is_some() { "by bubblewrap" } else { "without bubblewrap" };
                tracing::info!("locking programs in {way} does not work: {why}");
                trouble = Some(why);
            }
        }
    }
    Found { bubblewrap: None, protections: Protections::default(), trouble }
}

fn attempt(sandbox: &Sandbox, bubblewrap: Option<PathBuf>) -> Result<Protections, String> {
    let cell = Cell { bubblewrap, limits: SMALL, ..sandbox.bare_cell() };
    let output = heard(&mut sandbox.command(&cell, &[]));
    let output = output.map_err(|error| format!("starting {}: {error}", sandbox.launcher.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", output.status, said.trim()));
    }
    Ok(Protections::from_words(&String::from_utf8_lossy(&output.stdout)))
}
