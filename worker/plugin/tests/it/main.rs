//! Stories of plugins as their authors write them.

mod sample_plugins;
mod sql_runtime;
