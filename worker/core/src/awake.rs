//! Whether the machine, or this process, was asleep. After that nothing is written or handed in before the launcher has
//! looked again: the grid may be stopped, the lease over, the release another.
//!
//! 1. Every second the clocks are compared ([`wake::judge`]), and once more before anything is written or handed in, so that
//!    it does not matter what a process that wakes does first.
//! 2. When time jumped, the launcher is told, once for each jump, and everything waits at [`Desk::awake`] until it says
//!    that it has looked since. A stop ends the core meanwhile, as it does at any time.
//! 3. A launcher that says nothing for [`LAUNCHER_LOOKS_WITHIN`] knows no such message; it looks every minute all the same,
//!    and a stop would have come.
//! 4. Whoever wrote results before the jump asks for the lease first (`job`).

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use nightshift_contract::message::FromCore;
use nightshift_contract::wake::{self, Clocks};
use tokio::time::{interval, timeout};

use crate::clock;
use crate::desk::{Desk, lock};
use crate::orders;

/// How often the clocks are compared.
const EVERY: Duration = Duration::from_secs(1);
/// A launcher that lives has looked for stops after this time, whatever it understands.
const LAUNCHER_LOOKS_WITHIN: Duration = Duration::from_secs(90);

/// What the clocks said last, and how often time has jumped.
pub(crate) struct Awake(Mutex<State>);

struct State {
    last: Clocks,
    jumps: u64,
    /// So many of them were waited for in vain.
    given_up: u64,
}

impl Awake {
    pub(crate) fn new() -> Awake {
        Awake(Mutex::new(State { last: clock::clocks(), jumps: 0, given_up: 0 }))
    }

    /// Compares the clocks; how often time has jumped, and whether it did just now.
    fn look(&self, now: Clocks) -> (u64, bool) {
        let mut state = lock(&self.0);
        let before = std::mem::replace(&mut state.last, now);
        let jump = wake::judge(before, now, EVERY);
        if let Some(jump) = jump {
            state.jumps += 1;
            tracing::warn!("{jump}: nothing is written before the launcher has looked for stops");
        }
        (state.jumps, jump.is_some())
    }

    fn given_up(&self) -> u64 {
        lock(&self.0).given_up
    }

    fn give_up(&self, jumps: u64) {
        lock(&self.0).given_up = jumps;
    }
}

impl Desk {
    /// Waits, when time jumped, until the launcher has looked for stops and releases since. How often time has jumped so
    /// far.
    pub(crate) async fn awake(&self) -> u64 {
        loop {
            let jumps = self.compare_clocks();
            let mut orders = self.orders.clone();
            if jumps <= orders.borrow().looked.max(self.awake.given_up()) {
                return jumps;
            }
            let looked = orders::until(&mut orders, |orders| (orders.looked >= jumps).then_some(()));
            if timeout(LAUNCHER_LOOKS_WITHIN, looked).await.is_err() {
                tracing::warn!("the launcher does not say that it looked for stops; it does so every minute");
                self.awake.give_up(jumps);
            }
        }
    }

    fn compare_clocks(&self) -> u64 {
        let (jumps, just_now) = self.awake.look(clock::clocks());
        if just_now {
            self.telling.say(FromCore::Woke(jumps));
        }
        jumps
    }

    /// Compares the clocks every second, for ever.
    pub(crate) async fn stay_awake(&self) -> Infallible {
        let mut ticks = interval(EVERY);
        loop {
            ticks.tick().await;
            self.compare_clocks();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jump_counts_once_whoever_notices_it() {
        let awake = Awake::new();
        let start = lock(&awake.0).last;
        let later = |ms: u64| Clocks {
            wall: start.wall.saturating_add_unsigned(ms),
            awake: start.awake + ms,
            since_start: start.since_start + ms,
        };
        assert_eq!(awake.look(later(1000)), (0, false));
        assert_eq!(awake.look(later(61_000)), (1, true));
        assert_eq!(awake.look(later(61_001)), (1, false));
        assert_eq!(awake.look(Clocks { since_start: later(90_000).since_start, ..later(62_000) }), (2, true));
    }
}
