//! Follows the primary of the company's data: what it is, its heartbeat row, and failovers.
//!
//! 1. Whoever answers at its address says what it is and how far.
//! 2. The heartbeat row is written, so that replicas know how far back they are. Several job servers may all do so.
//! 3. When it is another server than before, whatever is not done gets a position of the new one, on the record. Now and
//!    then that is looked for anyway: another job server may have noted a position of the old one since.

use std::sync::Arc;

use crate::app::App;
use crate::primary::{Beat, Seen};
use crate::refused::chain;

/// After so many looks at the same primary, positions of others are looked for.
const LOOKS: u32 = 10;

pub(crate) async fn run(app: Arc<App>) {
    let Some(primary) = &app.replication.primary else { return };
    let mut ticks = tokio::time::interval(app.limits.primary_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let [mut asking, mut beating, mut repinning] = [
        Trouble::of("asking the primary what it is"),
        Trouble::of("writing the primary's heartbeat row"),
        Trouble::of("looking for positions of another primary"),
    ];
    let mut repinned_to = String::new();
    let mut warned = Vec::new();
    let mut looks = 0;
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = app.clock.now();
        let seen = match primary.look(now).await {
            Ok(seen) => seen,
            Err(error) => {
                app.metrics.primary_up.set(0);
                app.metrics.primary_heartbeat.set(0);
                asking.tell(Some(&chain(&error)));
                continue;
            }
        };
        app.metrics.primary_up.set(1);
        asking.tell(None);
        let fresh = seen.warnings.iter().filter(|warning| !warned.contains(*warning));
        for warning in fresh {
            tracing::warn!("the primary {}: {warning}", seen.position.primary);
        }
        warned.clone_from(&seen.warnings);
        let beat = primary.beat(&seen, now).await;
        app.metrics.primary_heartbeat.set(i64::from(beat.is_ok() && primary.heartbeat().is_some()));
        if let (Ok(Beat::Anew), Some(table)) = (&beat, primary.heartbeat()) {
            let on = &seen.position.primary;
            match looks {
                0 => tracing::info!("the heartbeat's table {table} is made on the primary {on}"),
                _ => tracing::warn!(
                    "the heartbeat's table {table} was not on the primary {on} any more, and is made again"
                ),
            }
        }
        beating.tell(beat.err().map(|error| chain(&error)).as_deref());
        looks += 1;
        if seen.position.primary != repinned_to || looks % LOOKS == 0 {
            match repin(&app, &seen).await {
                Ok(()) => {
                    repinned_to.clone_from(&seen.position.primary);
                    repinning.tell(None);
                }
                Err(error) => repinning.tell(Some(&chain(&error))),
            }
        }
    }
}

async fn repin(app: &App, seen: &Seen) -> Result<(), nightshift_store::StoreError> {
    for changed in app.store.repin(&seen.position, app.clock.now()).await? {
        let (batch, repin) = (changed.batch, &changed.repin);
        tracing::warn!(
            batch,
            "the primary is {} now and no longer {}: what is left of batch {batch} waits for {:?} there instead of {:?}",
            repin.to.primary,
            repin.from.primary,
            repin.to.gtid,
            repin.from.gtid
        );
    }
    Ok(())
}

/// Something that may go wrong for a while: said when it begins and when it ends.
struct Trouble {
    doing: &'static str,
    told: bool,
}

impl Trouble {
    fn of(doing: &'static str) -> Trouble {
        Trouble { doing, told: false }
    }

    fn tell(&mut self, problem: Option<&str>) {
        match problem {
            Some(problem) if !self.told => tracing::warn!("{}: {problem}; trying on", self.doing),
            None if self.told => tracing::info!("{}: it is well again", self.doing),
            _ => {}
        }
        self.told = problem.is_some();
    }
}
