//! Every query, by name: one `.sql` file each, and no SQL anywhere else.

macro_rules! queries {
    ($($name:ident: $file:literal,)*) => {
        $(pub(super) const $name: &str = include_str!($file);)*

        /// All queries with the names of their files, for the tests that look at them.
        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$(($file, $name),)*];
    };
}

queries! {
    // What was handed in and what came of it.
    COMPUTED: "computed.sql",
    FREE_KEY: "free_key.sql",
    INPUT: "input.sql",
    INPUT_OF_KEY: "input_of_key.sql",
    INSERT_INPUT: "insert_input.sql",
    JOBS_WITH_ERRORS: "jobs_with_errors.sql",
    SPEED: "speed.sql",
    // The jobs' life.
    ABANDONED_JOBS: "abandoned_jobs.sql",
    ABANDON_BATCH: "abandon_batch.sql",
    ACCEPT_ATTEMPT: "accept_attempt.sql",
    ATTEMPT: "attempt.sql",
    ATTEMPTS_NOT_HELD: "attempts_not_held.sql",
    ATTEMPTS_OVER: "attempts_over.sql",
    ATTEMPT_STATE: "attempt_state.sql",
    BATCH: "batch.sql",
    BATCHES: "batches.sql",
    BATCH_COLUMNS: "batch_columns.sql",
    BATCH_STATE: "batch_state.sql",
    CLAIMED_BEFORE: "claimed_before.sql",
    COUNT_APPENDED_JOB: "count_appended_job.sql",
    COUNT_JOBS: "count_jobs.sql",
    COUNT_MOVE: "count_move.sql",
    COUNT_WORKERS: "count_workers.sql",
    CREDIT_WORKER: "credit_worker.sql",
    DELETE_BATCH: "delete_batch.sql",
    DELETE_JOB: "delete_job.sql",
    DELETE_RECORDS: "delete_records.sql",
    END_ATTEMPT: "end_attempt.sql",
    FIRST_WAITING: "first_waiting.sql",
    INSERT_ATTEMPT: "insert_attempt.sql",
    INSERT_JOB: "insert_job.sql",
    INSERT_RECORDS: "insert_records.sql",
    INSERT_RESULT: "insert_result.sql",
    JOB: "job.sql",
    JOBS: "jobs.sql",
    JOB_AT: "job_at.sql",
    MEASURED: "measured.sql",
    MOMENT: "moment.sql",
    MOVE_JOB: "move_job.sql",
    NEXT_JOB: "next_job.sql",
    OPEN_BATCH: "open_batch.sql",
    READ_COMMITTED: "read_committed.sql",
    RECEIVING_BATCH: "receiving_batch.sql",
    RECORDS: "records.sql",
    RECORD_JOB: "record_job.sql",
    RENEW_LEASE: "renew_lease.sql",
    REPEATABLE_READ: "repeatable_read.sql",
    REPORT: "report.sql",
    RESULTS: "results.sql",
    SEAL_BATCH: "seal_batch.sql",
    SEAL_JOBS: "seal_jobs.sql",
    SEE_WORKER: "see_worker.sql",
    SERVER: "server.sql",
    SESSION: "session.sql",
    SET_MEASURED: "set_measured.sql",
    SHORTEN_LEASES: "shorten_leases.sql",
    TABLES_VERSION: "tables_version.sql",
    TAKE_LOCK: "take_lock.sql",
    TAKE_NUMBERS: "take_numbers.sql",
    UNFINISHED_BATCHES: "unfinished_batches.sql",
    WORKERS: "workers.sql",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    fn files(folder: &str) -> BTreeSet<String> {
        let folder = format!("{}/src/{folder}", env!("CARGO_MANIFEST_DIR"));
        let names = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".sql")).collect()
    }

    #[test]
    fn every_sql_file_is_used() {
        assert_eq!(files("mysql"), ALL.iter().map(|(file, _)| (*file).to_owned()).collect());
    }

    #[test]
    fn a_query_that_differs_from_its_twin_or_has_none_says_why() {
        let sqlite = files("sqlite");
        for (file, sql) in ALL {
            let twin = sqlite.contains(*file).then(|| {
                let path = format!("{}/src/sqlite/{file}", env!("CARGO_MANIFEST_DIR"));
                std::fs::read_to_string(path).expect("the twin")
            });
            let plain = |sql: &str| sql.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ");
            let same = twin.is_some_and(|twin| plain(&twin) == plain(sql));
            assert!(same || sql.starts_with("-- "), "{file} differs from SQLite's and does not say why");
        }
    }

    #[test]
    fn no_query_reads_a_clock_but_the_one_that_is_asked_for_it() {
        for (file, sql) in ALL.iter().filter(|(file, _)| *file != "moment.sql") {
            let sql = sql.to_lowercase();
            for clock in ["now()", "current_time", "curdate", "curtime", "unix_timestamp", "sysdate", "utc_time"] {
                assert!(!sql.contains(clock), "{file} has {clock}");
            }
        }
    }
}
