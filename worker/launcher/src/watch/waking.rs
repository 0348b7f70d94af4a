//! Time that jumped, and what a core that woke waits for. Pure: clocks and events come in.

use std::time::Duration;

use nightshift_contract::wake::{self, Clocks, Jump};

/// Notices that time jumped between two ticks.
#[derive(Debug)]
pub(super) struct Wakefulness(Clocks);

impl Wakefulness {
    /// Awake now.
    pub(super) fn new(now: Clocks) -> Wakefulness {
        Wakefulness(now)
    }

    /// A tick that should come about `pause` after the last; how time jumped since, if it did.
    pub(super) fn tick(&mut self, now: Clocks, pause: Duration) -> Option<Jump> {
        let before = std::mem::replace(&mut self.0, now);
        wake::judge(before, now, pause)
    }
}

/// What a core that woke has to hear before it goes on.
#[derive(Debug, Default)]
pub(super) struct Owed {
    number: Option<u64>,
    visited: bool,
    asked: bool,
}

impl Owed {
    /// The core woke for the time of this number. What was looked at before does not count.
    pub(super) fn core_woke(&mut self, number: u64) {
        *self = Owed { number: Some(number), visited: false, asked: false };
    }

    /// A visit to the repository that began after it woke is done, well or not.
    pub(super) fn visited(&mut self) {
        self.visited = true;
    }

    /// The job server, asked after it woke, answered or did not in time.
    pub(super) fn asked(&mut self) {
        self.asked = true;
    }

    /// The number to tell the core, once.
    pub(super) fn due(&mut self) -> Option<u64> {
        (self.visited && self.asked).then(|| self.number.take()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_woke_hears_once_that_repository_and_job_server_were_asked_since() {
        let mut owed = Owed::default();
        owed.visited();
        owed.asked();
        assert_eq!(owed.due(), None, "nobody woke");
        owed.core_woke(1);
        owed.visited();
        assert_eq!(owed.due(), None);
        owed.asked();
        assert_eq!(owed.due(), Some(1));
        assert_eq!(owed.due(), None);
    }

    #[test]
    fn a_core_that_wakes_again_meanwhile_waits_for_another_look() {
        let mut owed = Owed::default();
        owed.core_woke(1);
        owed.visited();
        owed.core_woke(2);
        owed.asked();
        assert_eq!(owed.due(), None);
        owed.visited();
        assert_eq!(owed.due(), Some(2));
    }

    #[test]
    fn time_is_compared_from_tick_to_tick() {
        let at = |seconds: u64| Clocks { wall: 0, awake: seconds * 1000, since_start: seconds * 1000 };
        let wall = |clocks: Clocks| Clocks { wall: i64::try_from(clocks.awake).expect("small"), ..clocks };
        let mut wakefulness = Wakefulness::new(wall(at(10)));
        let pause = Duration::from_secs(1);
        assert_eq!(wakefulness.tick(wall(at(11)), pause), None);
        assert_eq!(wakefulness.tick(wall(at(41)), pause), Some(Jump::Frozen(Duration::from_secs(29))));
        assert_eq!(wakefulness.tick(wall(at(42)), pause), None);
    }
}
