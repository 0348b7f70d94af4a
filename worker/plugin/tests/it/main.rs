//! Stories of plugins as their authors write them.

mod sample_plugins;
mod process_runtime;
mod sql_runtime;
