//! What a plugin costs on this machine: how long it takes to open, what a record takes, how much memory it needs.
//!
//! The records given are repeated until they fill blocks as jobs have them, because a block's own cost is much of what
//! two sample records would show. One block is run unseen first: programs start with it, modules are compiled.

use std::path::Path;
use std::time::Duration;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_wire::{RecordId, Records};

use crate::clock::Stopwatch;
use crate::samples::SampleError;
use crate::{Data, Host, Plugin, memory, open_in};

/// Blocks are run until this is over; one at least.
const FOR: Duration = Duration::from_millis(500);

/// What a plugin costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// From nothing to ready for the first block.
    pub opened: Duration,
    /// So many records were run to find out.
    pub records: u64,
    /// They took so long, by the clock on the wall.
    pub worked: Duration,
    /// So many bytes it needed at most: its own process, where it has one, else what this process grew by.
    pub memory: u64,
}

impl Speed {
    /// How long a job of so many records takes.
    pub fn of_job(&self, records: u64) -> Duration {
        self.worked.mul_f64(records as f64 / self.records.max(1) as f64)
    }
}

/// Measures the plugin in `folder`, which `manifest` describes, on `records`, of which there is at least one.
///
/// # Errors
/// When the plugin cannot be opened, or fails on a block.
pub fn measure(
    (folder, tree): (&Path, &Path),
    manifest: &PluginManifest,
    records: &Records,
    data: Data,
    host: &Host,
) -> Result<Speed, SampleError> {
    let before = memory::in_use();
    let watch = Stopwatch::start();
    let mut plugin = open_in(folder, tree, manifest, data, host)?;
    let opened = watch.elapsed();
    let block = filled(records, manifest.block as usize);
    let run = |plugin: &mut dyn Plugin| {
        let failed = |source| SampleError::Block { plugin: manifest.name.clone(), source };
        plugin.process(&block).map_err(failed)
    };
    run(&mut *plugin)?;
    let watch = Stopwatch::start();
    let mut blocks = 0;
    while blocks == 0 || watch.elapsed() < FOR {
        run(&mut *plugin)?;
        blocks += 1;
    }
    let worked = watch.elapsed();
    let own = memory::peak().saturating_sub(before);
    Ok(Speed { opened, records: blocks * block.records.len() as u64, worked, memory: plugin.memory().unwrap_or(own) })
}

/// The records, again and again and numbered anew, until there are `size`.
fn filled(records: &Records, size: usize) -> Records {
    let numbered = records.records.iter().cycle().take(size.max(records.records.len())).zip(1..);
    let numbered = numbered.map(|(record, id): (_, RecordId)| nightshift_wire::Record { id, ..record.clone() });
    Records { columns: records.columns.clone(), records: numbered.collect() }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::Record;

    use super::*;

    #[test]
    fn few_records_are_repeated_to_fill_a_block_and_each_has_a_number_of_its_own() {
        let record = |id, value: &str| Record { id, values: vec![value.to_owned()] };
        let records = Records { columns: vec!["n".to_owned()], records: vec![record(7, "a"), record(9, "b")] };
        let block = filled(&records, 3);
        assert_eq!(block.records, [record(1, "a"), record(2, "b"), record(3, "a")]);
        assert_eq!(filled(&records, 1).records.len(), 2);
    }

    #[test]
    fn a_job_takes_as_long_as_its_records() {
        let speed = Speed { opened: Duration::ZERO, records: 500, worked: Duration::from_secs(1), memory: 0 };
        assert_eq!(speed.of_job(10_000), Duration::from_secs(20));
    }
}
