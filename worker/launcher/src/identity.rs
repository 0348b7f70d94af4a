//! Who this worker is: made by itself at its first cycle, and made again when the machine turns out to be a copy.
//!
//! When the fingerprint has changed, the attempts in the core's folder belong to the worker this one was copied from.
//! They are dropped first and the new identity is written after that, so that a power cut in between repeats the step.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nightshift_contract::layout::StateDir;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::swap::{self, Keep};

/// An identity as it is kept in `identity.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The worker's id, a UUID.
    pub worker: Uuid,
    /// The machine it was made on.
    pub fingerprint: String,
}

/// Whose identity is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This worker's.
    Ours(Identity),
    /// None yet.
    New,
    /// Another machine's: this one is a copy of it.
    Copied {
        /// The worker this one was copied from.
        from: Uuid,
    },
    /// It cannot be read, as after a power cut on a disk that lies.
    Unreadable(String),
}

/// An identity could not be read or made.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {path}", path = .path.display())]
pub struct IdentityError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Judges the content of `identity.json` (`None` when it is not there) on the machine with this fingerprint.
pub fn judge(kept: Option<&[u8]>, fingerprint: &str) -> Verdict {
    match kept.map(serde_json::from_slice::<Identity>) {
        None => Verdict::New,
        Some(Err(error)) => Verdict::Unreadable(error.to_string()),
        Some(Ok(identity)) if identity.fingerprint == fingerprint => Verdict::Ours(identity),
        Some(Ok(identity)) => Verdict::Copied { from: identity.worker },
    }
}

/// This worker's identity, made new where [`judge`] says so. To be called under the lock, with no core running.
///
/// # Errors
/// When the state folder cannot be read or written.
pub fn establish(state: &StateDir, fingerprint: &str) -> Result<(Identity, Verdict), IdentityError> {
    let path = state.identity();
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| IdentityError { doing, path, source }
    };
    let kept = match fs::read(&path) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("reading the worker's identity from", &path)(error)),
    };
    let verdict = judge(kept.as_deref(), fingerprint);
    if let Verdict::Ours(identity) = &verdict {
        return Ok((identity.clone(), verdict));
    }
    let attempts = state.attempts();
    match fs::remove_dir_all(&attempts) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("dropping another worker's attempts in", &attempts)(error));
        }
        _ => {}
    }
    let identity = Identity { worker: Uuid::now_v7(), fingerprint: fingerprint.to_owned() };
    let content = serde_json::to_vec_pretty(&identity).map_err(io::Error::from);
    content
        .and_then(|content| swap::replace(&path, &content, Keep::Durably))
        .map_err(failed("writing the worker's identity to", &path))?;
    Ok((identity, verdict))
}

/// Forgets who this worker is, so that [`establish`] makes it a new one.
///
/// # Errors
/// When the identity cannot be removed.
pub fn forget(state: &StateDir) -> Result<(), IdentityError> {
    let path = state.identity();
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(IdentityError { doing: "removing the identity of another machine from", path, source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn state() -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        (folder, state)
    }

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let (_folder, state) = state();
        let (first, why) = establish(&state, "f").expect("writable");
        assert_eq!(why, Verdict::New);
        let (again, why) = establish(&state, "f").expect("readable");
        assert_eq!((again, why), (first.clone(), Verdict::Ours(first)));
        let mode = fs::metadata(state.identity()).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_copied_machine_becomes_a_new_worker_without_the_others_attempts() {
        let (_folder, state) = state();
        let (first, _) = establish(&state, "here").expect("writable");
        fs::create_dir_all(state.attempts().join("7")).expect("a folder");
        let (copy, why) = establish(&state, "there").expect("writable");
        assert_eq!(why, Verdict::Copied { from: first.worker });
        assert_ne!(copy.worker, first.worker);
        assert!(!state.attempts().exists());
    }

    #[test]
    fn a_torn_identity_is_made_again() {
        let (_folder, state) = state();
        fs::write(state.identity(), "{\"worker\"").expect("writable");
        let (_, why) = establish(&state, "f").expect("writable");
        assert!(matches!(why, Verdict::Unreadable(_)), "{why:?}");
        assert!(matches!(establish(&state, "f"), Ok((_, Verdict::Ours(_)))));
    }
}
