//! Every query, by name: one `.sql` file each, and no SQL anywhere else.

macro_rules! queries {
    ($($name:ident: $file:literal,)*) => {
        $(pub(super) const $name: &str = include_str!($file);)*

        /// All queries with the names of their files, for the tests that look at how they run.
        #[cfg(test)]
        pub(super) const ALL: &[(&str, &str)] = &[$(($file, $name),)*];
    };
}

queries! {
    ABANDON_BATCH: "abandon_batch.sql",
    ABANDONED_JOBS: "abandoned_jobs.sql",
    ACCEPT_ATTEMPT: "accept_attempt.sql",
    ATTEMPT: "attempt.sql",
    ATTEMPTS_NOT_HELD: "attempts_not_held.sql",
    ATTEMPTS_OVER: "attempts_over.sql",
    BATCH: "batch.sql",
    BATCHES: "batches.sql",
    BATCH_COLUMNS: "batch_columns.sql",
    COUNT_APPENDED_JOB: "count_appended_job.sql",
    COUNT_JOBS: "count_jobs.sql",
    COUNT_MOVE: "count_move.sql",
    COUNT_WORKERS: "count_workers.sql",
    CREDIT_WORKER: "credit_worker.sql",
    DELETE_BATCH: "delete_batch.sql",
    DELETE_JOB: "delete_job.sql",
    DELETE_RECORDS: "delete_records.sql",
    END_ATTEMPT: "end_attempt.sql",
    INSERT_ATTEMPT: "insert_attempt.sql",
    INSERT_JOB: "insert_job.sql",
    INSERT_RECORDS: "insert_records.sql",
    INSERT_RESULT: "insert_result.sql",
    JOB: "job.sql",
    JOBS: "jobs.sql",
    JOB_AT: "job_at.sql",
    MEASURED: "measured.sql",
    MOVE_JOB: "move_job.sql",
    NEXT_JOB: "next_job.sql",
    NEXT_RECORD: "next_record.sql",
    OPEN_BATCH: "open_batch.sql",
    RECEIVING_BATCH: "receiving_batch.sql",
    RECORDS: "records.sql",
    RENEW_LEASE: "renew_lease.sql",
    REPORT: "report.sql",
    RESULTS: "results.sql",
    SEAL_BATCH: "seal_batch.sql",
    SEAL_JOBS: "seal_jobs.sql",
    SEE_WORKER: "see_worker.sql",
    SET_MEASURED: "set_measured.sql",
    UNFINISHED_BATCHES: "unfinished_batches.sql",
    WORKERS: "workers.sql",
}
