//! What holds for the SQLite store alone: its file, its constraints, other programs that look at it.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

use nightshift_rules::acceptance::NotWanted;
use nightshift_store::{
    Refusal,
    sqlite::{OpenError, SqliteStore},
};
use rusqlite::Connection;

use crate::{
    hands::{claim, compute, finish, hand_in, new_batch, refusal, see, submit},
    place::{Place as _, SqlitePlace},
};

#[tokio::test]
async fn one_server_at_a_time_has_the_database() {
    let place = SqlitePlace::fresh();
    let store = place.open().await;
    let second = SqliteStore::open(&place.database()).expect_err("in use");
    assert!(matches!(second, OpenError::InUse { .. }), "{second:?}");
    drop(store);
    place.open().await;
}

#[tokio::test]
async fn nobody_but_its_user_reads_the_database_also_one_that_was_open_to_all() {
    let rights = |file: &std::path::Path| file.metadata().expect("a file").permissions().mode() & 0o777;
    let place = SqlitePlace::fresh();
    let folder = place.database().parent().expect("its folder").to_owned();
    for round in ["new", "left open by an older server"] {
        let store = place.open().await;
        hand_in(&*store, &[2]).await;
        let files: Vec<_> =
            folder.read_dir().expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
        assert!(files.len() >= 4, "database, log, index and lock: {files:?}");
        for file in &files {
            assert_eq!(rights(file), 0o600, "{round}: {}", file.display());
            std::fs::set_permissions(file, Permissions::from_mode(0o644)).expect("opened to all");
        }
    }
    let copy = folder.join("copy.sqlite");
    nightshift_store::sqlite::copy(&place.database(), &copy).expect("copied");
    assert_eq!(rights(&copy), 0o600, "a copy, too");
}

#[tokio::test]
async fn a_locked_database_is_worth_a_retry_and_nothing_is_acknowledged() {
    let place = SqlitePlace::fresh();
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let claimed = claim(&*store, "w", 0).await;
    let results = compute(&*store, &claimed).await;
    let seen = see(&*store, batch).await;

    let shell = Connection::open(place.database()).expect("a person's shell");
    shell.execute_batch("BEGIN IMMEDIATE").expect("a person forgets a transaction");
    let (one, two) = tokio::join!(store.open_batch(new_batch(), 0), submit(&*store, &claimed, results.clone(), 1));
    for error in [one.expect_err("locked"), two.expect_err("locked")] {
        assert!(error.is_retryable(), "{error:?}");
    }
    assert_eq!(see(&*store, batch).await, seen, "people can still look");

    shell.execute_batch("ROLLBACK").expect("the person remembers");
    let receipt = submit(&*store, &claimed, results, 2).await.expect("accepted");
    assert!(!receipt.repeated);
}

#[tokio::test]
async fn an_attempt_of_an_older_revision_is_refused() {
    let place = SqlitePlace::fresh();
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let claimed = claim(&*store, "w", 0).await;
    let results = compute(&*store, &claimed).await;
    let admin = Connection::open(place.database()).expect("another connection");
    admin.execute("UPDATE jobs SET revision = 2 WHERE id = ?1", [claimed.job]).expect("the job is edited");

    let stale = NotWanted::StaleRevision { given: 1, now: 2 };
    assert_eq!(refusal(submit(&*store, &claimed, results, 1).await), Refusal::NotWanted(stale));
    assert_eq!(store.batch(batch).await.expect("batch").results, 0);
}

#[tokio::test]
async fn anyone_can_follow_a_record_to_its_result_with_plain_sql() {
    let place = SqlitePlace::fresh();
    let store = place.open().await;
    hand_in(&*store, &[3, 3]).await;
    for worker in ["a", "b"] {
        finish(&*store, &claim(&*store, worker, 0).await, 1).await;
    }
    let reader = Connection::open(place.database()).expect("another connection");
    let sql = "SELECT jobs.worker, job_records.data ->> 0, job_results.result ->> 'person', attempts.release
               FROM jobs
               JOIN job_records ON job_records.job_id = jobs.id
               JOIN job_results ON job_results.job_record_id = job_records.id
               JOIN attempts ON attempts.id = job_results.attempt_id
               WHERE jobs.id = 2 AND job_results.error IS NULL
               ORDER BY job_records.id";
    let mut query = reader.prepare(sql).expect("the tables are as documented");
    let rows: Vec<[String; 4]> = query
        .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
        .expect("query")
        .collect::<Result<_, _>>()
        .expect("rows");
    assert_eq!(rows, [["b", "name 1/1", "name 1/1", "v1.0.0"], ["b", "name 1/2", "name 1/2", "v1.0.0"]]);
}

/// What no program may write, the job server included: each statement breaks one rule of the tables.
#[tokio::test]
async fn rows_that_break_a_rule_cannot_be_written() {
    let place = SqlitePlace::fresh();
    let store = place.open().await;
    hand_in(&*store, &[2, 2, 2]).await;
    finish(&*store, &claim(&*store, "a", 0).await, 1).await;
    claim(&*store, "b", 0).await;
    let writer = Connection::open(place.database()).expect("another connection");
    writer.pragma_update(None, "foreign_keys", true).expect("foreign keys");
    let forbidden = [
        ("a state that does not exist", "UPDATE jobs SET state = 'lost' WHERE id = 3"),
        ("a running job without an attempt", "UPDATE jobs SET attempt_id = NULL, worker = NULL WHERE id = 2"),
        ("a waiting job in somebody's hands", "UPDATE jobs SET attempt_id = 1, worker = 'a' WHERE id = 3"),
        ("a done job without a moment", "UPDATE jobs SET finished_at = NULL WHERE id = 1"),
        ("a quarantined job without a reason", "UPDATE jobs SET state = 'quarantined' WHERE id = 3"),
        ("a suspended job without a reason", "UPDATE jobs SET state = 'suspended' WHERE id = 3"),
        ("a batch suspended for no reason", "UPDATE batches SET suspended = ''"),
        ("more errors in a job than it has records", "UPDATE jobs SET errors = 3 WHERE id = 1"),
        (
            "a second lane for the same jobs",
            "INSERT INTO lanes SELECT 99, batch_id, plugin, priority, requirements FROM lanes",
        ),
        ("a worker that fails at no job", "UPDATE workers SET failures_in_row = 1"),
        ("two lives of the servers", "INSERT INTO server_life VALUES (2, 0)"),
        ("two jobs at one place of a batch", "UPDATE jobs SET seq = 0 WHERE id = 3"),
        ("more failures than pick-ups", "UPDATE jobs SET failures = 1 WHERE id = 3"),
        ("a second result for a record", "INSERT INTO job_results SELECT * FROM job_results WHERE job_record_id = 1"),
        ("a result that is value and error", "UPDATE job_results SET result = '{}', error = 'x'"),
        ("a result that is neither", "UPDATE job_results SET result = NULL, error = NULL"),
        ("a result for no record", "UPDATE job_results SET job_record_id = 999 WHERE job_record_id = 1"),
        (
            "a second running attempt",
            "INSERT INTO attempts (job_id, secret, worker, revision, release, release_commit, state, lease_ms, lease_until, started_at) VALUES (2, 's', 'w', 1, 'v', 'c', 'running', 1, 1, 1)",
        ),
        (
            "a second accepted attempt",
            "UPDATE attempts SET job_id = 1, state = 'accepted', lease_until = NULL, ended_at = 1, work_ms = 1 WHERE id = 2",
        ),
        ("a running attempt without a lease", "UPDATE attempts SET lease_until = NULL WHERE id = 2"),
        ("a batch done before its records are", "UPDATE batches SET state = 'done', finished_at = 1"),
        ("more results than records", "UPDATE batches SET results = 7"),
        ("more errors than results", "UPDATE batches SET errors = 3"),
    ];
    for (what, sql) in forbidden {
        writer.execute_batch("BEGIN").expect("begin");
        let error = writer.execute_batch(sql).expect_err(what);
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::ConstraintViolation), "{what}: {error}");
        writer.execute_batch("ROLLBACK").expect("roll back");
    }
}

#[tokio::test]
async fn tables_of_a_later_version_are_left_alone() {
    let place = SqlitePlace::fresh();
    drop(place.open().await);
    let newer = Connection::open(place.database()).expect("another connection");
    let sql = "INSERT INTO refinery_schema_history SELECT 99, 'later', applied_on, checksum FROM refinery_schema_history WHERE version = 1";
    newer.execute(sql, []).expect("a later version was here");
    let error = SqliteStore::open(&place.database()).expect_err("too new");
    assert!(matches!(error, OpenError::Tables { .. }), "{error:?}");
    assert!(error.to_string().contains("a newer job server may have written them"), "{error}");
}

#[test]
fn what_is_not_a_database_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "not a database, but long enough to be looked at. ".repeat(100)).expect("write");
    let error = SqliteStore::open(&file).expect_err("not a database");
    assert!(matches!(error, OpenError::Database { .. }), "{error:?}");
    assert!(error.to_string().contains("notes.txt"), "{error}");

    let error = SqliteStore::open(&folder.path().join("missing/nightshift.sqlite")).expect_err("no folder");
    assert!(matches!(error, OpenError::Lock { .. }), "{error:?}");
}

#[test]
fn a_database_of_another_program_is_left_as_it_was() {
    let place = SqlitePlace::fresh();
    let foreign = Connection::open(place.database()).expect("another program's");
    foreign.execute_batch("CREATE TABLE customers (name TEXT)").expect("a table of its own");
    let error = SqliteStore::open(&place.database()).expect_err("not ours");
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    let tables: i64 = foreign.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).expect("count");
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_hand_in_that_broke_off_while_nothing_could_be_written_is_removed_later() {
    let place = SqlitePlace::fresh();
    let store = place.open().await;
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    store.append_job(batch, crate::hands::job_records(0, 2)).await.expect("append");
    let full = Connection::open(place.database()).expect("another connection");
    full.execute_batch("BEGIN IMMEDIATE").expect("nobody else can write now");
    let error = store.abandon_batch(batch).await.expect_err("nothing can be written");
    assert!(error.is_retryable(), "{error:?}");
    store.tidy().await.expect_err("still not");
    full.execute_batch("ROLLBACK").expect("there is room again");
    store.tidy().await.expect("tidy");
    assert_eq!(refusal(store.batch(batch).await), Refusal::NoSuchBatch(batch));
    store.tidy().await.expect("nothing is left to do");
}

#[tokio::test]
async fn a_server_starts_on_a_full_disk_and_tidies_up_when_there_is_room() {
    let place = SqlitePlace::fresh();
    let store = place.open().await;
    let sealed = hand_in(&*store, &[2]).await;
    let seen = see(&*store, sealed).await;
    let batch = store.open_batch(new_batch(), 0).await.expect("open");
    store.append_job(batch, crate::hands::job_records(0, 2)).await.expect("append");
    drop(store);
    let full = Connection::open(place.database()).expect("another connection");
    full.execute_batch("BEGIN IMMEDIATE").expect("nobody else can write now");
    let store = place.open().await;
    assert_eq!(see(&*store, sealed).await, seen, "people can look and fetch");
    full.execute_batch("ROLLBACK").expect("there is room again");
    store.tidy().await.expect("tidy");
    assert_eq!(refusal(store.batch(batch).await), Refusal::NoSuchBatch(batch));
    assert_eq!(see(&*store, sealed).await, seen);
}
