//! Files kept for the grid, named by the SHA-256 of their bytes: binaries of releases, most of all.
//!
//! One is put here so that nobody ever sees a part of it, or other bytes than its name says:
//!
//! 1. Its bytes go to a file of another name and are hashed on the way; each piece is counted against the quota first.
//! 2. When they are those that the name says, they are synced, and the file gets its name by a rename.
//! 3. Whatever goes wrong before that, the file is removed; what a killed server left is removed at the next start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use nightshift_wire::{Artifact, Moment};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::swap;

/// What the names of files that are still arriving begin with.
const ARRIVING: &str = ".arriving-";

/// A folder of artifacts.
#[derive(Debug)]
pub struct Artifacts {
    folder: PathBuf,
    quota: u64,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: u64,
    arrivals: u64,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Its bytes are not those that its name says.
    #[error("its bytes have the SHA-256 {found}")]
    OtherBytes {
        /// The SHA-256 that they have.
        found: String,
    },
    /// There is no more room by the quota.
    #[error(
        "artifacts may take {quota} bytes, and {taken} are taken: delete some, or raise `artifact_quota` in \
         jobserver.toml"
    )]
    Quota {
        /// What all may take.
        quota: u64,
        /// What the others take.
        taken: u64,
    },
    /// The disk is full.
    #[error("the job server's disk is full")]
    DiskFull,
    /// It cannot be written.
    #[error("writing it failed")]
    Disk(#[source] io::Error),
}

impl From<io::Error> for PutError {
    fn from(error: io::Error) -> PutError {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => PutError::DiskFull,
            _ => PutError::Disk(error),
        }
    }
}

/// Whether `name` can be that of an artifact.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

impl Artifacts {
    /// The artifacts in `folder`, which is made when it is not there, and cleared of what never arrived whole.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(folder: PathBuf, quota: u64) -> io::Result<Artifacts> {
        fs::create_dir_all(&folder)?;
        let mut bytes = 0;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(ARRIVING) {
                fs::remove_file(entry.path())?;
            } else if is_name(name) {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(Artifacts { folder, quota, taken: Mutex::new(Taken { bytes, arrivals: 0 }) })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the artifact of this name is, or would be.
    pub(crate) fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(sha256)
    }

    /// The artifact of this name.
    pub(crate) fn find(&self, sha256: &str) -> io::Result<Option<Artifact>> {
        match fs::metadata(self.path(sha256)) {
            Ok(metadata) => Ok(Some(described(sha256, &metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All artifacts, by name.
    pub(crate) fn all(&self) -> io::Result<Vec<Artifact>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            match (entry.file_name().to_str(), entry.metadata()) {
                (Some(name), Ok(metadata)) if is_name(name) => all.push(described(name, &metadata)),
                _ => {} // arriving, or deleted meanwhile
            }
        }
        all.sort_by(|one, other| one.sha256.cmp(&other.sha256));
        Ok(all)
    }

    /// Removes one; whether it was there.
    pub(crate) fn delete(&self, sha256: &str) -> io::Result<bool> {
        // One at a time, or two could give the same bytes back.
        let mut taken = self.taken();
        let Some(artifact) = self.find(sha256)? else { return Ok(false) };
        fs::remove_file(self.path(sha256))?;
        taken.bytes = taken.bytes.saturating_sub(artifact.bytes);
        Ok(true)
    }

    /// Begins to take a file in.
    pub(crate) async fn begin(self: &Arc<Artifacts>) -> Result<Arriving, PutError> {
        let number = {
            let mut taken = self.taken();
            taken.arrivals += 1;
            taken.arrivals
        };
        let path = self.folder.join(format!("{ARRIVING}{number}"));
        let file = tokio::fs::File::create_new(&path).await?;
        Ok(Arriving { artifacts: Arc::clone(self), path, file, hash: Sha256::new(), bytes: 0, kept: false })
    }
}

fn described(sha256: &str, metadata: &fs::Metadata) -> Artifact {
    let age = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let created_at = age.map_or(0, |age| Moment::try_from(age.as_millis()).unwrap_or(Moment::MAX));
    Artifact { sha256: sha256.to_owned(), bytes: metadata.len(), created_at }
}

/// A file on its way in. Dropped before it is kept, nothing of it remains.
#[derive(Debug)]
pub(crate) struct Arriving {
    artifacts: Arc<Artifacts>,
    path: PathBuf,
    file: tokio::fs::File,
    hash: Sha256,
    bytes: u64,
    kept: bool,
}

impl Arriving {
    /// Takes the next piece.
    pub(crate) async fn take(&mut self, piece: &[u8]) -> Result<(), PutError> {
        let more = piece.len() as u64;
        {
            let quota = self.artifacts.quota;
            let mut taken = self.artifacts.taken();
            if taken.bytes.saturating_add(more) > quota {
                return Err(PutError::Quota { quota, taken: taken.bytes.saturating_sub(self.bytes) });
            }
            taken.bytes += more;
            self.bytes += more;
        }
        self.hash.update(piece);
        Ok(self.file.write_all(piece).await?)
    }

    /// Keeps the file under this name, durably, if it is that of its bytes.
    pub(crate) async fn keep(mut self, sha256: &str) -> Result<Artifact, PutError> {
        let found = format!("{:x}", self.hash.clone().finalize());
        if found != sha256 {
            return Err(PutError::OtherBytes { found });
        }
        self.file.flush().await?;
        self.file.sync_all().await?;
        let (from, to) = (self.path.clone(), self.artifacts.path(sha256));
        let sha256 = sha256.to_owned();
        let artifacts = Arc::clone(&self.artifacts);
        let placed = tokio::task::spawn_blocking(move || place(&artifacts, &sha256, &from, &to));
        let (artifact, new) = placed.await.map_err(io::Error::other)??;
        self.kept = new;
        Ok(artifact)
    }
}

/// Gives the file its name, unless the same bytes have got it meanwhile; the artifact, and whether this file is it.
fn place(artifacts: &Artifacts, sha256: &str, from: &Path, to: &Path) -> io::Result<(Artifact, bool)> {
    let _one_at_a_time = artifacts.taken();
    if let Some(artifact) = artifacts.find(sha256)? {
        return Ok((artifact, false));
    }
    swap::put_in_place(from, to)?;
    Ok((described(sha256, &fs::metadata(to)?), true))
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.kept {
            let mut taken = self.artifacts.taken();
            taken.bytes = taken.bytes.saturating_sub(self.bytes);
            // What cannot be removed now is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    async fn put(artifacts: &Arc<Artifacts>, name: &str, bytes: &[u8]) -> Result<Artifact, PutError> {
        let mut arriving = artifacts.begin().await?;
        for piece in bytes.chunks(2) {
            arriving.take(piece).await?;
        }
        arriving.keep(name).await
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).expect("a folder").count()
    }

    #[tokio::test]
    async fn a_file_is_kept_under_the_hash_of_its_bytes_and_under_no_other_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let artifacts = Arc::new(Artifacts::open(folder.path().join("a"), 10).expect("a fresh folder"));
        let kept = put(&artifacts, ABC, b"abc").await.expect("its name is right");
        assert_eq!((kept.bytes, artifacts.all().expect("listed")), (3, vec![kept.clone()]));
        let error = put(&artifacts, &"0".repeat(64), b"abc").await.expect_err("another name");
        assert!(error.to_string().contains(ABC), "{error}");
        assert_eq!(put(&artifacts, ABC, b"abc").await.expect("the same again"), kept);
        assert_eq!(files(&folder.path().join("a")), 1, "nothing else remains");
    }

    #[tokio::test]
    async fn the_quota_counts_every_byte_and_gets_back_what_is_deleted_or_never_arrived() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let artifacts = Arc::new(Artifacts::open(folder.path().to_owned(), 5).expect("a fresh folder"));
        let error = put(&artifacts, ABC, b"123456").await.expect_err("six bytes are too many for five");
        assert!(matches!(error, PutError::Quota { quota: 5, taken: 0 }), "{error}");
        put(&artifacts, ABC, b"abc").await.expect("three bytes");
        assert!(matches!(put(&artifacts, ABC, b"abc").await, Err(PutError::Quota { quota: 5, taken: 3 })));
        drop(artifacts);
        let artifacts = Arc::new(Artifacts::open(folder.path().to_owned(), 5).expect("the same folder"));
        assert!(matches!(put(&artifacts, ABC, b"abc").await, Err(PutError::Quota { .. })), "also after a restart");
        assert!(artifacts.delete(ABC).expect("deleted") && !artifacts.delete(ABC).expect("gone"));
        put(&artifacts, ABC, b"abc").await.expect("there is room again");
    }

    #[test]
    fn what_a_killed_server_left_is_removed_at_the_start() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join(".arriving-7"), "half a file").expect("written");
        fs::write(folder.path().join(ABC), "abc").expect("written");
        let artifacts = Artifacts::open(folder.path().to_owned(), 5).expect("the folder");
        assert_eq!((files(folder.path()), artifacts.taken().bytes), (1, 3));
    }
}
