//! Who may build a replica anew: a few at once in the whole grid, so that fifty PCs that come back do not drown the
//! primary.
//!
//! A permit is a lease: who builds asks again while it lasts, and a worker that is switched off keeps nobody waiting for
//! long.

use nightshift_wire::{Moment, RebuildPermit};

/// How long a permit counts, in milliseconds.
pub const LEASE_MS: u64 = 120_000;
/// Who builds asks again after this time.
const RENEW_MS: u64 = LEASE_MS / 4;
/// Who waits asks again after this time.
const WAIT_MS: u64 = 10_000;

/// A worker with a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// The worker.
    pub worker: String,
    /// How long its permit counts.
    pub until: Moment,
}

/// Whether a permit still counts. One that reaches further than permits do is of a clock that went back since.
pub fn counts(builder: &Builder, now: Moment) -> bool {
    now < builder.until && builder.until <= now.saturating_add_unsigned(LEASE_MS)
}

/// A worker has to wait: others build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{others} other workers build their replicas just now, and {at_once} may at once ([replica] rebuilds_at_once in \
     jobserver.toml)"
)]
pub struct Wait {
    /// How many others.
    pub others: usize,
    /// How many may.
    pub at_once: u32,
}

/// Until when the worker's permit counts, a new one or its own renewed.
///
/// # Errors
/// When it has to wait.
pub fn judge(worker: &str, builders: &[Builder], at_once: u32, now: Moment) -> Result<Moment, Wait> {
    let (own, others): (Vec<&Builder>, Vec<&Builder>) =
        builders.iter().filter(|builder| counts(builder, now)).partition(|builder| builder.worker == worker);
    let others = others.len();
    if own.is_empty() && others >= at_once as usize {
        return Err(Wait { others, at_once });
    }
    Ok(now.saturating_add_unsigned(LEASE_MS))
}

/// The verdict as the worker is told it.
pub fn answer(verdict: Result<Moment, Wait>) -> RebuildPermit {
    match verdict {
        Ok(_) => RebuildPermit { lease_ms: Some(LEASE_MS), reason: String::new(), ask_again_ms: RENEW_MS },
        Err(wait) => RebuildPermit { lease_ms: None, reason: wait.to_string(), ask_again_ms: WAIT_MS },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = 1_000_000;

    fn builder(worker: &str, left_ms: i64) -> Builder {
        Builder { worker: worker.to_owned(), until: NOW + left_ms }
    }

    #[test]
    fn so_many_build_at_once_and_no_more() {
        let (a, b, c) = (builder("a", 60_000), builder("b", 60_000), builder("c", 60_000));
        let cases = [
            (vec![], 2, true),
            (vec![a.clone()], 2, true),
            (vec![a.clone(), b.clone()], 2, false),
            (vec![a.clone(), b.clone()], 3, true),
            (vec![a.clone(), b.clone(), c], 3, false),
            // Its own permit is no other's.
            (vec![a.clone(), builder("w", 60_000)], 2, true),
            // Who builds goes on, also when fewer may now.
            (vec![a.clone(), b, builder("w", 1)], 1, true),
            // One that is over, or of a clock that went back, keeps nobody waiting.
            (vec![a.clone(), builder("b", 0)], 2, true),
            (vec![a, builder("b", 3_600_000)], 2, true),
        ];
        for (builders, at_once, goes) in cases {
            assert_eq!(judge("w", &builders, at_once, NOW).is_ok(), goes, "{builders:?}, {at_once} at once");
        }
    }

    #[test]
    fn a_permit_that_ran_out_is_asked_for_like_a_first_one() {
        let builders = [builder("a", 60_000), builder("b", 60_000), builder("w", 0)];
        assert_eq!(judge("w", &builders, 2, NOW), Err(Wait { others: 2, at_once: 2 }));
    }

    #[test]
    fn a_worker_is_told_for_how_long_it_may_or_why_it_waits() {
        let may = answer(judge("w", &[], 2, NOW));
        assert_eq!((may.lease_ms, may.reason.as_str()), (Some(LEASE_MS), ""));
        assert!(may.ask_again_ms < LEASE_MS);
        let waits = answer(judge("w", &[builder("a", 1), builder("b", 1)], 2, NOW));
        assert_eq!(waits.lease_ms, None);
        assert!(waits.reason.starts_with("2 other workers build their replicas just now"), "{}", waits.reason);
    }
}
