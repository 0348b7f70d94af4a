//! Job control over the job server's HTTP API.

use async_trait::async_trait;
use nightshift_client::{Client, ClientError};
use nightshift_wire::{AttemptId, Claim, ClaimRequest, GiveBack, Heartbeat, Lease, Receipt, Records, Submission};

use crate::control::{ControlError, JobControl};

/// Job control by a [`Client`].
#[derive(Debug)]
pub struct HttpControl(pub Client);

#[async_trait]
impl JobControl for HttpControl {
    async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ControlError> {
        Ok(self.0.claim(request).await?)
    }

    async fn records(&self, claim: &Claim, columns: &[String]) -> Result<Records, ControlError> {
        Ok(self.0.records(claim.attempt, &claim.secret, columns).await?)
    }

    async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat) -> Result<Lease, ControlError> {
        Ok(self.0.heartbeat(attempt, heartbeat).await?)
    }

    async fn submit(&self, attempt: AttemptId, submission: &Submission) -> Result<Receipt, ControlError> {
        Ok(self.0.submit(attempt, submission).await?)
    }

    async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack) -> Result<(), ControlError> {
        Ok(self.0.give_back(attempt, give_back).await?)
    }
}

impl From<ClientError> for ControlError {
    /// Only a refusal by a job server is final. Whatever else answered (a proxy's page, another version) may be gone
    /// tomorrow, and finished work is not thrown away for it.
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused { ref problem } if !error.is_retryable() => ControlError::Refused(problem.clone()),
            error => ControlError::Away(Box::new(error)),
        }
    }
}
