//! The one HTTP client of the job server's API: every verb of `nightshift-wire` as an async method.
//!
//! What to do about an answer, how long to wait before asking again and what to keep meanwhile is the caller's
//! business; [`ClientError::is_retryable`] says whether asking again can help. How a request travels:
//!
//! 1. The servers of the list are tried in turn, beginning with the one that answered last. A server that cannot be
//!    reached, stays silent or says 502, 503 or 504 hands over to the next. Every verb but the hand-in may arrive
//!    twice without harm, which is why this is safe.
//! 2. A hand-in is a stream that cannot be sent twice: a living server is found first, then it gets the stream.
//! 3. Nothing is waited for without end: connecting, the head of an answer and each piece of its body have limits.
//!
//! Proxies are never used, whatever the environment says: the job server is in the house, and loopback must not leave
//! the machine.

mod access;
mod ask;
mod client;
mod error;
mod servers;
mod stream;

pub use access::{Access, BadPin, Pin};
pub use ask::Timeouts;
pub use client::Client;
pub use error::ClientError;
pub use stream::Download;
