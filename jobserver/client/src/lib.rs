//! The one HTTP client of the job server's API: every verb of `nightshift-wire` as an async method.
//!
//! What to do about an answer, how long to wait before asking again and what to keep meanwhile is the caller's
//! business; [`ClientError::is_retryable`] says whether asking again can help. How a request travels:
//!
//! 1. The servers of the list are tried in turn, beginning with the one that answered last. A server that cannot be
//!    reached, stays silent or says 502, 503 or 504 hands over to the next. Every verb but the hand-in may arrive
//!    twice without harm, which is why this is safe.
//! 2. A hand-in is a stream that cannot be sent twice: a living server is found first, then it gets the stream.
//! 3. Records and results are compressed, the latter only for servers that have shown that they take that (they sent
//!    something compressed, or named gzip in `Accept-Encoding`); one that says 415 gets the same again as it is. A cap
//!    ([`Client::cap_bulk`]) keeps both below a number of bytes a second.
//! 4. Nothing is waited for without end: connecting, the head of an answer and each piece of its body have limits.
//!
//! Proxies are never used, whatever the environment says: the job server is in the house, and loopback must not leave
//! the machine.

mod access;
mod admin;
mod artifacts;
mod ask;
mod bandwidth;
mod client;
mod clock;
mod error;
mod gzip;
mod people;
mod replication;
mod rollouts;
mod servers;
mod statistics;
mod stream;

pub use access::{Access, BadPin, Pin};
pub use artifacts::ArtifactPart;
pub use ask::Timeouts;
pub use client::{Client, HandedIn};
pub use error::ClientError;
pub use stream::Download;
