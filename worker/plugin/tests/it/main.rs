//! Stories of plugins as their authors write them.

mod conformance;
mod name_count;
mod process_runtime;
mod sample_plugins;
mod sql_runtime;
mod wasm_runtime;
