//! Data that no longer fit their primary's: the replica is beyond repair, and nothing is skipped.

use nightshift_replica::facts::Complaint;
use nightshift_replica::heal::Action;
use nightshift_replica::verdict::Verdict;
use nightshift_testbed::database::{PairWishes, Wishes};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::ReplicaState;

use crate::row::{Row, on_each, on_each_with};

/// The replica is broken for that reason, does no newer job, and is to be built anew.
fn is_broken(row: &mut Row, complaint: Complaint) {
    let verdict = row.until(ReplicaState::Broken);
    assert!(matches!(&verdict, Verdict::Broken(stop) if stop.complaint == complaint), "{verdict:?}");
    let order = row.order();
    let why = row.does_not(&order);
    assert!(why.to_string().contains("no error is ever skipped"), "{why}");
    assert_eq!(row.next_step(), Action::Rebuild);
    assert!(!row.has(&order));
}

/// Writes on the replica what its binary log does not hold.
fn behind_its_back(row: &Row, statement: &str) {
    row.on_replica_together(&["SET sql_log_bin = 0", statement]);
}

#[test]
fn a_replica_whose_position_was_purged_is_built_anew() {
    on_each(|row| {
        row.on_replica(&["STOP SLAVE"], &["STOP REPLICA"]);
        row.order();
        row.run(&row.pair.primary, "FLUSH BINARY LOGS");
        row.order();
        let logs = row.run(&row.pair.primary, "SHOW BINARY LOGS");
        let last: String = logs.last().and_then(|row| row.get(0)).expect("a binary log");
        wait::until("the binary log to be purged", SOON, || {
            row.run(&row.pair.primary, &format!("PURGE BINARY LOGS TO '{last}'"));
            (row.run(&row.pair.primary, "SHOW BINARY LOGS").len() == 1).then_some(())
        })
        .expect("nobody reads it");
        row.on_replica(&["START SLAVE"], &["START REPLICA"]);
        is_broken(row, Complaint::Purged);
    });
}

#[test]
fn a_replica_with_a_row_too_many_is_built_anew() {
    on_each(|row| {
        behind_its_back(row, "INSERT INTO company.people VALUES (3, 'nobody')");
        row.run(&row.pair.primary, "INSERT INTO company.people VALUES (3, 'Carl')");
        is_broken(row, Complaint::Conflict);
    });
}

#[test]
fn a_replica_with_a_row_too_few_is_built_anew() {
    on_each(|row| {
        behind_its_back(row, "DELETE FROM company.people WHERE id = 2");
        row.run(&row.pair.primary, "UPDATE company.people SET name = 'Bart' WHERE id = 2");
        is_broken(row, Complaint::Conflict);
    });
}

/// Accounts of plugins may make temporary tables.
fn let_plugins_in(row: &mut Row) {
    row.run_together(&[
        "CREATE DATABASE nightshift_scratch",
        "CREATE USER plugin@'127.0.0.1'",
        "GRANT CREATE TEMPORARY TABLES ON nightshift_scratch.* TO plugin@'127.0.0.1'",
        "GRANT SELECT ON company.* TO plugin@'127.0.0.1'",
    ]);
    let order = row.order();
    row.does(&order);
}

const COPY: &str = "CREATE TEMPORARY TABLE nightshift_scratch.mine AS SELECT * FROM company.people";
const DROP: &str = "DROP TEMPORARY TABLE nightshift_scratch.mine";

#[test]
fn a_replica_with_transactions_of_its_own_has_diverged_and_one_with_temporary_tables_has_not() {
    let wishes = |_| {
        let replica = Wishes { settings: vec!["--binlog-format=ROW".to_owned()], ..Wishes::default() };
        PairWishes { replica, ..PairWishes::default() }
    };
    on_each_with(wishes, |row| {
        let_plugins_in(row);
        row.on_replica_as("plugin", &[COPY, "INSERT INTO nightshift_scratch.mine VALUES (9, 'own')", DROP, COPY]);
        row.stays_current(3);
        row.run(&row.pair.replica, "INSERT INTO company.people VALUES (4, 'nobody')");
        row.until(ReplicaState::Diverged);
        let order = row.order();
        row.does_not(&order);
        assert_eq!(row.next_step(), Action::Rebuild);
    });
}

#[test]
fn temporary_tables_alarm_nobody_where_a_server_logs_them_too() {
    on_each(|row| {
        let_plugins_in(row);
        row.on_replica_as("plugin", &[COPY, DROP]);
        row.on_replica_as("plugin", &[COPY]);
        row.stays_current(3);
    });
}
