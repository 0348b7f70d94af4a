//! The rules of job control as pure functions: facts and `now` come in, a plain value comes out.
//!
//! The store finds the facts and writes the answers down; nothing here reads a clock, a database or a socket.
//! [`life`]: every legal move of a job. [`action`]: what an admin may do to one. [`gates`]: which worker may take which
//! jobs. [`explain`]: why a job waits. [`lease`]: how long a claim lasts and when it is over. [`acceptance`]: whose
//! results count. [`sizing`]: how many records a job has and how long it may take; [`auto_size`]: the same by measured
//! speed. [`retry`]: what failures and lost leases lead to. [`breaker`]: when a batch fails too much. [`quota`]: when a
//! worker does. [`proof`]: whether as much came out of a batch as went in. [`access`]: who may make which request.
//! [`enrolment`]: which worker is let in. [`rollout`]: how a release does, ring by ring. [`network`]: what a network holds.
//! [`primary`]: which server counts as the primary of the data, and what gets a new position after a failover.
//! [`rebuild`]: who may build a replica anew, and who waits. [`turnaround`]: how long jobs take, on a scale that adds up.
//! [`spare_time`]: why workers do not work. [`baseline`]: whether a step of the rollout over an office brought what it should.

pub mod acceptance;
pub mod access;
pub mod action;
pub mod attempt;
pub mod auto_size;
pub mod baseline;
pub mod breaker;
pub mod enrolment;
pub mod explain;
pub mod gates;
pub mod lease;
pub mod life;
pub mod network;
pub mod primary;
pub mod proof;
pub mod quota;
pub mod rebuild;
pub mod retry;
pub mod rollout;
pub mod sizing;
pub mod spare_time;
pub mod turnaround;
