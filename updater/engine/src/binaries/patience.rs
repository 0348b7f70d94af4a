//! A limit for every wait at a place: until it answers, and until its next bytes come.
//!
//! A thread of its own asks and reads; who waits for it gives up after the limit, and looks several times a second whether
//! it is to go on at all. The thread ends with its next byte, or when the place's own limit is over.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use nightshift_manifest::binaries::Digest;

use super::Watch;
use super::faults::PlaceFault;
use super::shelf::{Arriving, Shelf};

/// Bytes read at once.
const PIECE: usize = 64 * 1024;
/// Nobody waits longer than this without being asked whether to go on.
const AT_ONCE: Duration = Duration::from_millis(200);

/// A place that is waited for no longer than that.
pub(super) struct Patient {
    shelf: Arc<dyn Shelf>,
    silence: Duration,
    watch: Watch,
}

impl Patient {
    pub(super) fn new(shelf: Arc<dyn Shelf>, silence: Duration, watch: Watch) -> Self {
        Self { shelf, silence, watch }
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
        let mut waited = Duration::ZERO;
        let (from, size) = loop {
            let slice = AT_ONCE.min(self.silence.saturating_sub(waited));
            match answered.recv_timeout(slice) {
                Ok(opened) => break opened?,
                Err(RecvTimeoutError::Timeout) if !(self.watch)(from) => {
                    return Err(PlaceFault::Away("it was not waited for".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) if waited + slice >= self.silence => {
                    return Err(PlaceFault::Away(self.silent()));
                }
                Err(RecvTimeoutError::Timeout) => waited += slice,
                Err(RecvTimeoutError::Disconnected) => return Err(PlaceFault::Away("asking it failed".to_owned())),
            }
        };
        let (silence, silent) = (self.silence, self.silent());
        let waiting = Waiting { bytes, piece: Vec::new(), at: 0, waited: Duration::ZERO, silence, silent };
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
    waited: Duration,
    silence: Duration,
    silent: String,
}

impl Read for Waiting {
    /// Interrupted several times a second while nothing comes, so that the reader can look whether to go on.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let slice = AT_ONCE.min(self.silence.saturating_sub(self.waited));
            self.piece = match self.bytes.recv_timeout(slice) {
                Ok(piece) => piece?,
                Err(RecvTimeoutError::Timeout) if self.waited + slice >= self.silence => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, self.silent.clone()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.waited += slice;
                    return Err(io::ErrorKind::Interrupted.into());
                }
                Err(RecvTimeoutError::Disconnected) => Vec::new(),
            };
            (self.at, self.waited) = (0, Duration::ZERO);
        }
        let rest = &self.piece[self.at..];
        let taken = rest.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}
