//! Servers that are taken for each other.

use nightshift_replica::heal::Action;
use nightshift_replica::position::Gtids;
use nightshift_replica::verdict::{Verdict, Whose};
use nightshift_testbed::database::{Make, PairWishes, Wishes};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::ReplicaState;

use crate::overlap::rows_that_wait;
use crate::row::{Row, another_primary, on_each, on_each_with};

#[test]
fn a_position_of_the_primary_is_never_reached_on_data_of_another_server() {
    on_each(|row| {
        let order = row.order();
        row.does(&order);
        // Another server, further on in numbers, takes the primary's place.
        let other = another_primary(row.make);
        for number in 1..=60 {
            row.run(&other, &format!("INSERT INTO company.orders VALUES ({})", 500 + number));
        }
        row.on_replica(&["STOP SLAVE"], &["STOP REPLICA"]);
        let next = row.order();
        row.pair.between.lead_to(other.port());
        row.on_replica(&["START SLAVE"], &["START REPLICA"]);
        // The replica's own position is none of the other's.
        row.does_not(&next);
        let broken = wait::until("the replica to find out", SOON, || {
            let state = row.look().1.state();
            use ReplicaState::{Behind, Broken, Current, Diverged, OtherPrimary};
            assert!(!row.has(&next), "it never was there");
            match state {
                Broken | Diverged | OtherPrimary => Some(state),
                Current | Behind if row.make == Make::MySql => Some(state),
                _ => None,
            }
        });
        broken.unwrap_or_else(|error| row.fails(&error));
        // Now a person makes it a whole replica of the other server: in MariaDB's numbers it is past the position.
        let begin =
            if row.make == Make::MariaDb { "SET GLOBAL gtid_slave_pos = ''" } else { "RESET BINARY LOGS AND GTIDS" };
        let drop_all = ["DROP DATABASE company", "DROP TABLE nightshift.heartbeat", "DROP USER looker@'127.0.0.1'"];
        row.on_replica(&["STOP SLAVE"], &["STOP REPLICA"]);
        for statement in drop_all {
            row.on_replica_together(&["SET sql_log_bin = 0", statement]);
        }
        row.on_replica(&["RESET SLAVE", "RESET MASTER"], &["RESET REPLICA"]);
        row.run(&row.pair.replica, begin);
        row.on_replica(&["START SLAVE"], &["START REPLICA"]);
        wait::until("it to copy the other server", SOON, || {
            let tables = row.run(&row.pair.replica, "SHOW DATABASES LIKE 'company'");
            (!tables.is_empty()).then_some(())
        })
        .unwrap_or_else(|error| row.fails(&error));
        let why = row.does_not(&next);
        assert_eq!(why.verdict.state(), ReplicaState::OtherPrimary, "{why}");
        assert!(why.to_string().contains(&next.position.primary), "{why}");
    });
}

/// What the primary says of what the replica has.
fn on_history(row: &mut Row) -> Option<Verdict> {
    let seen = row.look().0.expect("it answers");
    let primary = row.position_of(&row.pair.primary);
    Verdict::on_history(&seen, &Gtids::parse(seen.version.make, &primary.gtid).expect("a position"))
}

#[test]
fn a_primary_that_threw_its_history_away_is_found_out_though_its_name_is_the_same() {
    on_each(|row| {
        for _ in 0..20 {
            row.order();
        }
        let order = row.order();
        row.does(&order);
        assert_eq!(on_history(row), None);
        let reset = if row.make == Make::MariaDb { "RESET MASTER" } else { "RESET BINARY LOGS AND GTIDS" };
        row.run(&row.pair.primary, reset);
        // A replica of MariaDB stays all green and gets nothing; its number is higher than any that is asked of it.
        let verdict = on_history(row).expect("the primary has fewer");
        assert_eq!(verdict.state(), ReplicaState::Diverged, "{verdict:?}");
        let words = verdict.in_words(None, Whose::Machines);
        assert!(words.contains("RESET MASTER") && words.contains("built anew"), "{words}");
        // Whoever connects to it again is told by itself.
        row.on_replica(
            &["STOP SLAVE IO_THREAD", "START SLAVE IO_THREAD"],
            &["STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD"],
        );
        let found = wait::until("the replica to find out", SOON, || {
            let verdict = row.look().1;
            matches!(verdict, Verdict::Diverged(_) | Verdict::Broken(_)).then_some(())
        });
        found.unwrap_or_else(|error| row.fails(&error));
        assert_eq!(row.next_step(), Action::Rebuild);
    });
}

rows_that_wait! {
    fn two_replicas_with_one_identity_throw_each_other_off_and_each_asks_for_a_new_one() {
        // Silence is minded already.
        let wishes = |make| {
            let word = if make == Make::MariaDb { "slave" } else { "replica" };
            let replica = Wishes { settings: vec![format!("--{word}-net-timeout=10")], ..Wishes::default() };
            PairWishes { replica, ..PairWishes::default() }
        };
        on_each_with(wishes, |row| {
            let same = format!("--server-id={}", row.pair.replica.port());
            let mut clone = row
                .pair
                .another_replica(Wishes { settings: vec![same], ..Wishes::default() })
                .expect("it starts")
                .expect("there is one");
            if row.make == Make::MySql {
                clone.crash();
                std::fs::copy(row.pair.replica.data().join("auto.cnf"), clone.data().join("auto.cnf")).expect("cloned");
                clone.restart().expect("it starts as a clone");
            }
            wait::until("one of them to be thrown off for good", SOON, || {
                let word = if row.make == Make::MariaDb { "SLAVE" } else { "REPLICA" };
                row.run(&clone, &format!("STOP {word} IO_THREAD"));
                row.run(&clone, &format!("START {word} IO_THREAD"));
                // MySQL says so; on MariaDB each takes the connection from the other, again and again.
                (row.next_step() == Action::NewIdentity).then_some(())
            })
            .unwrap_or_else(|error| row.fails(&error));
            drop(clone);
            row.on_replica(&["START SLAVE"], &["START REPLICA"]);
            row.until_current();
            let order = row.order();
            row.does(&order);
        });
    }

    fn a_worker_whose_clock_is_half_a_day_wrong_raises_no_false_alarm_and_misses_no_true_one() {
        on_each(|row| {
            let usual = row.watch.expected.max_behind;
            for hours in [12, -12] {
                row.beat_with_a_clock_off_by(hours);
                row.watch.forget();
                row.until_current();
                row.stays_current(5);
                // Not before: a busy machine is late with a heartbeat by seconds now and then.
                row.watch.expected.max_behind = std::time::Duration::from_secs(3);
                let holding = row.hold("SELECT * FROM company.people WHERE id = 1 FOR UPDATE");
                row.run_together(&[format!("UPDATE company.people SET name = 'Anne {hours}' WHERE id = 1")]);
                row.until(ReplicaState::Behind);
                drop(holding);
                row.until_current();
                row.watch.expected.max_behind = usual;
            }
        });
    }
}
