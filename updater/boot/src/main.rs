//! The part of a worker that never updates itself: it finds the launcher in force and becomes it.
fn main() {}
