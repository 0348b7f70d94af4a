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
    ABANDON_UNFINISHED_BATCHES: "abandon_unfinished_batches.sql",
    ABANDONED_JOBS: "abandoned_jobs.sql",
    ALLOW_ERRORS: "allow_errors.sql",
    ATTEMPT: "attempt.sql",
    ATTEMPTS_OVER: "attempts_over.sql",
    ATTEMPTS_SHOWN: "attempts_shown.sql",
    BATCH: "batch.sql",
    BATCH_AT_WORK: "batch_at_work.sql",
    BATCH_COLUMNS: "batch_columns.sql",
    BATCH_RANGE: "batch_range.sql",
    BATCHES: "batches.sql",
    COPY_WHOLE: "copy_whole.sql",
    COUNT_APPENDED_JOBS: "count_appended_jobs.sql",
    COUNT_BATCH: "count_batch.sql",
    COUNT_JOBS: "count_jobs.sql",
    COUNT_WORKERS: "count_workers.sql",
    CREDIT_WORKER: "credit_worker.sql",
    DELETE_ATTEMPTS: "delete_attempts.sql",
    DELETE_BATCH: "delete_batch.sql",
    DELETE_JOB: "delete_job.sql",
    DELETE_LANES: "delete_lanes.sql",
    DELETE_OWNER: "delete_owner.sql",
    DELETE_RECORDS: "delete_records.sql",
    DELETE_RESULTS: "delete_results.sql",
    DELETE_SUPERSEDED_RESULTS: "delete_superseded_results.sql",
    EXTEND_LEASES: "extend_leases.sql",
    FIND_JOBS: "find_jobs.sql",
    INSERT_ATTEMPT: "insert_attempt.sql",
    INSERT_JOB: "insert_job.sql",
    INSERT_LANE: "insert_lane.sql",
    INSERT_RECORDS: "insert_records.sql",
    INSERT_RESULT: "insert_result.sql",
    IS_FOREIGN: "is_foreign.sql",
    JOB: "job.sql",
    JOB_AT: "job_at.sql",
    JOB_SHOWN: "job_shown.sql",
    JOB_TYPE: "job_type.sql",
    JOBS: "jobs.sql",
    JOBS_AHEAD: "jobs_ahead.sql",
    KEEP_SAVEPOINT: "keep_savepoint.sql",
    LANE: "lane.sql",
    LANE_LIKE: "lane_like.sql",
    LAST_ALIVE: "last_alive.sql",
    MEET_WORKER: "meet_worker.sql",
    MOVE_TO_LANE: "move_to_lane.sql",
    NEXT_ATTEMPT: "next_attempt.sql",
    NEXT_RECORD: "next_record.sql",
    NOTE_ALIVE: "note_alive.sql",
    NOTE_SAMPLES: "note_samples.sql",
    OPEN_BATCH: "open_batch.sql",
    OPEN_LANES: "open_lanes.sql",
    RECEIVING_BATCH: "receiving_batch.sql",
    RECORDS: "records.sql",
    REMOVE_BATCH: "remove_batch.sql",
    REPORT: "report.sql",
    RESULTS: "results.sql",
    RUNNING_ATTEMPTS: "running_attempts.sql",
    SAVEPOINT: "savepoint.sql",
    SEAL_BATCH: "seal_batch.sql",
    SEAL_JOBS: "seal_jobs.sql",
    SHORTEN_LEASES: "shorten_leases.sql",
    SUPERSEDE_RESULTS: "supersede_results.sql",
    SUSPEND_BATCH: "suspend_batch.sql",
    UNDO_SAVEPOINT: "undo_savepoint.sql",
    UNFINISHED_BATCHES: "unfinished_batches.sql",
    WAITING_JOBS: "waiting_jobs.sql",
    WORKER: "worker.sql",
    WORKER_AT_WORK: "worker_at_work.sql",
    WORKERS: "workers.sql",
    WRITE_ATTEMPT: "write_attempt.sql",
    WRITE_JOB: "write_job.sql",
    WRITE_JOB_TYPE: "write_job_type.sql",
    WRITE_WORKER: "write_worker.sql",
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
                for table in ["jobs", "job_records", "job_results", "superseded_results", "attempts"] {
                    let through = format!("SCAN {table}");
                    // This index has the running attempts alone.
                    let all = step != "SCAN attempts USING INDEX attempts_by_lease";
                    let scans = all && (step == through || step.starts_with(&format!("{through} ")));
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
                let seldom = [
                    "computed.sql",
                    "extend_leases.sql",
                    "find_jobs.sql",
                    "free_key.sql",
                    "meet_worker.sql",
                    "report.sql",
                    "shorten_leases.sql",
                ]
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
