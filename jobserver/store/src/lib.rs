//! Where batches, jobs, records, attempts and results are kept.
//!
//! [`Store`] is what the job server needs, in a dozen verbs of the domain, [`Ledger`] the part of it that knows what was
//! handed in; [`sqlite`] is the store that needs no
//! set-up, [`mysql`] the one that several job servers share. What may happen to a job is decided in `jobserver/rules`; a store finds the facts, asks, and writes the
//! answer down. Every verb is one transaction: when it answers, what it did is on disk; when it fails, nothing
//! happened. No verb reads a clock: `now` comes in, and every moment reaches SQL as a bound parameter.

mod access;
mod error;
mod ledger;
pub mod mysql;
pub mod sqlite;
mod store;
mod values;
mod words;

pub use access::{Access, AccessChanges, AccessRefusal, Decided, KnownToken, KnownWorker};
pub use error::{Refusal, StoreError};
pub use ledger::{Computed, Input, Ledger, Noted};
pub use store::Store;
pub use values::{Counts, JobResults, LostAttempt, NewBatch, RecordWithOutcome};
