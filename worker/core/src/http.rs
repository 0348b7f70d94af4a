//! Job control over the job server's HTTP API.

use async_trait::async_trait;
use nightshift_client::{Client, ClientError};
use nightshift_wire::{
    AttemptId, Claim, ClaimRequest, GiveBack, Heartbeat, Lease, Problem, Receipt, access_code, code,
};

use crate::control::{ControlError, Fetched, Finished, JobControl};

/// Job control by a [`Client`].
#[derive(Debug)]
pub struct HttpControl(pub Client);

#[async_trait]
impl JobControl for HttpControl {
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ControlError> {
        Ok(self.0.claim(request).await?)
    }

    async fn records(&self, claim: &Claim, columns: &[String]) -> Result<Fetched, ControlError> {
        let (records, json) = self.0.records_and_json(claim.attempt, &claim.secret, columns).await?;
        Ok(Fetched { records, json })
    }

    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat) -> Result<Lease, ControlError> {
        Ok(self.0.heartbeat(attempt, heartbeat).await?)
    }

    async fn submit(&self, attempt: AttemptId, finished: &Finished) -> Result<Receipt, ControlError> {
        Ok(self.0.submit_json(attempt, finished.json()).await?)
    }

    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack) -> Result<(), ControlError> {
        Ok(self.0.give_back(attempt, give_back).await?)
    }

    fn cap_bulk(&self, bytes_per_second: Option<u64>) {
        self.0.cap_bulk(bytes_per_second);
    }
}

impl From<ClientError> for ControlError {
    /// Only a refusal by a job server is final, and a body too large, whoever says so: it does not grow smaller. Whatever
    /// else answered (a proxy's page, another version) may be gone tomorrow, and finished work is not thrown away for it.
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Strange { status: TOO_LARGE, .. } => ControlError::Refused(Problem {
                code: code::TOO_LARGE.to_owned(),
                status: TOO_LARGE,
                detail: error.to_string(),
            }),
            // The worker is not let in now, which says nothing about what it has done: that is kept.
            ClientError::Refused { ref problem } if is_shut_out(problem) => ControlError::Away(Box::new(error)),
            ClientError::Refused { ref problem } if !error.is_retryable() => ControlError::Refused(problem.clone()),
            error if is_failing(&error) => ControlError::Failing(Box::new(error)),
            error => ControlError::Away(Box::new(error)),
        }
    }
}

const TOO_LARGE: u16 = 413;

/// Whether the job server does not know this worker, or does not let it in.
fn is_shut_out(problem: &Problem) -> bool {
    problem.status == 401 || problem.code == access_code::NOT_APPROVED
}

/// Whether a job server was reached and failed at this very request: by a fault of its own (500), by taking too long
/// over it (408), or with an answer that broke off or cannot be read.
fn is_failing(error: &ClientError) -> bool {
    match error {
        ClientError::BrokeOff { .. } | ClientError::BadBody { .. } => true,
        ClientError::Refused { problem } => problem.code != code::STORE_AWAY && matches!(problem.status, 408 | 500),
        ClientError::Strange { status, .. } => matches!(status, 200..=299 | 500),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Means {
        Away,
        Failing,
        Refused,
    }

    fn means(error: ClientError) -> Means {
        match ControlError::from(error) {
            ControlError::Away(_) => Means::Away,
            ControlError::Failing(_) => Means::Failing,
            ControlError::Refused(_) => Means::Refused,
        }
    }

    fn refused(status: u16, code: &str) -> ClientError {
        ClientError::Refused { problem: Problem { code: code.to_owned(), status, detail: "x".to_owned() } }
    }

    fn strange(status: u16) -> ClientError {
        ClientError::Strange { doing: "asking".to_owned(), server: "x".to_owned(), status }
    }

    #[test]
    fn a_fault_at_one_request_is_told_from_a_server_that_is_away_and_from_a_refusal() {
        for (error, expected) in [
            (refused(500, code::INTERNAL), Means::Failing),
            (refused(408, code::BAD_REQUEST), Means::Failing),
            (strange(500), Means::Failing),
            (strange(200), Means::Failing),
            (refused(503, code::STORE_AWAY), Means::Away),
            (refused(500, code::STORE_AWAY), Means::Away),
            (strange(502), Means::Away),
            (strange(404), Means::Away),
            (ClientError::NoServer, Means::Away),
            (refused(401, access_code::REVOKED), Means::Away),
            (refused(403, access_code::NOT_APPROVED), Means::Away),
            (refused(403, access_code::NOT_ALLOWED), Means::Refused),
            (refused(409, code::NOT_WANTED), Means::Refused),
            (refused(413, code::TOO_LARGE), Means::Refused),
            (strange(413), Means::Refused),
        ] {
            let shown = format!("{error:?}");
            assert_eq!(means(error), expected, "{shown}");
        }
    }
}
