//! Threads that stand still, long transactions, full disks.

use std::io::Write as _;
use std::time::Duration;

use nightshift_replica::facts::Running;
use nightshift_replica::heal::Action;
use nightshift_replica::verdict::{Verdict, Which};
use nightshift_testbed::database::{Make, PairWishes, Wishes};
use nightshift_wire::ReplicaState;

use crate::overlap::rows_that_wait;
use crate::row::{on_each, on_each_with};
use crate::tmpfs::Tmpfs;

#[test]
fn a_replica_whose_io_thread_is_dead_does_no_job_that_is_newer_and_is_started_again() {
    on_each(|row| {
        row.stays_current(5);
        row.on_replica(&["STOP SLAVE IO_THREAD"], &["STOP REPLICA IO_THREAD"]);
        let order = row.order();
        let why = row.does_not(&order);
        assert!(matches!(&why.verdict, Verdict::Stopped(stop) if stop.which == Which::Receiver), "{why}");
        assert!(why.to_string().contains(&order.position.gtid), "it says what it waited for: {why}");
        assert_eq!(row.heal().first(), Some(&Action::StartThreads));
        row.does(&order);
    });
}

#[test]
fn a_replica_whose_sql_thread_is_stopped_does_no_job_that_is_newer_and_is_started_again() {
    on_each(|row| {
        row.on_replica(&["STOP SLAVE SQL_THREAD"], &["STOP REPLICA SQL_THREAD"]);
        let order = row.order();
        let why = row.does_not(&order);
        assert!(matches!(&why.verdict, Verdict::Stopped(stop) if stop.which == Which::Applier), "{why}");
        assert_eq!(row.heal().first(), Some(&Action::StartThreads));
        row.does(&order);
        row.stays_current(3);
    });
}

#[test]
fn a_long_transaction_is_not_there_before_it_is_there_whole() {
    on_each(|row| {
        let before = row.order();
        row.does(&before);
        // The applier waits for a row that somebody holds: for it the transaction takes long.
        let holding = row.hold("SELECT * FROM company.people WHERE id = 1 FOR UPDATE");
        let values: Vec<String> = (1..=1000).map(|id| format!("({})", 1_000_000 + id)).collect();
        let transaction = [
            "BEGIN".to_owned(),
            format!("INSERT INTO company.orders VALUES {}", values.join(",")),
            "UPDATE company.people SET name = 'Anne' WHERE id = 1".to_owned(),
            "COMMIT".to_owned(),
        ];
        row.run_together(&transaction);
        let order = row.order();
        let why = row.does_not(&order);
        // All is green, and it says what it likes of the seconds that it is behind.
        let (seen, _) = row.look();
        let channel = seen.expect("it answers").channels.remove(0);
        assert_eq!((channel.receiver.running, channel.applier.running), (Running::Yes, Running::Yes), "{why}");
        drop(holding);
        row.does(&order);
        let count = row.run(&row.pair.replica, "SELECT COUNT(*) FROM company.orders WHERE id > 1000000");
        assert_eq!(mysql_async::from_row::<u64>(count.into_iter().next().expect("a count")), 1000);
    });
}

rows_that_wait! {
    fn a_replica_whose_disk_is_full_does_no_newer_job_and_goes_on_when_there_is_room() {
        let (Some(mariadb), Some(mysql)) = (Tmpfs::of(2048), Tmpfs::of(2048)) else {
            writeln!(std::io::stderr(), "\nNOT RUN: a replica with a full disk: only root can mount a small one")
                .expect("stderr");
            return;
        };
        let disk = |make| if make == Make::MariaDb { &mariadb } else { &mysql };
        let wishes = |make| {
            let settings = vec![format!("--relay-log={}", disk(make).path().join("relay").display())];
            PairWishes { replica: Wishes { settings, ..Wishes::default() }, ..PairWishes::default() }
        };
        on_each_with(wishes, |row| {
            row.watch.expected.max_behind = Duration::from_secs(3);
            let filler = disk(row.make).fill(200);
            row.run(&row.pair.primary, "CREATE TABLE company.large (id INT PRIMARY KEY, text LONGTEXT)");
            for id in 0..10 {
                row.run(&row.pair.primary, &format!("INSERT INTO company.large VALUES ({id}, REPEAT('x', 100000))"));
            }
            let order = row.order();
            let why = row.does_not(&order);
            assert!(why.to_string().contains(&order.position.gtid), "{why}");
            // MariaDB does not answer then, on MySQL all stays green: either waits, and looks each minute whether there is room.
            let full = row.until_not(ReplicaState::Current);
            assert!(matches!(full.state(), ReplicaState::Away | ReplicaState::Behind | ReplicaState::Stopped), "{full:?}");
            std::fs::remove_file(filler).expect("room");
            row.heal();
            row.does(&order);
        });
    }

    fn a_replica_that_cannot_follow_is_behind_by_the_heartbeat_row_though_all_is_green() {
        on_each(|row| {
            row.watch.expected.max_behind = Duration::from_secs(3);
            let holding = row.hold("SELECT * FROM company.people WHERE id = 1 FOR UPDATE");
            row.run_together(&["UPDATE company.people SET name = 'Anne' WHERE id = 1".to_owned()]);
            let verdict = row.until(ReplicaState::Behind);
            assert!(matches!(&verdict, Verdict::Behind { by: Some(by), .. } if by.as_secs() >= 3), "{verdict:?}");
            assert_eq!(row.next_step(), Action::Wait, "it may be a long transaction");
            drop(holding);
            row.until_current();
        });
    }
}
