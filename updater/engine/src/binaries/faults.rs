//! What can go wrong when programs are fetched: at a place, or here.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nightshift_manifest::binaries::{Digest, Place};

/// Why programs are not here. All of it may pass, and nothing of it is the release's fault.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No place gave the program.
    #[error(
        "fetching {binary} (SHA-256 {sha256}): {}; it is tried again at the next look",
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Nowhere {
        /// The program and its version.
        binary: String,
        /// What it has to be.
        sha256: Digest,
        /// What came of each place, in the order they were asked.
        faults: Vec<PlaceError>,
    },
    /// The disk is too full. Nothing was written.
    #[error(
        "fetching {binary}: it needs {} MiB in {} and the disk has {} MiB left; make room, and it is fetched at the next \
         look",
        needed.div_ceil(1 << 20), folder.display(), room >> 20
    )]
    NoRoom {
        /// The program and its version.
        binary: String,
        /// Where the room is missing.
        folder: PathBuf,
        /// Bytes.
        needed: u64,
        /// Bytes.
        room: u64,
    },
    /// A file or folder of this machine cannot be written or read.
    #[error("{doing} {}: check that the disk is not full and the state folder belongs to this user", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It was ended before all was here: somebody stopped it, or its time was over.
    #[error("fetching {binary}: ended before all of it was here; the next look goes on where it was")]
    Ended {
        /// The program and its version.
        binary: String,
    },
}

impl FetchError {
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}

/// A place and why it did not give the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceError {
    /// The place.
    pub place: Place,
    /// Why not.
    pub fault: PlaceFault,
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.fault)
    }
}

/// Why a place did not give a program. It reads on from the place's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceFault {
    /// This worker has no job server.
    #[error("is named, and this worker has none")]
    NoJobServer,
    /// It cannot be asked.
    #[error("cannot be asked ({0})")]
    Away(String),
    /// It answers, and has no such file.
    #[error("does not have it")]
    Missing,
    /// It answers, and says something else.
    #[error("answers otherwise than with a file ({0})")]
    Odd(String),
    /// It has a file of another size under this name.
    #[error("has {found} bytes under this name, and the release says {size}")]
    OtherSize {
        /// What the place has.
        found: u64,
        /// What the release says.
        size: u64,
    },
    /// The bytes broke off. What came is kept.
    #[error("broke off after {at} of {size} bytes ({why})")]
    BrokeOff {
        /// How many are here.
        at: u64,
        /// How many there are.
        size: u64,
        /// What the system says.
        why: String,
    },
    /// All bytes came, and they are others. They were thrown away.
    #[error("sent other bytes than the release names")]
    OtherBytes,
}

impl PlaceFault {
    /// Whether what is here is of no use.
    pub(super) fn is_wrong_bytes(&self) -> bool {
        matches!(self, PlaceFault::OtherBytes)
    }
}
