//! The command line of Nightshift.
fn main() {}
