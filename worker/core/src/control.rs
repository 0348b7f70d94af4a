//! What the core needs of whoever controls the jobs, whichever way it is reached.

use async_trait::async_trait;
use nightshift_wire::{
    AttemptId, Claim, ClaimRequest, GiveBack, Heartbeat, Lease, Problem, Receipt, Records, Submission, access_code,
    code,
};

/// Hands out jobs and takes results. Every verb may be repeated without harm.
#[async_trait]
pub trait JobControl: Send + Sync {
    /// Asks for a job; `None` when none came up within the request's `wait_ms`.
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ControlError>;

    /// The records of an attempt's job, with `columns` in that order.
    async fn records(&self, claim: &Claim, columns: &[String]) -> Result<Records, ControlError>;

    /// Renews an attempt's lease.
    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat) -> Result<Lease, ControlError>;

    /// Hands in an attempt's results.
    async fn submit(&self, attempt: AttemptId, submission: &Submission) -> Result<Receipt, ControlError>;

    /// Gives an attempt's job back unfinished.
    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack) -> Result<(), ControlError>;

    /// Keeps records and results below so many bytes a second from now on, where bytes travel one by one.
    fn cap_bulk(&self, bytes_per_second: Option<u64>);
}

/// Why a verb did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The request may not have arrived, or could not be dealt with now: the same may succeed later.
    #[error("the job server is away")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server is there and failed at this request; it may do so again and again, and succeed at others.
    #[error("the job server failed")]
    Failing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The request was understood and refused for good.
    #[error("{}", .0.detail)]
    Refused(Problem),
}

/// What a refusal means for the attempt it was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The attempt is not wanted, or not known: drop it.
    NotWanted,
    /// The attempt cannot be done like this: give the job back as failed, so that somebody hears of it.
    Unfit,
}

/// Judges a refusal by its code.
pub(crate) fn judge(problem: &Problem) -> Refusal {
    match problem.code.as_str() {
        // Another worker's attempt is not this one's to give back.
        code::NOT_WANTED | code::NOT_FOUND | code::WRONG_SECRET | access_code::NOT_ALLOWED => Refusal::NotWanted,
        _ => Refusal::Unfit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_is_not_wanted_is_dropped_and_one_that_does_not_fit_is_given_back() {
        let judged = |code: &str| judge(&Problem { code: code.to_owned(), status: 409, detail: String::new() });
        for code in [code::NOT_WANTED, code::NOT_FOUND, code::WRONG_SECRET, access_code::NOT_ALLOWED] {
            assert_eq!(judged(code), Refusal::NotWanted, "{code}");
        }
        for code in [code::MISSING_COLUMN, code::WRONG_RESULTS, code::TOO_LARGE, code::BAD_REQUEST, "of_tomorrow"] {
            assert_eq!(judged(code), Refusal::Unfit, "{code}");
        }
    }
}
