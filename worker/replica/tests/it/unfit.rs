//! What a person set up wrongly: each has its own sentence, with the statement that cures it.

use std::time::Duration;

use nightshift_replica::facts::Needs;
use nightshift_replica::verdict::Whose;
use nightshift_testbed::database::{PairWishes, Wishes};
use nightshift_wire::ReplicaState;

use crate::row::{Row, on_each, on_each_with};

fn needing(table: &str) -> Needs {
    Needs { tables: [table.to_owned()].into(), ..Needs::default() }
}

/// Looks as `account`, and finds a state whose words contain that.
fn finds(row: &Row, account: &str, needs: Needs, state: ReplicaState, says: &str) {
    let verdict = row.watch_as(account, needs);
    let words = verdict.in_words(None, Whose::Machines);
    assert!(verdict.state() == state && words.contains(says), "{:?} {account}: {verdict:?}: {words}", row.make);
}

#[test]
fn every_mistake_in_setting_up_is_told_with_its_cure() {
    on_each(|row| {
        row.run(&row.pair.primary, "CREATE USER blind@'127.0.0.1'");
        let order = row.order();
        row.does(&order);
        finds(
            row,
            "blind",
            Needs::default(),
            ReplicaState::Away,
            "GRANT REPLICATION CLIENT ON *.* TO 'blind'@'127.0.0.1'",
        );
        finds(row, "nobody", Needs::default(), ReplicaState::Away, "[replica] in worker.toml");

        row.run(&row.pair.replica, "SET GLOBAL read_only = OFF");
        let why = row.does_not(&order);
        assert!(why.to_string().contains("read_only"), "{why}");
        assert_eq!(row.heal().len(), 2, "read_only and the time-outs");

        row.on_replica(&["SET GLOBAL slave_exec_mode = IDEMPOTENT"], &["SET GLOBAL replica_exec_mode = IDEMPOTENT"]);
        let why = row.does_not(&order);
        assert!(why.to_string().contains("exec_mode=IDEMPOTENT"), "{why}");
        row.on_replica(&["SET GLOBAL slave_exec_mode = STRICT"], &["SET GLOBAL replica_exec_mode = STRICT"]);

        row.on_replica(
            &["STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=3600", "START SLAVE"],
            &["STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_DELAY=3600", "START REPLICA"],
        );
        finds(row, "looker", Needs::default(), ReplicaState::Unfit, "stay 3600 s behind");
        row.on_replica(
            &["STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=0", "START SLAVE"],
            &["STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_DELAY=0", "START REPLICA"],
        );

        let off = "SOURCE_AUTO_POSITION=0";
        row.on_replica(
            &["STOP SLAVE", "CHANGE MASTER TO MASTER_USE_GTID=no", "START SLAVE"],
            &["STOP REPLICA", &format!("CHANGE REPLICATION SOURCE TO {off}"), "START REPLICA"],
        );
        finds(row, "looker", Needs::default(), ReplicaState::Unfit, "GTID");

        row.on_replica(&["STOP SLAVE", "RESET SLAVE ALL"], &["STOP REPLICA", "RESET REPLICA ALL"]);
        finds(row, "looker", Needs::default(), ReplicaState::NotReplica, "copies no primary");
        row.does_not(&order);

        row.pair.replica.crash();
        finds(row, "looker", Needs::default(), ReplicaState::Away, "start it");
    });
}

#[test]
fn a_primary_that_refuses_the_replicas_account_is_told_with_the_account() {
    on_each(|row| {
        let alter = "ALTER USER replicator@'127.0.0.1' IDENTIFIED BY 'another'";
        row.run_together(&["SET sql_log_bin = 0", alter]);
        row.on_replica(
            &["STOP SLAVE IO_THREAD", "START SLAVE IO_THREAD"],
            &["STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD"],
        );
        let verdict = row.until(ReplicaState::Stopped);
        assert!(
            verdict.in_words(None, Whose::Machines).contains("refuses the account replicator@127.0.0.1:"),
            "{verdict:?}"
        );
    });
}

#[test]
fn a_table_that_is_needed_and_filtered_out_or_missing_is_named() {
    let wishes = |_| {
        let filter = "--replicate-ignore-table=company.secrets".to_owned();
        PairWishes { replica: Wishes { settings: vec![filter], ..Wishes::default() }, ..PairWishes::default() }
    };
    on_each_with(wishes, |row| {
        finds(row, "looker", needing("company.secrets"), ReplicaState::Unfit, "replicate_ignore_table=company.secrets");
        let mut watch = row.watch_needing("company.people_of_mars");
        let verdict = row.until_settled(&mut watch);
        let words = verdict.in_words(None, Whose::Machines);
        assert!(verdict.state() == ReplicaState::Unfit && words.contains("no table company.people_of_mars"), "{words}");
        let order = row.order();
        let why = row.wait_on(&mut watch, &order, Duration::from_secs(1)).expect_err("its table is missing");
        assert!(why.to_string().contains("company.people_of_mars"), "{why}");
        // A job that needs other tables is done all the same.
        row.does(&order);
    });
}
