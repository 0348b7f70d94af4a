//! What the server does by itself, one file per chore. Each ends when the server is asked to end.

pub mod expiry;
pub mod look;
pub(crate) mod tidy;
