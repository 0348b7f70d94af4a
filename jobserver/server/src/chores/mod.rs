//! What the server does by itself, one file per chore. Each ends when the server is asked to end.

pub(crate) mod access;
pub mod expiry;
pub mod look;
pub(crate) mod rollouts;
pub(crate) mod stops;
pub(crate) mod tidy;
