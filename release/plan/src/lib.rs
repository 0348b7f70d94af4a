//! A capacity planner: what would the idle PCs of this office bring? Pure: no clock, no disk, no network.
//!
//! [`Office`] is what is known of the office; [`plan`] simulates it and says what came of it, as a [`Plan`]. The jobs of
//! the simulation live by `nightshift-rules`, the same functions that the job server asks: life, lease, acceptance,
//! retry, quota, size. What is made up is only the office: when PCs are idle, who comes back, what a network carries.
//! The same office and seed give the same plan.
//!
//! [`theory`]: the arithmetic of the articles, without a simulation. `grid`: the simulation. [`sizes`]: job sizes compared,
//! and the one recommended. [`chart`]: a plan as SVG.

mod agenda;
pub mod chart;
mod grid;
mod jobs;
mod network;
mod office;
mod plan;
mod random;
pub mod sizes;
mod tally;
pub mod theory;

pub use office::{Interruption, Office, Today, WrongOffice};
pub use plan::{Advice, Pace, Plan, plan};
pub use tally::{Figures, Hour};

/// Milliseconds of a minute.
pub const MINUTE_MS: u64 = 60_000;
/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * HOUR_MS;
