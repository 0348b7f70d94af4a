//! Stories of plugins as their authors write them.

mod conformance;
mod hostile;
mod name_count;
mod process_runtime;
mod program_plugins;
mod replica;
mod sample_plugins;
mod sql_runtime;
mod stage;
mod wasm_runtime;
