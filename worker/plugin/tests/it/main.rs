//! Stories of plugins as their authors write them.

mod hostile;
mod process_runtime;
mod program_plugins;
mod sample_plugins;
mod sql_runtime;
mod stage;
