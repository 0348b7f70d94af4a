//! Faults on purpose: what happens between two programs on a bad day, at the instant a test chooses.
//!
//! [`Proxy`] stands between a client and a server on loopback and cuts, freezes, delays and loses what passes. It knows
//! nothing of what is spoken but bytes. Servers that crash or freeze are the business of [`crate::database`] (kill -9 and
//! start again on the same data and port) and [`crate::grid`].

mod proxy;
mod way;

pub use proxy::Proxy;
