//! Whole-grid stories with real processes, and the benchmarks.
