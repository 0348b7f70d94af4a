//! What a plugin costs on this machine: how long it takes to open, what a record takes, how much memory it needs.
//!
//! The records given are repeated until they fill blocks as jobs have them, because a block's own cost is much of what
//! two sample records would show. They are run once unseen first: programs start with that, modules are compiled, and
//! records that end in an error are left out, whose crashes would be all that is measured. A plugin that is very slow shows
//! that with this run already, and nobody waits for a block of it.

use std::path::Path;
use std::time::Duration;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_wire::{Outcome, Record, RecordId, RecordResult, Records};

use crate::clock::Stopwatch;
use crate::samples::SampleError;
use crate::{Data, Host, Plugin, memory, open_in};

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

/// Measures the plugin in `folder`, which `manifest` describes, on those of `records` that have a result; `None` when none
/// has. Blocks are run until `time` is over, one at least, and none is expected to take longer than that.
///
/// # Errors
/// When the plugin cannot be opened, or fails on a block.
pub fn measure(
    (folder, tree): (&Path, &Path),
    manifest: &PluginManifest,
    records: &Records,
    (data, time): (Data, Duration),
    host: &Host,
) -> Result<Option<Speed>, SampleError> {
    let before = memory::in_use();
    let watch = Stopwatch::start();
    let mut plugin = open_in(folder, tree, manifest, data, host)?;
    let opened = watch.elapsed();
    let run = |plugin: &mut dyn Plugin, block: &Records| {
        let failed = |source| SampleError::Block { plugin: manifest.name.clone(), source };
        plugin.process(block).map_err(failed)
    };
    let watch = Stopwatch::start();
    let good = with_results(records, &run(&mut *plugin, records)?);
    let unseen = watch.elapsed();
    if good.records.is_empty() {
        return Ok(None);
    }
    let own = |before: u64| memory::peak().saturating_sub(before);
    if unseen >= time * 10 {
        let memory = plugin.memory().unwrap_or(own(before));
        return Ok(Some(Speed { opened, records: good.records.len() as u64, worked: unseen, memory }));
    }
    let watch = Stopwatch::start();
    run(&mut *plugin, &good)?;
    let fit = in_time(good.records.len(), watch.elapsed(), time);
    let block = filled(&good, fit.min(manifest.block as usize));
    let watch = Stopwatch::start();
    let mut blocks = 0;
    while blocks == 0 || watch.elapsed() < time {
        run(&mut *plugin, &block)?;
        blocks += 1;
    }
    let worked = watch.elapsed();
    let memory = plugin.memory().unwrap_or(own(before));
    Ok(Some(Speed { opened, records: blocks * block.records.len() as u64, worked, memory }))
}

/// How many records are done in `time` when `records` took so long.
fn in_time(records: usize, took: Duration, time: Duration) -> usize {
    let one = took.as_secs_f64().max(1e-6) / records.max(1) as f64;
    (time.as_secs_f64() / one) as usize
}

/// The records that have a result and no error.
fn with_results(records: &Records, results: &[RecordResult]) -> Records {
    let both = records.records.iter().zip(results);
    let good: Vec<Record> =
        both.filter(|(_, result)| matches!(result.outcome, Outcome::Ok(_))).map(|(record, _)| record.clone()).collect();
    Records { columns: records.columns.clone(), records: good }
}

/// The records, again and again and numbered anew, until there are `size`.
fn filled(records: &Records, size: usize) -> Records {
    let numbered = records.records.iter().cycle().take(size.max(records.records.len())).zip(1..);
    let numbered = numbered.map(|(record, id): (_, RecordId)| nightshift_wire::Record { id, ..record.clone() });
    Records { columns: records.columns.clone(), records: numbered.collect() }
}

#[cfg(test)]
mod tests {
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
    fn a_block_is_no_larger_than_the_time_for_it() {
        let seconds = Duration::from_secs;
        assert_eq!(in_time(2, seconds(1), seconds(10)), 20);
        assert_eq!(in_time(2, seconds(20), seconds(10)), 1);
        assert_eq!(in_time(5, Duration::ZERO, seconds(1)), 5_000_000);
    }

    #[test]
    fn a_job_takes_as_long_as_its_records() {
        let speed = Speed { opened: Duration::ZERO, records: 500, worked: Duration::from_secs(1), memory: 0 };
        assert_eq!(speed.of_job(10_000), Duration::from_secs(20));
    }
}
