//! What the server does by itself, one file per chore. Each ends when the server is asked to end.

pub(crate) mod access;
pub mod expiry;
pub(crate) mod live;
pub mod look;
pub(crate) mod primary;
pub(crate) mod rollouts;
pub(crate) mod statistics;
pub(crate) mod stops;
pub(crate) mod tidy;
