//! The breaker: a batch whose records fail at more than its allowed rate is suspended before it has burned every night.

use nightshift_wire::ErrorRate;

/// Before so many results nothing is judged.
pub const JUDGED_FROM: u64 = 200;

/// A batch that fails too much. As text it is the reason the batch is suspended for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{errors} of {results} results are errors, more than the {allowed} this batch is allowed; look at its errors, then \
     resume it, with another --error-rate if so many are right, or delete it"
)]
pub struct Tripped {
    /// Results that were counted.
    pub results: u64,
    /// Of these, errors.
    pub errors: u64,
    /// What would have been allowed.
    pub allowed: ErrorRate,
}

/// Judges a batch by its results since it was handed in, or since it was resumed after the breaker tripped.
pub fn judge(results: u64, errors: u64, allowed: ErrorRate) -> Option<Tripped> {
    let too_many = u128::from(errors) * 1000 > u128::from(results) * u128::from(allowed.as_per_mille());
    (results >= JUDGED_FROM && too_many).then_some(Tripped { results, errors, allowed })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_trips_when_more_than_its_rate_are_errors() {
        assert_eq!(judge(1_000, 500, ErrorRate::DEFAULT), None);
        let tripped = judge(1_000, 501, ErrorRate::DEFAULT).expect("tripped");
        assert_eq!(
            tripped.to_string(),
            "501 of 1000 results are errors, more than the 50 % this batch is allowed; look at its errors, then resume \
             it, with another --error-rate if so many are right, or delete it"
        );
    }

    #[test]
    fn the_first_two_hundred_results_are_not_judged() {
        assert_eq!(judge(199, 199, ErrorRate::DEFAULT), None);
        assert!(judge(200, 101, ErrorRate::DEFAULT).is_some());
    }

    #[test]
    fn rates_are_shown_in_per_cent() {
        assert_eq!(ErrorRate::per_mille(125).to_string(), "12.5 %");
        assert_eq!(ErrorRate::per_mille(7).to_string(), "0.7 %");
        assert_eq!(ErrorRate::per_mille(4_000), ErrorRate::per_mille(1_000));
    }

    proptest! {
        #[test]
        fn a_batch_that_may_fail_whole_never_trips_and_one_that_may_not_fail_trips_at_the_first(
            results in JUDGED_FROM..=u64::MAX, part in 0.0..=1.0_f64
        ) {
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let errors = ((results as f64 * part) as u64).min(results);
            prop_assert_eq!(judge(results, errors, ErrorRate::per_mille(1_000)), None);
            prop_assert_eq!(judge(results, errors, ErrorRate::per_mille(0)).is_some(), errors > 0);
        }
    }
}
