//! How fast something grows, from looks at it. Pure: when each look was comes in.

use std::collections::VecDeque;

use nightshift_wire::Moment;

/// The pace is that of this time, in milliseconds.
const WINDOW_MS: Moment = 60_000;

/// Looks at a number that mostly grows.
#[derive(Debug, Default)]
pub(super) struct Pace {
    looks: VecDeque<(Moment, u64)>,
}

impl Pace {
    pub(super) fn note(&mut self, now: Moment, number: u64) {
        // A clock gone back, or less than there was (a batch was deleted, jobs are done anew): it begins anew.
        if self.looks.back().is_some_and(|(then, before)| *then > now || *before > number) {
            self.looks.clear();
        }
        if self.looks.back().is_some_and(|(then, _)| *then == now) {
            self.looks.pop_back();
        }
        self.looks.push_back((now, number));
        // One look from before the window stays, so that the window is full.
        while self.looks.get(1).is_some_and(|(then, _)| *then <= now - WINDOW_MS) {
            self.looks.pop_front();
        }
    }

    /// So many a second; `None` as long as there was one look only.
    pub(super) fn per_second(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.looks.front()?, self.looks.back()?);
        let seconds = (to - from) as f64 / 1000.0;
        (seconds > 0.0).then(|| (after - before) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_that_of_the_last_minute() {
        let mut pace = Pace::default();
        assert_eq!(pace.per_second(), None);
        pace.note(0, 1_000);
        assert_eq!(pace.per_second(), None, "one look says nothing");
        pace.note(2_000, 1_010);
        assert_eq!(pace.per_second(), Some(5.0));
        for second in 2..=200 {
            pace.note(second * 1_000, 1_010 + second as u64);
        }
        assert_eq!(pace.per_second(), Some(1.0), "what was before counts no more");
    }

    #[test]
    fn what_shrinks_or_a_clock_gone_back_begins_anew() {
        let mut pace = Pace::default();
        pace.note(0, 1_000);
        pace.note(1_000, 900);
        assert_eq!(pace.per_second(), None);
        pace.note(2_000, 910);
        assert_eq!(pace.per_second(), Some(10.0));
        pace.note(500, 920);
        assert_eq!(pace.per_second(), None);
    }
}
