//! The job server: API, pages and background chores.
fn main() {}
