//! The clock of a store that several job servers share: the database's.
//!
//! Were each server to go by its own machine's clock, two that differ would take one another's for a time without any
//! server, again and again, and no lease would ever be over. So a server asks the database now and then by how much its own
//! clock is wrong, and adds that to it. In between, and while the database is away, what was found last stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use nightshift_store::StoreError;
use nightshift_store::mysql::MysqlStore;
use nightshift_wire::Moment;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// How often the database is asked.
const EVERY: Duration = Duration::from_secs(10);
/// An answer that took longer, in milliseconds, does not say well what time it is.
const TOO_LONG_MS: Moment = 1_000;
/// A change by less, in milliseconds, is left alone: the way to the database and back accounts for it.
const NEGLIGIBLE_MS: u64 = 100;
/// From so many milliseconds on a person is told.
const WORTH_TELLING_MS: u64 = 1_000;

/// A clock that goes by the database's from now on until `stopping` is cancelled.
///
/// # Errors
/// When the database does not tell the time.
pub async fn begin(store: Arc<MysqlStore>, stopping: CancellationToken) -> Result<Clock, StoreError> {
    let (clock, ahead) = Clock::set_right();
    set(&store, &ahead).await?;
    tokio::spawn(async move {
        while stopping.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            if let Err(error) = set(&store, &ahead).await {
                tracing::debug!("the database does not tell the time: {error}");
            }
        }
    });
    Ok(clock)
}

async fn set(store: &MysqlStore, ahead: &AtomicI64) -> Result<(), StoreError> {
    let machine = Clock::system();
    let asked = machine.now();
    let database = store.moment().await?;
    let Some(found) = difference(asked, database, machine.now()) else { return Ok(()) };
    let before = ahead.load(Relaxed);
    if before.abs_diff(found) < NEGLIGIBLE_MS {
        return Ok(());
    }
    ahead.store(found, Relaxed);
    if before.abs_diff(found) >= WORTH_TELLING_MS {
        let (seconds, which) = ((found.unsigned_abs() + 500) / 1_000, if found < 0 { "ahead of" } else { "behind" });
        tracing::warn!("this machine's clock is {seconds} s {which} the database's, which counts; set it right");
    }
    Ok(())
}

/// By how much the database's clock is later than the machine's, which said `asked` before and `answered` after it was read;
/// `None` when that cannot be told.
fn difference(asked: Moment, database: Moment, answered: Moment) -> Option<Moment> {
    let took = answered.checked_sub(asked)?;
    if !(0..=TOO_LONG_MS).contains(&took) {
        return None;
    }
    database.checked_sub(asked + took / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_clock_is_so_much_later_than_the_machines() {
        assert_eq!(difference(1_000, 601_010, 1_020), Some(600_000));
        assert_eq!(difference(601_000, 1_010, 601_020), Some(-600_000));
    }

    #[test]
    fn an_answer_that_took_long_or_came_before_it_was_asked_for_says_nothing() {
        assert_eq!(difference(1_000, 1_500, 2_001), None);
        assert_eq!(difference(1_000, 1_000, 999), None, "the machine's clock was set back meanwhile");
    }

    #[test]
    fn a_clock_that_is_set_right_tells_the_databases_time() {
        let (clock, ahead) = Clock::set_right();
        ahead.store(Moment::MAX, Relaxed);
        assert_eq!(clock.now(), Moment::MAX, "and never overflows");
    }
}
