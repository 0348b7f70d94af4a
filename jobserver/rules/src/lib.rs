//! The life of a job, leases, acceptance and sizing as pure functions.
