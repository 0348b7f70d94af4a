//! Records that came to nothing, kept so that two releases can be compared by them: the one they failed with and the one
//! before it, on the same machine, one after the other ([`run`]). Who compares is the launcher.
//!
//! For each plugin there are those of the last job that failed, at most a block and at most [`MOST_BYTES`], readable by this
//! user alone like everything of a job.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nightshift_contract::exit::Exit;
use nightshift_contract::layout::StateDir;
use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::Host;
use nightshift_wire::{Outcome, Record, Records};
use serde::{Deserialize, Serialize};

use crate::causes::with_causes;
use crate::plugins::{self, Ready};
use crate::swap;

/// No more of the records is kept.
const MOST_BYTES: usize = 1 << 20;

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    plugin: String,
    records: Records,
}

/// Where such records are kept.
#[derive(Debug, Clone)]
pub(crate) struct FailedRecords(StateDir);

impl FailedRecords {
    pub(crate) fn of(state: &StateDir) -> FailedRecords {
        FailedRecords(state.clone())
    }

    /// Keeps records that a plugin failed at, in place of those it failed at before.
    pub(crate) fn keep(&self, plugin: &str, mut records: Records) -> io::Result<()> {
        let path = self.0.failed_records(plugin);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        loop {
            let kept = Kept { plugin: plugin.to_owned(), records };
            let text = serde_json::to_vec(&kept)?;
            records = kept.records;
            let count = records.records.len();
            if text.len() <= MOST_BYTES || count <= 1 {
                return swap::write_whole(&path, &text);
            }
            records.records.truncate(count / 2);
        }
    }
}

/// Has the plugin of the release in `slot` do the records in `file` again.
///
/// # Errors
/// That none of them has a result, and why; or, with [`Exit::Usage`], that nobody can say whether they have one.
pub fn run(slot: &Path, file: &Path, host: &Host) -> Result<(), (Exit, String)> {
    let unclear = |why: String| (Exit::Usage, format!("reading {}: {why}", file.display()));
    let text = fs::read(file).map_err(|error| unclear(error.to_string()))?;
    let Kept { plugin, records } = serde_json::from_slice(&text).map_err(|error| unclear(error.to_string()))?;
    let tree = slot.join("tree");
    let folder = tree.join("plugins").join(&plugin);
    let ready = plugins::open(&tree, &folder, &plugin, host).map_err(|why| (Exit::Failed, why))?;
    has_a_result(ready, &records).map_err(|why| (Exit::Failed, why))
}

fn has_a_result(Ready { manifest, mut plugin }: Ready, records: &Records) -> Result<(), String> {
    let records = chosen(&manifest, records)?;
    let mut first_error = None;
    for block in records.records.chunks(manifest.block as usize) {
        let block = Records { columns: records.columns.clone(), records: block.to_vec() };
        for result in plugin.process(&block).map_err(|error| with_causes(&error))? {
            match result.outcome {
                Outcome::Ok(_) => return Ok(()),
                Outcome::Error(error) => first_error = first_error.or(Some(error)),
            }
        }
    }
    let first = first_error.unwrap_or_else(|| "there is no result".to_owned());
    Err(format!("each record that {} does again ends in an error, the first in: {first}", manifest.name))
}

/// The records with the columns that the plugin takes, in its order.
fn chosen(manifest: &PluginManifest, records: &Records) -> Result<Records, String> {
    let columns: Vec<String> = manifest.input.keys().cloned().collect();
    let place = |column: &String| {
        let place = records.columns.iter().position(|other| other == column);
        place.ok_or_else(|| format!("{} takes a column {column}, and the records have none", manifest.name))
    };
    let places: Vec<usize> = columns.iter().map(place).collect::<Result<_, _>>()?;
    let pick = |record: &Record| Record {
        id: record.id,
        values: places.iter().map(|place| record.values.get(*place).cloned().unwrap_or_default()).collect(),
    };
    Ok(Records { columns, records: records.records.iter().map(pick).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "runtime = \"sql\"\n[input]\nn = \"integer\"\n[output]\ntwice = \"integer\"\n[data]\nsource = \
                            \"repo\"\ntables = []\n";

    struct Scene {
        folder: tempfile::TempDir,
        failed: FailedRecords,
    }

    impl Scene {
        fn new() -> Scene {
            let folder = tempfile::tempdir().expect("a folder");
            let failed = FailedRecords::of(&StateDir::new(folder.path()));
            Scene { folder, failed }
        }

        /// A release whose plugin does that.
        fn release(&self, query: &str) -> std::path::PathBuf {
            let slot = self.folder.path().join(query.len().to_string());
            let plugin = slot.join("tree/plugins/twice");
            fs::create_dir_all(&plugin).expect("made");
            fs::write(plugin.join("plugin.toml"), MANIFEST).expect("written");
            fs::write(plugin.join("query.sqlite.sql"), query).expect("written");
            slot
        }

        fn file(&self) -> std::path::PathBuf {
            self.failed.0.failed_records("twice")
        }
    }

    fn records(values: &[&str]) -> Records {
        let record = |(id, value): (usize, &&str)| Record {
            id: id as i64,
            values: vec!["other".to_owned(), (*value).to_owned()],
        };
        Records {
            columns: vec!["name".to_owned(), "n".to_owned()],
            records: values.iter().enumerate().map(record).collect(),
        }
    }

    #[test]
    fn records_that_failed_are_done_again_by_whichever_release_is_asked() {
        let scene = Scene::new();
        let good = scene.release("SELECT record_id, n * 2 AS twice FROM records");
        let bad = scene.release("SELECT record_id, abs(-9223372036854775807 - 1) AS twice FROM records");
        scene.failed.keep("twice", records(&["1", "2"])).expect("kept");
        assert_eq!(run(&good, &scene.file(), &Host::default()), Ok(()));
        let (exit, why) = run(&bad, &scene.file(), &Host::default()).expect_err("it fails again");
        assert!(exit == Exit::Failed && why.contains("twice"), "{why}");
    }

    #[test]
    fn records_that_are_wrong_have_no_result_with_any_release() {
        let scene = Scene::new();
        let good = scene.release("SELECT record_id, n * 2 AS twice FROM records");
        scene.failed.keep("twice", records(&["one", "two"])).expect("kept");
        let (exit, _) = run(&good, &scene.file(), &Host::default()).expect_err("no number");
        assert_eq!(exit, Exit::Failed);
        fs::write(scene.file(), "{").expect("damaged");
        assert_eq!(run(&good, &scene.file(), &Host::default()).expect_err("nobody can say").0, Exit::Usage);
    }

    #[test]
    fn no_more_than_a_bound_is_kept_and_the_last_failure_alone() {
        let scene = Scene::new();
        scene.failed.keep("twice", records(&["1"; 4])).expect("kept");
        let long = "9".repeat(MOST_BYTES / 4);
        scene.failed.keep("twice", records(&[long.as_str(); 16])).expect("kept");
        let text = fs::read(scene.file()).expect("there");
        assert!(text.len() <= MOST_BYTES);
        let kept: Kept = serde_json::from_slice(&text).expect("whole");
        assert_eq!(kept.records.records.len(), 2);
    }
}
