//! Has the plugins of a release pass their own samples, apart from any job: before the release comes into force, and when
//! it is compared with the one before it. A plugin without samples shows nothing, and nothing is held against it;
//! nor against one whose samples need a database server of their own, which a worker does not have, or whose program may not
//! run on this machine.

use std::fs;
use std::path::Path;

use nightshift_manifest::plugin::PLUGIN_FILE;
use nightshift_plugin::{Host, samples};

use crate::causes::with_causes;

/// Runs the samples of every plugin of the slot.
///
/// # Errors
/// The plugins that do not pass, and why, in words.
pub fn run(slot: &Path, host: &Host) -> Result<(), String> {
    let tree = slot.join("tree");
    let folder = tree.join("plugins");
    let mut failed = Vec::new();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("listing the plugins in {}: {error}", folder.display())),
    };
    for entry in entries.flatten() {
        let plugin = entry.path();
        if !plugin.join(PLUGIN_FILE).is_file() || !plugin.join("samples/records.csv").is_file() {
            continue;
        }
        match samples::run(&plugin, &tree, host) {
            Ok(report) => failed.extend(report.differences.first().map(ToString::to_string)),
            Err(error) if error.is_for_want_of_a_server() || error.is_for_want_of_a_sandbox() => {}
            Err(error) => failed.push(with_causes(&error)),
        }
    }
    failed.sort_unstable();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("; ")),
    }
}
