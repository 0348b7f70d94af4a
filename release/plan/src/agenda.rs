//! What happens when: the events of a simulation in the order of their moments, those of one moment as they were noted.
//!
//! A hundred thousand PCs make a hundred million events. A single heap of them misses the processor's caches at each
//! step; so events are kept in slices of a few seconds, and only the slice that is at hand is in order.

/// How long a slice is, in milliseconds.
const SLICE_MS: u64 = 4_096;

/// Something that happens at a moment, in milliseconds since the simulation began.
#[derive(Debug, Clone, Copy)]
struct Event<T> {
    at: u64,
    noted: u64,
    what: T,
}

impl<T> Event<T> {
    /// What happens earlier comes first, and of one moment what was noted earlier.
    fn order(&self) -> (u64, u64) {
        (self.at, self.noted)
    }
}

/// The events to come, up to an end.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    slices: Vec<Vec<Event<T>>>,
    /// The slice at hand, and its events, the next one last.
    slice: usize,
    hand: Vec<Event<T>>,
    end: u64,
    noted: u64,
}

impl<T> Agenda<T> {
    /// Nothing noted; what happens from `end` on is not of interest.
    pub(crate) fn until(end: u64) -> Agenda<T> {
        let slices = (0..=end / SLICE_MS).map(|_| Vec::new()).collect();
        Agenda { slices, slice: 0, hand: Vec::new(), end, noted: 0 }
    }

    /// Notes what happens at a moment, which is not before the last one taken.
    pub(crate) fn note(&mut self, at: u64, what: T) {
        if at >= self.end {
            return;
        }
        self.noted += 1;
        let event = Event { at, noted: self.noted, what };
        let slice = (at / SLICE_MS) as usize;
        if slice <= self.slice {
            let behind = self.hand.partition_point(|known| known.order() > event.order());
            self.hand.insert(behind, event);
        } else {
            self.slices[slice].push(event);
        }
    }

    /// Takes what happens next, with its moment. Each time a slice comes at hand, `coming` hears what is in it.
    pub(crate) fn next(&mut self, mut coming: impl FnMut(&T)) -> Option<(u64, T)> {
        loop {
            if let Some(event) = self.hand.pop() {
                return Some((event.at, event.what));
            }
            self.slice += 1;
            self.hand = std::mem::take(self.slices.get_mut(self.slice)?);
            self.hand.iter().for_each(|event| coming(&event.what));
            self.hand.sort_unstable_by_key(|event| std::cmp::Reverse(event.order()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_noted_for_one_moment_happens_in_the_order_it_was_noted() {
        let mut agenda = Agenda::until(100_000);
        for (at, what) in [(50_000, 'c'), (7, 'a'), (50_000, 'd'), (7, 'b'), (100_000, 'x')] {
            agenda.note(at, what);
        }
        let order: Vec<(u64, char)> = std::iter::from_fn(|| agenda.next(|_| ())).collect();
        assert_eq!(order, [(7, 'a'), (7, 'b'), (50_000, 'c'), (50_000, 'd')]);
    }

    proptest! {
        #[test]
        fn time_never_goes_back(moments in proptest::collection::vec(0_u64..50_000, 0..60)) {
            let mut agenda = Agenda::until(60_000);
            for at in &moments {
                agenda.note(*at, *at);
            }
            let (mut last, mut seen) = (0, 0);
            while let Some((now, at)) = agenda.next(|_| ()) {
                prop_assert!(now >= last);
                (last, seen) = (now, seen + 1);
                // What follows from an event is noted while the simulation runs.
                if at % 3 == 0 {
                    agenda.note(now + 5_001, 1);
                }
            }
            let follow = moments.iter().filter(|at| *at % 3 == 0 && **at + 5_001 < 60_000).count();
            prop_assert_eq!(seen, moments.len() + follow);
        }
    }
}
