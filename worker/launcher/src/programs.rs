//! The job server's artifact store as a place of programs: asked with the worker's credential, over the pinned authority.
//!
//! It blocks, as the engine does; each request has a runtime of its own, so it can be used on any thread. What comes is
//! not believed: the engine hashes it.

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use nightshift_client::{Access, Client, ClientError, Download, Timeouts};
use nightshift_engine::binaries::{Arriving, PlaceFault, Shelf};
use nightshift_manifest::binaries::Digest;
use tokio::runtime::{Builder, Runtime};

use crate::repository::chain;

/// The artifact stores of the job servers in a list.
pub struct ArtifactStore {
    servers: Vec<String>,
    access: Access,
}

impl fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactStore").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl ArtifactStore {
    /// The stores of these job servers, asked in turn.
    pub fn new(servers: Vec<String>, access: Access) -> Self {
        Self { servers, access }
    }
}

impl Shelf for ArtifactStore {
    fn open(&self, digest: &Digest, from: u64) -> Result<Arriving, PlaceFault> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| PlaceFault::Away(error.to_string()))?;
        let client = Client::with_access(self.servers.iter().cloned(), Timeouts::default(), &self.access);
        let client = client.map_err(|error| PlaceFault::Away(chain(&error)))?;
        let part = runtime.block_on(client.artifact(digest.as_str(), from)).map_err(|error| fault(&error))?;
        let bytes = Blocking { runtime, download: part.bytes, piece: Bytes::new() };
        Ok(Arriving { from: part.from, size: part.size, bytes: Box::new(bytes) })
    }
}

fn fault(error: &ClientError) -> PlaceFault {
    match error.problem() {
        Some(problem) if problem.status == 404 => PlaceFault::Missing,
        Some(problem) => PlaceFault::Odd(problem.detail.clone()),
        None if matches!(error, ClientError::Strange { .. }) => PlaceFault::Odd(chain(error)),
        None => PlaceFault::Away(chain(error)),
    }
}

/// A download read by whoever waits for it.
struct Blocking {
    runtime: Runtime,
    download: Download,
    piece: Bytes,
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let next = self.runtime.block_on(self.download.chunk());
            match next.map_err(|error| io::Error::other(chain(&error)))? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let taken = self.piece.split_to(self.piece.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}
