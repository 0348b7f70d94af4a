//! A limit for every wait at a place: until it answers, and until its next bytes come.
//!
//! A thread of its own asks and reads; who waits for it gives up after the limit. The thread ends with its next byte, or
//! when the place's own limit is over.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use nightshift_manifest::binaries::Digest;

use super::faults::PlaceFault;
use super::shelf::{Arriving, Shelf};

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// A place that is waited for no longer than that.
pub(super) struct Patient {
    shelf: Arc<dyn Shelf>,
    silence: Duration,
}

impl Patient {
    pub(super) fn new(shelf: Arc<dyn Shelf>, silence: Duration) -> Self {
        Self { shelf, silence }
    }

    fn silent(&self) -> String {
        format!("it said nothing for {} s", self.silence.as_secs_f32())
    }
}

type Opened = Result<(u64, Option<u64>), PlaceFault>;

impl Shelf for Patient {
    fn open(&self, digest: &Digest, from: u64) -> Result<Arriving, PlaceFault> {
        let (answer, answered) = sync_channel(1);
        let (pieces, bytes) = sync_channel(2);
        let (shelf, digest) = (Arc::clone(&self.shelf), digest.clone());
        let asking = thread::Builder::new().name("fetching a program".to_owned());
        let asked = asking.spawn(move || read_on(&*shelf, &digest, from, &answer, &pieces));
        asked.map_err(|error| PlaceFault::Away(error.to_string()))?;
        let (from, size) = match answered.recv_timeout(self.silence) {
            Ok(opened) => opened?,
            Err(RecvTimeoutError::Timeout) => return Err(PlaceFault::Away(self.silent())),
            Err(RecvTimeoutError::Disconnected) => return Err(PlaceFault::Away("asking it failed".to_owned())),
        };
        let waiting = Waiting { bytes, piece: Vec::new(), at: 0, silence: self.silence, silent: self.silent() };
        Ok(Arriving { from, size, bytes: Box::new(waiting) })
    }
}

/// Asks the place and hands over what it says, until nobody listens any more.
fn read_on(
    shelf: &dyn Shelf,
    digest: &Digest,
    from: u64,
    answer: &SyncSender<Opened>,
    pieces: &SyncSender<io::Result<Vec<u8>>>,
) {
    let mut arriving = match shelf.open(digest, from) {
        Ok(arriving) => arriving,
        Err(fault) => {
            // Who gave up needs no answer.
            let _ = answer.send(Err(fault));
            return;
        }
    };
    if answer.send(Ok((arriving.from, arriving.size))).is_err() {
        return;
    }
    loop {
        let mut piece = vec![0; PIECE];
        let read = arriving.bytes.read(&mut piece).map(|read| {
            piece.truncate(read);
            piece
        });
        let last = !matches!(&read, Ok(piece) if !piece.is_empty());
        if pieces.send(read).is_err() || last {
            return;
        }
    }
}

/// The bytes as the thread hands them over.
struct Waiting {
    bytes: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    silence: Duration,
    silent: String,
}

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            self.piece = match self.bytes.recv_timeout(self.silence) {
                Ok(piece) => piece?,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, self.silent.clone()));
                }
                Err(RecvTimeoutError::Disconnected) => Vec::new(),
            };
            self.at = 0;
        }
        let rest = &self.piece[self.at..];
        let taken = rest.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}
