//! Takes jobs from the job server, does them block by block and hands the results in.
fn main() {}
