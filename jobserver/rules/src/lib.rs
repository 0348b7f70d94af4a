//! The rules of job control as pure functions: facts and `now` come in, a plain value comes out.
//!
//! The store finds the facts and writes the answers down; nothing here reads a clock, a database or a socket.
//! [`life`]: every legal move of a job. [`action`]: what an admin may do to one. [`gates`]: which worker may take which
//! jobs. [`explain`]: why a job waits. [`lease`]: how long a claim lasts and when it is over. [`acceptance`]: whose
//! results count. [`sizing`]: how many records a job has and how long it may take. [`retry`]: what failures and lost
//! leases lead to. [`breaker`]: when a batch fails too much. [`quota`]: when a worker does.

pub mod acceptance;
pub mod action;
pub mod attempt;
pub mod breaker;
pub mod explain;
pub mod gates;
pub mod lease;
pub mod life;
pub mod quota;
pub mod retry;
pub mod sizing;
