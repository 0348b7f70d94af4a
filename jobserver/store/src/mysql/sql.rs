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
    ABANDON_BATCH: "abandon_batch.sql",
    ABANDONED_JOBS: "abandoned_jobs.sql",
    ALLOW_ERRORS: "allow_errors.sql",
    ATTEMPT: "attempt.sql",
    ATTEMPTS: "attempts.sql",
    ATTEMPTS_OVER: "attempts_over.sql",
    ATTEMPTS_SHOWN: "attempts_shown.sql",
    BATCH: "batch.sql",
    BATCH_COLUMNS: "batch_columns.sql",
    BATCH_RANGE: "batch_range.sql",
    BATCH_STATE: "batch_state.sql",
    BATCHES: "batches.sql",
    BATCHES_AT_WORK: "batches_at_work.sql",
    BEGIN_LIFE: "begin_life.sql",
    COUNT_APPENDED_JOBS: "count_appended_jobs.sql",
    COUNT_BATCH: "count_batch.sql",
    COUNT_JOBS: "count_jobs.sql",
    COUNT_WORKERS: "count_workers.sql",
    CREDIT_SOUND_WORKERS: "credit_sound_workers.sql",
    CREDIT_WORKERS: "credit_workers.sql",
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
    FIND_NAMED_JOBS: "find_named_jobs.sql",
    INSERT_ATTEMPTS: "insert_attempts.sql",
    INSERT_ENDED_ATTEMPTS: "insert_ended_attempts.sql",
    INSERT_JOBS: "insert_jobs.sql",
    INSERT_LANE: "insert_lane.sql",
    INSERT_RECORDS: "insert_records.sql",
    INSERT_RESULTS: "insert_results.sql",
    JOB_AT: "job_at.sql",
    JOB_SHOWN: "job_shown.sql",
    JOB_TYPES: "job_types.sql",
    JOBS: "jobs.sql",
    JOBS_AHEAD: "jobs_ahead.sql",
    JOBS_AT_WORK: "jobs_at_work.sql",
    LANE_LIKE: "lane_like.sql",
    LANES: "lanes.sql",
    LAST_ALIVE: "last_alive.sql",
    LAST_GROUP: "last_group.sql",
    MEET_WORKER: "meet_worker.sql",
    MOMENT: "moment.sql",
    NEXT_JOBS: "next_jobs.sql",
    NOTE_ALIVE: "note_alive.sql",
    NOTE_GROUP: "note_group.sql",
    NOTE_SAMPLES: "note_samples.sql",
    OPEN_BATCH: "open_batch.sql",
    OPEN_LANES: "open_lanes.sql",
    READ_COMMITTED: "read_committed.sql",
    RECEIVING_BATCH: "receiving_batch.sql",
    RECORD_JOB: "record_job.sql",
    RECORDS: "records.sql",
    REMOVE_BATCH: "remove_batch.sql",
    REPEATABLE_READ: "repeatable_read.sql",
    REPORT: "report.sql",
    RESULTS: "results.sql",
    RUNNING_ATTEMPTS: "running_attempts.sql",
    SEAL_BATCH: "seal_batch.sql",
    SERVER: "server.sql",
    SESSION: "session.sql",
    SHORTEN_LEASES: "shorten_leases.sql",
    SUPERSEDE_RESULTS: "supersede_results.sql",
    SUSPEND_BATCH: "suspend_batch.sql",
    TABLES_VERSION: "tables_version.sql",
    TAKE_LOCK: "take_lock.sql",
    TAKE_NUMBERS: "take_numbers.sql",
    UNFINISHED_BATCHES: "unfinished_batches.sql",
    WAITING_JOBS: "waiting_jobs.sql",
    WORKER: "worker.sql",
    WORKERS: "workers.sql",
    WORKERS_AT_WORK: "workers_at_work.sql",
    WRITE_ATTEMPTS: "write_attempts.sql",
    WRITE_JOB_TYPE: "write_job_type.sql",
    WRITE_HELD_JOBS: "write_held_jobs.sql",
    WRITE_JOBS: "write_jobs.sql",
    WRITE_RUNNING_ATTEMPTS: "write_running_attempts.sql",
    WRITE_STREAK: "write_streak.sql",
    WRITE_WORKER: "write_worker.sql",
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
    fn what_is_remembered_is_changed_as_what_is_read_with_one_condition_more() {
        let pairs = [
            (super::WRITE_ATTEMPTS, super::WRITE_RUNNING_ATTEMPTS),
            (super::WRITE_JOBS, super::WRITE_HELD_JOBS),
            (super::CREDIT_WORKERS, super::CREDIT_SOUND_WORKERS),
        ];
        let statement = |sql: &'static str| sql.split_once("UPDATE ").expect("an update").1.trim_end();
        for (read, remembered) in pairs {
            let condition = statement(remembered).strip_prefix(statement(read));
            assert!(condition.is_some_and(|more| more.starts_with(" AND ")), "{remembered}");
        }
    }

    #[test]
    fn jobs_that_are_named_are_chosen_as_all_others() {
        let conditions = |sql: &'static str| {
            let (_, behind) = sql.split_once("  AND (:batch").expect("a condition");
            behind.split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(conditions(super::FIND_JOBS), conditions(super::FIND_NAMED_JOBS));
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
