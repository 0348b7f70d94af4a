//! One cycle of a worker: lock, look, sync, hand off, watch, report.
fn main() {}
