//! Is the worker's local copy of the company's data current, and making it so: on MariaDB and MySQL.
//!
//! [`facts`] are looked at, [`trail`] remembers them, [`verdict`] judges, [`heal`] decides what to do; [`wait`] waits until
//! data are new enough for a job. By default the worker runs the [`server`] itself; [`rebuild`] fills it from its primary.
//! What it means for data to be old enough is [`nightshift_wire::DataPosition`]'s; reading tables for plugins is
//! `worker/plugin`'s.

pub mod facts;
pub mod heal;
mod identity;
pub mod make;
pub mod position;
mod process;
pub mod rebuild;
pub mod server;
mod sql;
mod swap;
pub mod trail;
pub mod verdict;
pub mod wait;
mod watch;

pub use identity::server_id;
pub use watch::Watch;
