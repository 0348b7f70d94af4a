//! Where batches, jobs, records and results are kept.
