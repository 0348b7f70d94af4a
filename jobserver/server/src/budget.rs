//! Memory for bodies and for hand-ins: all that arrive together may hold so many bytes, whoever sends them.
//!
//! A small body is free; a larger one takes from the budget as it arrives and gives back when its request is answered.
//! Who finds the budget used up waits a little, and is then sent away to come again: among requests that hold a part
//! and want more, somebody has to give way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

/// A body up to this size is free: heartbeats and claims go through whatever else arrives.
const FREE: usize = 16 * 1024;
/// The budget is counted in pieces of this size.
const UNIT: usize = 1024;

/// The memory for all bodies.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: usize,
    free: Arc<Semaphore>,
    wait: Duration,
    metrics: Arc<Metrics>,
}

/// What one body holds of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    permit: Option<OwnedSemaphorePermit>,
    units: usize,
}

/// The budget is used up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsedUp;

impl Budget {
    /// A budget of `bytes`, for which a body waits at most `wait`.
    pub(crate) fn new(bytes: usize, wait: Duration, metrics: Arc<Metrics>) -> Arc<Budget> {
        Arc::new(Budget { bytes, free: Arc::new(Semaphore::new(bytes.div_ceil(UNIT))), wait, metrics })
    }

    /// All there is, whoever holds it.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Held {
    pub(crate) fn nothing(budget: &Arc<Budget>) -> Held {
        Held { budget: Arc::clone(budget), permit: None, units: 0 }
    }

    /// Holds enough for a body that has grown to `bytes`.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), UsedUp> {
        let wanted = if bytes <= FREE { 0 } else { bytes.div_ceil(UNIT) };
        let Some(more) = wanted.checked_sub(self.units).filter(|more| *more > 0) else { return Ok(()) };
        let more_units = u32::try_from(more).map_err(|_| UsedUp)?;
        let acquired = Arc::clone(&self.budget.free).acquire_many_owned(more_units);
        let Ok(Ok(permit)) = tokio::time::timeout(self.budget.wait, acquired).await else { return Err(UsedUp) };
        match &mut self.permit {
            Some(held) => held.merge(permit),
            empty => *empty = Some(permit),
        }
        self.budget.metrics.bodies_held.inc_by(i64::from(more_units) * UNIT as i64);
        self.units = wanted;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.metrics.bodies_held.dec_by((self.units * UNIT) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_bodies_together_hold_no_more_than_the_budget_and_small_ones_are_free() {
        let budget = Budget::new(100 * UNIT, Duration::from_millis(10), Metrics::new());
        let mut first = Held::nothing(&budget);
        first.grow(FREE).await.expect("free");
        first.grow(60 * UNIT).await.expect("there is enough");
        let mut second = Held::nothing(&budget);
        second.grow(40 * UNIT).await.expect("there is enough");
        assert_eq!(second.grow(41 * UNIT).await, Err(UsedUp), "nobody gives anything back in time");
        let mut small = Held::nothing(&budget);
        small.grow(FREE).await.expect("free");
        drop(first);
        second.grow(100 * UNIT).await.expect("given back");
        drop(second);
        assert_eq!((budget.free.available_permits(), budget.metrics.bodies_held.get()), (100, 0));
    }
}
