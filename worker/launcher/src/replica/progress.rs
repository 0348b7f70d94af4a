//! How far a rebuild is, as people read it: the step, the bytes so far, and what it waits for when nothing moves.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nightshift_kin::Stopwatch;
use nightshift_replica::rebuild::{Side, Step, Watcher};

use crate::clock;
use crate::status::to_the_second;

/// Between two words about how far a rebuild is.
const EVERY: Duration = Duration::from_secs(5);
/// Nothing has moved for so long: it is said what is waited for.
const STILL: Duration = Duration::from_secs(15);

/// What is known of a rebuild under way.
#[derive(Debug, Clone, Copy)]
struct Far {
    step: Option<Step>,
    bytes: u64,
    side: Side,
    /// When something moved last.
    at: Timestamp,
}

/// Hears how a rebuild gets on.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    why: &'a str,
    far: Mutex<(Far, Stopwatch)>,
}

impl<'a> Progress<'a> {
    pub(super) fn of(why: &'a str) -> Progress<'a> {
        let far = Far { step: None, bytes: 0, side: Side::Donor, at: clock::now() };
        Progress { why, far: Mutex::new((far, Stopwatch::start())) }
    }

    /// Says how far it is, now and then, for as long as this is waited for.
    pub(super) async fn tell(&self, say: impl Fn(String)) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            let (far, moved) = *self.far.lock().unwrap_or_else(PoisonError::into_inner);
            say(in_words(self.why, &far, moved.elapsed()));
        }
    }

    fn note(&self, change: impl FnOnce(&mut Far)) {
        let mut far = self.far.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut far.0);
        far.0.at = clock::now();
        far.1 = Stopwatch::start();
    }
}

impl Watcher for Progress<'_> {
    fn at(&self, step: Step) {
        tracing::info!("building the replica anew: {}", step.name());
        self.note(|far| far.step = Some(step));
    }

    fn copied(&self, bytes: u64) {
        self.note(|far| far.bytes = bytes);
    }

    fn waits_for(&self, side: Side) {
        // Nothing moved by that.
        self.far.lock().unwrap_or_else(PoisonError::into_inner).0.side = side;
    }
}

/// How far a rebuild is in which nothing has moved for `still`.
fn in_words(why: &str, far: &Far, still: Duration) -> String {
    let copying = far.step == Some(Step::Made);
    let so_far = match far.bytes {
        _ if !copying => step_in_words(far.step).to_owned(),
        0 => "no data yet".to_owned(),
        bytes if bytes < 1 << 20 => format!("{} kB so far", bytes.div_ceil(1 << 10)),
        bytes => format!("{} MB so far", bytes >> 20),
    };
    let words = format!("it is built anew ({why}); {so_far}");
    if still < STILL {
        return words;
    }
    let waits_for = match (copying, far.side) {
        (true, Side::Donor) => "whoever the data come from to send more (a lock or a long query there, the network)",
        (true, Side::Here) => "its own server to write what came (server.log in its folder, the disk)",
        (false, _) => "its own server (server.log in its folder, the disk)",
    };
    format!("{words}; nothing has moved since {}: it waits for {waits_for}", to_the_second(far.at))
}

/// What is done after a step, in words.
fn step_in_words(step: Option<Step>) -> &'static str {
    match step {
        None => "the primary is asked",
        Some(Step::Begun) => "the data before are thrown away",
        Some(Step::Emptied) => "an empty server is made",
        Some(Step::Made) => "data are copied",
        Some(Step::Filled) => "it is told its primary",
        Some(Step::Pointed) => "everything is written to the disk",
        Some(Step::Closed | Step::Done) => "it begins to follow",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far(step: Option<Step>, bytes: u64, side: Side) -> Far {
        Far { step, bytes, side, at: "2026-01-05T12:00:00.25Z".parse().expect("a moment") }
    }

    #[test]
    fn a_rebuild_that_moves_says_how_far_it_is() {
        let said = |step, bytes| in_words("no data yet", &far(step, bytes, Side::Donor), Duration::from_secs(1));
        assert_eq!(said(Some(Step::Made), 18_000_000), "it is built anew (no data yet); 17 MB so far");
        assert_eq!(said(Some(Step::Made), 1_500), "it is built anew (no data yet); 2 kB so far");
        assert_eq!(said(Some(Step::Filled), 18_000_000), "it is built anew (no data yet); it is told its primary");
    }

    #[test]
    fn a_rebuild_that_stands_still_says_since_when_and_for_whom_it_waits() {
        let said = |step, bytes, side| in_words("no data yet", &far(step, bytes, side), Duration::from_secs(15));
        let donor = said(Some(Step::Made), 18_000_000, Side::Donor);
        assert!(
            donor.contains("17 MB so far; nothing has moved since 2026-01-05T12:00:00Z: it waits for whoever"),
            "{donor}"
        );
        let here = said(Some(Step::Made), 0, Side::Here);
        assert!(here.contains("no data yet; nothing") && here.contains("its own server to write"), "{here}");
        let before = said(Some(Step::Emptied), 0, Side::Donor);
        assert!(before.contains("an empty server is made; nothing") && before.contains("its own server ("), "{before}");
    }
}
