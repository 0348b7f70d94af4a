//! Stories of plugins as their authors write them.

mod conformance;
mod hostile;
mod name_count;
mod process_runtime;
mod program_plugins;
mod sample_plugins;
mod sql_runtime;
mod wasm_runtime;
mod stage;
