//! The job server: everything behind the API of `nightshift-wire`, the dashboard and the background chores.
//!
//! What may happen to a job is decided in `jobserver/rules` and done in `jobserver/store`; which release is believed
//! in `updater/engine`. What is left is here:
//!
//! - [`config`]: `jobserver.toml` as a person wrote it, and what the program believes of it.
//! - [`serve`]: a store, a catalogue of plugins and a listening socket become a running server, and it ends gracefully.
//! - `api`: one file per group of requests. [`csv`]: what comes in and goes out as CSV, pure.
//! - [`catalogue`]: the plugins of the newest believed release, and how a request gets a fresh look at it.
//! - [`chores`]: looking at the repository, taking back jobs whose lease is over, tidying up after hand-ins.
//! - `pages`: the dashboard. `acts`: notes who did what.
//! - `connection`: one connection from its first byte to its end, HTTP/1 or HTTP/2. `guard`: what surrounds every
//!   request; [`host`], [`rate`] and `budget` decide what it lets through.
//! - [`backup`]: a copy of what cannot be made anew.
//! - `access`: who asks, and may they. [`tls`]: what makes connections safe. [`setup`]: what `init` makes.
//! - [`primary`]: the primary of the company's data, which this server asks and workers' replicas copy.
//! - [`shared_clock`]: what time it is where several servers share a store.
//! - [`artifacts`]: files kept for the grid, by the hash of their bytes.
//! - `statistics`: what was done in which time, and how that compares with a baseline.
//! - `metrics`: what is counted and measured, for `/metrics`.
//!
//! The server never connects to a worker. It answers only after the store has committed.

mod access;
mod acts;
mod api;
mod app;
pub mod artifacts;
pub mod backup;
mod budget;
mod connection;
mod guard;
mod metrics;
mod pages;
pub mod password_file;
pub mod primary;
mod range;
mod refused;
mod rollouts;
mod statistics;
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
pub mod shared_clock;
pub mod state_dir;
pub mod swap;
pub mod tls;
