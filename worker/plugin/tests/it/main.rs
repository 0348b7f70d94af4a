//! Stories of plugins as their authors write them.

mod process_runtime;
mod replica;
mod sample_plugins;
mod sql_runtime;
