//! The job server: everything behind the API of `nightshift-wire`, the status page and the background chores.
//!
//! What may happen to a job is decided in `jobserver/rules` and done in `jobserver/store`; which release is believed
//! in `updater/engine`. What is left is here:
//!
//! - [`config`]: `jobserver.toml` as a person wrote it, and what the program believes of it.
//! - [`serve`]: a store, a catalogue of plugins and a listening socket become a running server, and it ends gracefully.
//! - `api`: one file per group of requests. [`csv`]: what comes in and goes out as CSV, pure.
//! - [`catalogue`]: the plugins of the newest believed release, and how a request gets a fresh look at it.
//! - [`chores`]: looking at the repository, taking back jobs whose lease is over, tidying up after hand-ins.
//! - `pages`: the status page at `/`.
//! - `connection`: one connection from its first byte to its end, HTTP/1 or HTTP/2. `guard`: what surrounds every
//!   request; [`host`], [`rate`] and `budget` decide what it lets through.
//! - `access`: who asks, and may they. [`tls`]: what makes connections safe. [`setup`]: what `init` makes.
//! - [`artifacts`]: files kept for the grid, by the hash of their bytes.
//! - `metrics`: what is counted and measured, for `/metrics`.
//!
//! The server never connects to a worker. It answers only after the store has committed.

mod access;
mod api;
mod app;
pub mod artifacts;
mod budget;
mod connection;
mod guard;
mod metrics;
mod pages;
mod range;
mod refused;
mod rollouts;
mod stops;
mod turns;

pub mod catalogue;
pub mod chores;
pub mod clock;
pub mod config;
pub mod csv;
pub mod files;
pub mod host;
pub mod rate;
pub mod serve;
pub mod setup;
pub mod state_dir;
pub mod swap;
pub mod tls;
