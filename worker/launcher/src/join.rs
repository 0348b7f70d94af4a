//! Joining the grid: a worker makes itself a credential, asks to be let in, and says where its request stands.
//!
//! 1. The credential is made and kept durably before anybody hears of it; the job server gets its hash only. So nothing
//!    secret travels back, and a power cut at any instant loses nothing: the same request is made again.
//! 2. Each cycle asks before it starts a core. Until somebody approved the worker it takes no job and says so.
//! 3. A job server that is away decides nothing: who was let in goes on, and is refused at its first request if not.
//!
//! A worker whose worker.toml has neither `join_token` nor `jobserver_ca` asks nobody: its job server is open.

use std::fs;
use std::io;
use std::path::PathBuf;

use nightshift_client::{Access, Client, ClientError, Pin};
use nightshift_contract::handoff::AccessArgs;
use nightshift_contract::layout::StateDir;
use nightshift_wire::{EnrolmentState, JoinRequest, Joined, access_code};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::machine;
use crate::swap::{self, Keep};

/// What worker.toml says about getting in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Joining {
    /// The job servers' certificate authority.
    pub pin: Option<Pin>,
    /// The join token.
    pub token: Option<String>,
}

/// The token is not shown.
impl std::fmt::Debug for Joining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Joining").field("pin", &self.pin).finish_non_exhaustive()
    }
}

impl Joining {
    /// Whether the worker has to be let in.
    pub fn is_needed(&self) -> bool {
        self.pin.is_some() || self.token.is_some()
    }
}

/// Who asks to be let in, and by what it is recognised from then on.
#[derive(Clone)]
pub struct Credential {
    worker: String,
    secret: String,
    machine: String,
}

/// The secret is not shown.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// `credential.json`.
#[derive(Serialize, Deserialize)]
struct Kept {
    worker: String,
    secret: String,
}

/// The credential cannot be read or kept.
#[derive(Debug, thiserror::Error)]
#[error("keeping the worker's credential in {path}", path = .path.display())]
pub struct CredentialError {
    path: PathBuf,
    source: io::Error,
}

/// Where the worker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It may work.
    In,
    /// It may not, yet or any more; the text is why, and what to do about it.
    Out(String, &'static str),
    /// Its identity is another machine's: it has to make itself a new one.
    Anew,
    /// The job server did not say.
    Unknown(String),
}

impl Credential {
    /// The credential of this worker, made when there is none or it is another worker's.
    ///
    /// # Errors
    /// When the state folder cannot be read or written.
    pub fn establish(state: &StateDir, worker: &str, machine: &str) -> Result<Credential, CredentialError> {
        let path = state.credential();
        let failed = |source| CredentialError { path: path.clone(), source };
        let kept = match fs::read(&path) {
            Ok(content) => serde_json::from_slice::<Kept>(&content).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let secret = match kept.filter(|kept| kept.worker == worker) {
            Some(kept) => kept.secret,
            None => {
                let secret = format!("ns_worker_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
                let kept = Kept { worker: worker.to_owned(), secret: secret.clone() };
                let content = serde_json::to_vec(&kept).map_err(io::Error::from).map_err(failed)?;
                swap::replace(&path, &content, Keep::Durably).map_err(failed)?;
                secret
            }
        };
        Ok(Credential { worker: worker.to_owned(), secret, machine: machine.to_owned() })
    }

    /// The credential that is kept, whosever it is; nothing is made.
    pub fn kept(state: &StateDir) -> Option<Credential> {
        let kept: Kept = serde_json::from_slice(&fs::read(state.credential()).ok()?).ok()?;
        let machine = machine::fingerprint(state.root()).ok()?;
        Some(Credential { worker: kept.worker, secret: kept.secret, machine })
    }

    /// How requests of this worker get in.
    pub fn access(&self, joining: &Joining) -> Access {
        Access { pin: joining.pin, token: Some(self.secret.clone()), machine: Some(self.machine.clone()) }
    }

    /// The same for the core.
    pub fn to_core(&self, joining: &Joining) -> AccessArgs {
        AccessArgs {
            pin: joining.pin.map(|pin| pin.to_string()).unwrap_or_default(),
            token: self.secret.clone(),
            machine: self.machine.clone(),
        }
    }

    /// Asks to be let in, or where the request stands.
    pub async fn ask(&self, client: &Client, joining: &Joining, host: &str) -> Standing {
        let request = JoinRequest {
            worker: self.worker.clone(),
            host: host.to_owned(),
            machine: self.machine.clone(),
            credential: format!("{:x}", Sha256::digest(&self.secret)),
            token: joining.token.clone(),
        };
        stands(client.join(&request).await)
    }
}

/// What the job server's answer means.
fn stands(answer: Result<Joined, ClientError>) -> Standing {
    match answer {
        Ok(joined) => match joined.state {
            EnrolmentState::Approved => Standing::In,
            EnrolmentState::Pending => Standing::Out(joined.reason, "approve it as said; the next cycle goes on"),
            EnrolmentState::Refused => Standing::Out(joined.reason, "an admin of the job server can still approve it"),
            EnrolmentState::Revoked => {
                let next = "to let this machine in again, delete identity.json in its state folder";
                Standing::Out(joined.reason, next)
            }
        },
        Err(error) => match error.problem() {
            Some(problem) if problem.code == access_code::ENROL_AGAIN => Standing::Anew,
            Some(problem) if matches!(problem.status, 401 | 403) => {
                Standing::Out(problem.detail.clone(), "put a good join_token into worker.toml")
            }
            _ => Standing::Unknown(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use nightshift_wire::Problem;

    use super::*;

    #[test]
    fn a_credential_is_made_once_for_a_worker_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        let first = Credential::establish(&state, "w-1", "m").expect("made");
        let again = Credential::establish(&state, "w-1", "m").expect("kept");
        assert_eq!(first.secret, again.secret);
        let mode = fs::metadata(state.credential()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = Credential::establish(&state, "w-2", "m").expect("made");
        assert_ne!(other.secret, first.secret, "a copy does not keep the original's credential");
        assert!(!format!("{other:?}").contains(&other.secret));
        fs::write(state.credential(), "torn").expect("writable");
        Credential::establish(&state, "w-2", "m").expect("made again");
    }

    #[test]
    fn what_the_job_server_says_is_what_a_worker_does() {
        let joined = |state| Ok(Joined { state, reason: "why".to_owned() });
        assert_eq!(stands(joined(EnrolmentState::Approved)), Standing::In);
        for state in [EnrolmentState::Pending, EnrolmentState::Refused, EnrolmentState::Revoked] {
            assert!(matches!(stands(joined(state)), Standing::Out(why, _) if why == "why"), "{state:?}");
        }
        let problem = |status, code: &str| {
            let problem = Problem { code: code.to_owned(), status, detail: "why".to_owned() };
            stands(Err(ClientError::Refused { problem }))
        };
        assert_eq!(problem(401, access_code::ENROL_AGAIN), Standing::Anew);
        assert!(matches!(problem(401, access_code::EXPIRED), Standing::Out(..)));
        assert!(matches!(problem(403, access_code::NOT_ALLOWED), Standing::Out(..)));
        assert!(matches!(problem(503, "store_away"), Standing::Unknown(_)));
        assert!(matches!(stands(Err(ClientError::NoServer)), Standing::Unknown(_)));
    }
}
