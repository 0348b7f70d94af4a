//! Whole-grid stories with real processes (in `tests/it`), and the benchmarks.
//!
//! This library holds what both need: a [`scene`] to play in, and the benchmarks' figures, table and groups ([`bench`]).

pub mod bench;
pub mod clock;
pub mod scene;
