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
    // What was handed in and what came of it.
    COMPUTED: "computed.sql",
    FREE_KEY: "free_key.sql",
    INPUT: "input.sql",
    INPUT_OF_KEY: "input_of_key.sql",
    INSERT_INPUT: "insert_input.sql",
    JOBS_WITH_ERRORS: "jobs_with_errors.sql",
    SPEED: "speed.sql",
    // The jobs' life.
    ABANDON_BATCH: "abandon_batch.sql",
    ABANDONED_JOBS: "abandoned_jobs.sql",
    ACCEPT_ATTEMPT: "accept_attempt.sql",
    ATTEMPT: "attempt.sql",
    ATTEMPTS_OVER: "attempts_over.sql",
    BATCH: "batch.sql",
    BATCHES: "batches.sql",
    BATCH_COLUMNS: "batch_columns.sql",
    COUNT_APPENDED_JOBS: "count_appended_jobs.sql",
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
    IS_FOREIGN: "is_foreign.sql",
    JOBS: "jobs.sql",
    JOB_AT: "job_at.sql",
    KEEP_SAVEPOINT: "keep_savepoint.sql",
    MEET_WORKER: "meet_worker.sql",
    MOVE_JOB: "move_job.sql",
    NEXT_JOB: "next_job.sql",
    NEXT_RECORD: "next_record.sql",
    OPEN_BATCH: "open_batch.sql",
    RECEIVING_BATCH: "receiving_batch.sql",
    RECORDS: "records.sql",
    RENEW_LEASE: "renew_lease.sql",
    REPORT: "report.sql",
    RESULTS: "results.sql",
    RUNNING_ATTEMPTS: "running_attempts.sql",
    SAVEPOINT: "savepoint.sql",
    SEAL_BATCH: "seal_batch.sql",
    SEAL_JOBS: "seal_jobs.sql",
    SEE_WORKER: "see_worker.sql",
    SET_MEASURED: "set_measured.sql",
    SHORTEN_LEASES: "shorten_leases.sql",
    UNDO_SAVEPOINT: "undo_savepoint.sql",
    UNFINISHED_BATCHES: "unfinished_batches.sql",
    WORKERS: "workers.sql",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::Connection;

    use super::ALL;
    use crate::sqlite::migrations;

    #[test]
    fn every_sql_file_is_used() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sqlite");
        let files = std::fs::read_dir(folder).expect("this folder").map(|entry| entry.expect("an entry").file_name());
        let files: BTreeSet<String> = files.map(|name| name.to_string_lossy().into_owned()).collect();
        let files: BTreeSet<&str> = files.iter().map(String::as_str).filter(|name| name.ends_with(".sql")).collect();
        assert_eq!(files, ALL.iter().map(|(file, _)| *file).collect());
    }

    #[test]
    fn no_query_reads_through_a_table_that_grows_with_the_work() {
        let mut connection = Connection::open_in_memory().expect("a database");
        migrations::migrations::runner().run(&mut connection).expect("the tables");
        for (file, sql) in ALL {
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(file);
            for parameter in 1..=explained.parameter_count() {
                explained.raw_bind_parameter(parameter, rusqlite::types::Null).expect("bind");
            }
            let mut steps = explained.raw_query();
            while let Some(step) = steps.next().expect("a plan") {
                let step: String = step.get("detail").expect("a step");
                for table in ["jobs", "first", "job_records", "job_results", "attempts"] {
                    let through = format!("SCAN {table}");
                    let scans = step == through || step.starts_with(&format!("{through} "));
                    assert!(!scans, "{file}: {step}");
                }
                let sorts = step.contains("TEMP B-TREE") && !["computed.sql", "workers.sql"].contains(file);
                assert!(!sorts, "{file}: {step}");
            }
        }
    }

    #[test]
    fn no_query_that_runs_for_each_job_builds_a_temporary_table() {
        let mut connection = Connection::open_in_memory().expect("a database");
        migrations::migrations::runner().run(&mut connection).expect("the tables");
        for (file, sql) in ALL {
            let mut explained = connection.prepare(&format!("EXPLAIN {sql}")).expect(file);
            for parameter in 1..=explained.parameter_count() {
                explained.raw_bind_parameter(parameter, rusqlite::types::Null).expect("bind");
            }
            let mut steps = explained.raw_query();
            while let Some(step) = steps.next().expect("a step") {
                let step: String = step.get("opcode").expect("its name");
                let seldom = ["computed.sql", "free_key.sql", "report.sql", "meet_worker.sql", "shorten_leases.sql"]
                    .contains(file);
                assert!(step != "OpenEphemeral" || seldom, "{file}");
            }
        }
    }

    #[test]
    fn no_query_reads_a_clock() {
        for (file, sql) in ALL {
            let sql = sql.to_lowercase();
            for clock in ["now')", "current_time", "strftime", "unixepoch", "julianday", "datetime("] {
                assert!(!sql.contains(clock), "{file} has {clock}");
            }
        }
    }
}
