//! The `wasm` runtime: a plugin is a WebAssembly module, which gets blocks as bytes in its memory and answers so.
//!
//! 1. The module is compiled, or taken from the cache ([`cache`]), and refused when it imports or exports anything but
//!    what docs/PLUGINS.md lists ([`module`]).
//! 2. An instance is made, its start function and its `open` run ([`guest`]). It may query the plugin's tables and write
//!    lines into the log ([`imports`]); nothing else is within its reach.
//! 3. Each block goes in, and its answer comes out, as tagged little-endian bytes ([`abi`]).
//!
//! Its memory, tables, stack, time and work are bounded ([`bounds`]). An instance that trapped or did not answer as it must
//! is thrown away and made anew, and the block is tried again on halves ([`crate::isolate`]).

mod abi;
mod bounds;
mod cache;
mod engine;
mod guest;
mod imports;
mod instance;
mod module;

pub(crate) use instance::WasmPlugin;
