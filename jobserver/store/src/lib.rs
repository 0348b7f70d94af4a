//! Where batches, jobs, records, attempts and results are kept.
//!
//! [`Store`] is what the job server needs, in verbs of the domain, [`Ledger`] the part of it that knows what was handed
//! in, [`Rollouts`] the part that knows how releases do, [`Replicas`] the part that knows of the primary and of replicas,
//! [`Board`] what the dashboard shows of it, [`Statistics`] what was done in each hour and day, [`Access`] who is let in (with [`Stops`], [`Sessions`] and [`Acts`]);
//! [`sqlite`] is the store that needs no set-up, [`mysql`] the one that several job servers share. The verbs of job control are written once (`work`): they ask `jobserver/rules` what may happen; a store loads
//! the rows they need and writes down what they change. Every verb is one step: when it answers, what it did is on disk;
//! when it fails, nothing happened. No verb reads a clock: `now` comes in, and every moment reaches SQL as a bound
//! parameter.

mod access;
mod acts;
mod board;
mod error;
mod ledger;
mod leftovers;
pub mod mysql;
mod replicas;
mod rollouts;
mod sessions;
pub mod sqlite;
mod statistics;
mod stops;
mod store;
mod values;
mod words;
mod work;

pub use access::{Access, AccessChanges, AccessRefusal, Decided, KnownToken, KnownWorker};
pub use acts::{Act, Acts, NewAct};
pub use board::{BatchFilter, Board, HourOfWork, ReplicasNow, SpoolNow, WorkNow, WorkerFilter, WorkersNow, WorkersWhy};
pub use error::{Refusal, StoreError};
pub use ledger::{Computed, Input, Ledger, Noted};
pub use replicas::{Repinned, Replicas};
pub use rollouts::{KnownRelease, Rollouts};
pub use sessions::{Session, Sessions};
pub use statistics::{DAY_MS, HOUR_MS, Statistics, WorkFound, WorkQuery};
pub use stops::{NewStop, Stops};
pub use store::Store;
pub use values::{Changed, Counts, ExplainFacts, JobChange, JobResults, LostAttempt, NewBatch, RecordWithOutcome};
