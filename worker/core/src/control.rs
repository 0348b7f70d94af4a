//! What the core needs of whoever controls the jobs, whichever way it is reached.

use async_trait::async_trait;
use nightshift_plugin::Results;
use nightshift_wire::{
    AttemptId, Claim, ClaimRequest, GiveBack, Heartbeat, Lease, Problem, Provenance, Receipt, Records, Submission,
    access_code, code,
};

/// Hands out jobs and takes results. Every verb may be repeated without harm.
#[async_trait]
pub trait JobControl: Send + Sync {
    /// Asks for a job; `None` when none came up within the request's `wait_ms`.
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ControlError>;

    /// The records of an attempt's job, with `columns` in that order.
    async fn records(&self, claim: &Claim, columns: &[String]) -> Result<Fetched, ControlError>;

    /// Renews an attempt's lease.
    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat) -> Result<Lease, ControlError>;

    /// Hands in an attempt's results.
    async fn submit(&self, attempt: AttemptId, finished: &Finished) -> Result<Receipt, ControlError>;

    /// Gives an attempt's job back unfinished.
    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack) -> Result<(), ControlError>;

    /// Keeps records and results below so many bytes a second from now on, where bytes travel one by one.
    fn cap_bulk(&self, bytes_per_second: Option<u64>);
}

/// A job's records, and the JSON that they were read from, which is kept on disk as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The records.
    pub records: Records,
    /// The same, written.
    pub json: Vec<u8>,
}

impl From<Records> for Fetched {
    fn from(records: Records) -> Fetched {
        let json = serde_json::to_vec(&records).expect("it has text keys only");
        Fetched { records, json }
    }
}

/// All results of an attempt, ready to be handed in: a [`Submission`] whose results stay as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The attempt's secret.
    pub secret: String,
    /// Where the results come from.
    pub provenance: Provenance,
    /// Exactly one for each record of the job.
    pub results: Results,
}

impl Finished {
    /// The submission as JSON.
    pub fn json(&self) -> Vec<u8> {
        let Finished { secret, provenance, results } = self;
        let head = Submission { secret: secret.clone(), provenance: provenance.clone(), results: Vec::new() };
        let mut json = serde_json::to_vec(&head).expect("it has text keys only");
        // The results stand last, and there are none yet.
        json.truncate(json.len() - "[]}".len());
        results.write(&mut json);
        json.push(b'}');
        json
    }

    /// The submission with each of its results.
    pub fn submission(&self) -> Submission {
        let Finished { secret, provenance, results } = self.clone();
        Submission { secret, provenance, results: results.decoded() }
    }
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
        // Results of another primary's data are nobody's fault: a failover came in between.
        code::NOT_WANTED | code::OTHER_PRIMARY | code::NOT_FOUND | code::WRONG_SECRET | access_code::NOT_ALLOWED => {
            Refusal::NotWanted
        }
        _ => Refusal::Unfit,
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::{Outcome, ReachedPosition, RecordResult};

    use super::*;

    #[test]
    fn what_is_handed_in_is_a_submission() {
        for results in [vec![], vec![RecordResult { id: 1, outcome: Outcome::Error("]}".to_owned()) }]] {
            let position = Some(ReachedPosition { primary: "mariadb:7".to_owned(), gtid: "0-7-\"1".to_owned() });
            let provenance =
                Provenance { release: "v1.0.0".to_owned(), commit: "[]}".to_owned(), work_ms: 3, position };
            let finished = Finished { secret: "s\"".to_owned(), provenance, results: results[..].into() };
            let json = serde_json::to_vec(&finished.submission()).expect("text");
            assert_eq!(String::from_utf8(finished.json()), String::from_utf8(json));
        }
    }

    #[test]
    fn an_attempt_that_is_not_wanted_is_dropped_and_one_that_does_not_fit_is_given_back() {
        let judged = |code: &str| judge(&Problem { code: code.to_owned(), status: 409, detail: String::new() });
        for code in
            [code::NOT_WANTED, code::OTHER_PRIMARY, code::NOT_FOUND, code::WRONG_SECRET, access_code::NOT_ALLOWED]
        {
            assert_eq!(judged(code), Refusal::NotWanted, "{code}");
        }
        for code in [code::MISSING_COLUMN, code::WRONG_RESULTS, code::TOO_LARGE, code::BAD_REQUEST, "of_tomorrow"] {
            assert_eq!(judged(code), Refusal::Unfit, "{code}");
        }
    }
}
