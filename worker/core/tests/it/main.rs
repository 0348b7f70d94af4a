//! Stories of a core: killed at every named moment, ordered about, with a job server that fails in every way.

mod ahead;
mod fake;
mod killed;
mod ordered;
mod program;
mod real_server;
mod server_faults;
mod server_trouble;
mod worker;
