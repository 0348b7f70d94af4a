//! What a guest may take: memory, tables, work.
//!
//! The time is the limit that authors set and reach. The work is counted in wasmtime's fuel, about one unit for each
//! instruction; a guest gets more of it than a machine does in its time, so that it ends a guest only where time does not:
//! the same guest on the same block ends at the same instruction on every machine.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Bytes in a megabyte as `plugin.toml` counts them.
const MEGABYTE: u64 = 1_000_000;
/// Elements that a table may have.
const TABLE: usize = 100_000;
/// Tables that an instance may have.
const TABLES: usize = 4;
/// Units of work for each second.
const FUEL_PER_SECOND: f64 = 20e9;

/// The work that fits into `time`.
pub(super) fn fuel(time: Duration) -> u64 {
    (time.as_secs_f64() * FUEL_PER_SECOND) as u64
}

/// The memory and tables of one instance.
pub(super) struct Bounds {
    memory_mb: u64,
    refused: Option<String>,
}

impl Bounds {
    /// `memory_mb` megabytes.
    pub(super) fn new(memory_mb: u64) -> Bounds {
        Bounds { memory_mb, refused: None }
    }

    /// What was refused since this was last asked, in words.
    pub(super) fn refused(&mut self) -> Option<String> {
        self.refused.take()
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, _now: usize, wanted: usize, _most: Option<usize>) -> wasmtime::Result<bool> {
        let fits = wanted as u64 <= self.memory_mb.saturating_mul(MEGABYTE);
        if !fits {
            let wanted = (wanted as u64).div_ceil(MEGABYTE);
            self.refused = Some(format!(
                "it wanted {wanted} MB of memory and may have {}; take less, or set memory in [limits]",
                self.memory_mb
            ));
        }
        Ok(fits)
    }

    fn table_growing(&mut self, _now: usize, wanted: usize, _most: Option<usize>) -> wasmtime::Result<bool> {
        if wanted > TABLE {
            self.refused = Some(format!("it wanted a table of {wanted} elements and may have {TABLE}"));
        }
        Ok(wanted <= TABLE)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        1
    }
}
