//! Servers and links that are silent: nothing is closed, nobody answers.

use std::time::Duration;

use nightshift_replica::heal::Action;
use nightshift_replica::verdict::Verdict;
use nightshift_wire::ReplicaState;

use crate::overlap::rows_that_wait;
use crate::row::{Row, on_each};

/// By default a server shows all green for a minute when its primary is silent.
fn mind_silence(row: &mut Row) {
    let (seen, _) = row.look();
    assert!(seen.expect("it answers").net_timeout >= Duration::from_secs(60), "the server's own default");
    assert_eq!(row.heal(), [Action::SetTimeouts]);
    row.stays_current(3);
}

rows_that_wait! {
    fn a_frozen_primary_is_noticed_and_met_again_when_it_wakes() {
        on_each(|row| {
            mind_silence(row);
            row.pair.primary.freeze();
            row.until(ReplicaState::Connecting);
            assert_eq!(row.next_step(), Action::Wait);
            row.pair.primary.thaw();
            let order = row.order();
            row.does(&order);
            row.heal();
            row.stays_current(3);
        });
    }

    fn a_link_that_swallows_everything_is_noticed_and_no_job_is_done_on_older_data_meanwhile() {
        on_each(|row| {
            mind_silence(row);
            row.pair.between.freeze();
            let order = row.order();
            row.does_not(&order);
            row.until(ReplicaState::Connecting);
            row.does_not(&order);
            row.pair.between.heal();
            row.does(&order);
            row.heal();
        });
    }

    fn a_replica_that_was_frozen_is_away_then_behind_and_current_only_when_it_is() {
        on_each(|row| {
            row.stays_current(3);
            // Shorter than it is frozen.
            let usual = std::mem::replace(&mut row.watch.expected.max_behind, Duration::from_secs(2));
            row.pair.replica.freeze();
            let orders = [row.order(), row.order(), row.order()];
            // Longer than the freeze may be and still count as current.
            let away = row.until(ReplicaState::Away);
            assert!(matches!(away, Verdict::Away(nightshift_replica::facts::Absence::Silent(..))), "{away:?}");
            let why = row.wait_for(&orders[0], Duration::from_secs(1)).expect_err("it is frozen");
            assert!(why.to_string().contains("silent"), "{why}");
            row.pair.replica.thaw();
            for order in orders.iter().rev() {
                row.does(order);
            }
            row.until_current();
            // A busy machine is late with a heartbeat by more than two seconds now and then.
            row.watch.expected.max_behind = usual;
            row.stays_current(3);
        });
    }
}
