//! Job control as pure functions on a working set, the same for every store.
//!
//! [`set`]: the rows some verbs need and what they change. [`queue`]: which job goes out next. [`task`]: verbs on their
//! way through a store's writer. The verbs: `claim.rs`, `attempts.rs` (heartbeat, give-back), `submit.rs`, `leases.rs`
//! (leases that ran out), `jobs.rs`, `batches.rs` and `workers.rs` (what people do). `moves.rs` is where a job's state
//! changes. What may happen is decided in `jobserver/rules`; SQL is the stores' own business.

pub(crate) mod attempts;
pub(crate) mod batches;
pub(crate) mod claim;
pub(crate) mod jobs;
pub(crate) mod leases;
mod moves;
pub(crate) mod queue;
pub(crate) mod rows;
pub(crate) mod set;
pub(crate) mod submit;
pub(crate) mod submitted;
mod table;
pub(crate) mod task;
pub(crate) mod turn_down;
pub(crate) mod workers;
