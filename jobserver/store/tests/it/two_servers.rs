//! Two job servers on one store at the same instant: what both took in is judged together, replicas are rebuilt by no more
//! workers than may, and a failover is noted once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use nightshift_store::{NewBatch, Replicas as _, Store as _, mysql::MysqlStore};
use nightshift_testbed::database::Make;
use nightshift_wire::{BatchId, DataPosition, ErrorRate, RebuildRequest};

use crate::{
    hands::{claim, finish, hand_in_as, new_batch, try_claim},
    makes::on_both,
    place::MysqlPlace,
};

on_both!(
    a_batch_that_fails_on_two_servers_at_once_is_suspended_by_the_next_result,
    two_servers_never_let_more_workers_rebuild_than_may,
    a_failover_that_two_servers_see_at_once_is_noted_once,
    servers_that_see_different_primaries_leave_every_batch_with_one_of_them,
);

/// So many workers may rebuild at once.
const AT_ONCE: u32 = 3;

async fn two_servers(place: &MysqlPlace) -> [Arc<MysqlStore>; 2] {
    [Arc::new(place.store().await), Arc::new(place.store().await)]
}

async fn a_batch_that_fails_on_two_servers_at_once_is_suspended_by_the_next_result(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let stores = two_servers(&place).await;
    // A quarter of its results are errors. Neither server takes in as many as are judged, both together do.
    let new = NewBatch { error_rate: ErrorRate::per_mille(100), ..new_batch() };
    let batch = hand_in_as(&*stores[0], new, &[60; 7]).await;
    let mut claims = Vec::new();
    for (job, store) in stores.iter().cycle().take(5).enumerate() {
        claims.push(claim(&**store, &format!("w{job}"), 1).await);
    }
    finish(&*stores[0], &claims[0], 2).await;
    finish(&*stores[1], &claims[1], 2).await;
    assert_eq!(stores[0].batch(batch).await.expect("batch").suspended, None, "too few to judge");
    // Neither of these two may have seen the other's.
    tokio::join!(finish(&*stores[0], &claims[2], 3), finish(&*stores[1], &claims[3], 3));
    finish(&*stores[0], &claims[4], 4).await;
    let seen = stores[1].batch(batch).await.expect("batch");
    assert!(seen.suspended.is_some() && seen.results == 300, "{seen:?}");
    for store in &stores {
        assert_eq!(try_claim(&**store, "late", 5).await, None);
    }
}

async fn two_servers_never_let_more_workers_rebuild_than_may(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let stores = two_servers(&place).await;
    let building = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..10)
        .map(|worker| {
            let (stores, building) = (stores.clone(), Arc::clone(&building));
            tokio::spawn(async move {
                let request = RebuildRequest { worker: format!("w{worker}"), reason: "purged".to_owned() };
                let mut permitted = 0;
                for round in 0..8 {
                    let store = &stores[(worker + round) % 2];
                    let permit = store.permit_rebuild(&request, AT_ONCE, 5).await.expect("answered");
                    if permit.lease_ms.is_none() {
                        continue;
                    }
                    permitted += 1;
                    // Counted within the time of the permit: more than may have one can never be counted.
                    let others = building.fetch_add(1, Ordering::SeqCst);
                    assert!(others < AT_ONCE as usize, "{} workers rebuild at once", others + 1);
                    tokio::task::yield_now().await;
                    building.fetch_sub(1, Ordering::SeqCst);
                    stores[(worker + round + 1) % 2].end_rebuild(&request.worker).await.expect("ended");
                }
                permitted
            })
        })
        .collect();
    let mut permitted = 0;
    for worker in workers {
        permitted += worker.await.expect("a worker ends well");
    }
    assert!(permitted >= 1, "nobody was ever let");
    // Of all who ask at one instant and keep it, exactly as many as may.
    let asks: Vec<_> = (0..10)
        .map(|worker| {
            let store = Arc::clone(&stores[worker % 2]);
            tokio::spawn(async move {
                let request = RebuildRequest { worker: format!("x{worker}"), reason: "purged".to_owned() };
                store.permit_rebuild(&request, AT_ONCE, 6).await.expect("answered").lease_ms.is_some()
            })
        })
        .collect();
    let mut let_in = 0;
    for asked in asks {
        let_in += u32::from(asked.await.expect("it ends well"));
    }
    assert_eq!(let_in, AT_ONCE);
}

fn position(primary: &str, gtid: &str, noted: i64) -> DataPosition {
    DataPosition { primary: primary.to_owned(), gtid: gtid.to_owned(), noted }
}

async fn pinned_to_the_old(store: &MysqlStore, batches: usize) -> Vec<BatchId> {
    let mut ids = Vec::new();
    for _ in 0..batches {
        let old = Some(position("mariadb:7", "0-7-12", 1));
        ids.push(hand_in_as(store, NewBatch { position: old, ..new_batch() }, &[1]).await);
    }
    ids
}

async fn a_failover_that_two_servers_see_at_once_is_noted_once(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let stores = two_servers(&place).await;
    let batches = pinned_to_the_old(&stores[0], 20).await;
    // Each looked at the new primary at a moment of its own.
    let seen = [position("mariadb:8", "0-8-13", 50), position("mariadb:8", "0-8-14", 51)];
    let (one, two, again) =
        tokio::join!(stores[0].repin(&seen[0], 50), stores[1].repin(&seen[1], 51), stores[1].repin(&seen[1], 52));
    let mut repinned: BTreeMap<BatchId, Vec<DataPosition>> = BTreeMap::new();
    for one in [one, two, again] {
        for repin in one.expect("looked") {
            repinned.entry(repin.batch).or_default().push(repin.repin.to);
        }
    }
    for batch in batches {
        let told = &repinned[&batch];
        let noted = stores[0].repins(batch).await.expect("read");
        assert_eq!((told.len(), noted.len()), (1, 1), "batch {batch}: {told:?} {noted:?}");
        assert_eq!(noted[0].to, told[0]);
        let pinned = stores[1].batch(batch).await.expect("the batch").position;
        assert_eq!(pinned.as_ref(), Some(&told[0]));
    }
}

async fn servers_that_see_different_primaries_leave_every_batch_with_one_of_them(make: Make) {
    let Some(place) = MysqlPlace::fresh(make).await else { return };
    let stores = two_servers(&place).await;
    let batches = pinned_to_the_old(&stores[0], 20).await;
    let (one, two) = (position("mariadb:8", "0-8-13", 50), position("mariadb:9", "0-9-13", 51));
    let (first, second) = tokio::join!(stores[0].repin(&one, 50), stores[1].repin(&two, 51));
    first.expect("looked");
    second.expect("looked");
    for batch in batches {
        let noted = stores[0].repins(batch).await.expect("read");
        // Whatever came last, the record leads to it without a gap.
        let mut from = "mariadb:7".to_owned();
        for repin in &noted {
            assert_eq!(repin.from.primary, from, "batch {batch}: {noted:?}");
            from.clone_from(&repin.to.primary);
        }
        let pinned = stores[1].batch(batch).await.expect("the batch").position.expect("a position");
        assert!((1..=2).contains(&noted.len()) && pinned.primary == from, "batch {batch}: {pinned:?} {noted:?}");
    }
}
