//! What a failure leads to. Stops and lost leases never come here: switching PCs off is not a job's fault.

use crate::life::JobEvent;

/// What happens to a job whose plugin failed for the `failures`-th time, this time included.
pub fn after_failure(failures: u32, max_attempts: u32) -> JobEvent {
    if failures < max_attempts { JobEvent::Failed } else { JobEvent::GivenUp }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_quarantined_at_its_last_allowed_failure() {
        assert_eq!(after_failure(1, 3), JobEvent::Failed);
        assert_eq!(after_failure(2, 3), JobEvent::Failed);
        assert_eq!(after_failure(3, 3), JobEvent::GivenUp);
    }

    #[test]
    fn a_job_with_one_attempt_or_none_is_quarantined_at_once() {
        assert_eq!(after_failure(1, 1), JobEvent::GivenUp);
        assert_eq!(after_failure(1, 0), JobEvent::GivenUp);
    }
}
