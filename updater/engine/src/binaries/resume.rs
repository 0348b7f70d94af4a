//! self_update's transport: what is here already, then the rest from a place, which is written down as it comes.
//!
//! So an attempt that breaks off at any byte, by whatever cause, goes on there the next time, at this place or another. No
//! byte beyond the signed size is taken, and a file of another size is not begun.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightshift_manifest::binaries::Binary;
use self_update::http_client::{HeaderMap, HttpClient, HttpResponse};

use super::faults::PlaceFault;
use super::shelf::Shelf;
use super::{Failed, Watch};
use crate::clock;

/// A transport for one program from one place.
#[derive(Clone)]
pub(super) struct Resuming(Arc<Inner>);

struct Inner {
    shelf: Arc<dyn Shelf>,
    binary: Binary,
    partial: File,
    /// Bytes that were here at the beginning.
    here: u64,
    watch: Watch,
    /// When to end, in milliseconds since this machine started.
    ends: u64,
    fault: Mutex<Option<Failed>>,
    /// Whether bytes of an earlier attempt are part of this one.
    went_on: AtomicBool,
}

impl Resuming {
    pub(super) fn new(
        shelf: Arc<dyn Shelf>,
        binary: Binary,
        partial: &Path,
        watch: Watch,
        ends: u64,
    ) -> io::Result<Self> {
        let partial = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(partial)?;
        let here = partial.metadata()?.len();
        if here > binary.size {
            partial.set_len(0)?;
        }
        let here = if here > binary.size { 0 } else { here };
        let went_on = AtomicBool::new(here > 0);
        Ok(Self(Arc::new(Inner { shelf, binary, partial, here, watch, ends, fault: Mutex::default(), went_on })))
    }

    /// Whether bytes of an earlier attempt are part of this one.
    pub(super) fn went_on(&self) -> bool {
        self.0.went_on.load(Ordering::Relaxed)
    }

    /// Why it broke off, when it did.
    pub(super) fn take_fault(&self) -> Option<Failed> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Inner {
    /// Notes why it broke off. What self_update hears of it does not matter.
    fn fail(&self, why: Failed) -> io::Error {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        io::Error::other("noted elsewhere")
    }

    fn there(&self, fault: PlaceFault) -> io::Error {
        self.fail(Failed::There(fault))
    }

    /// Whether to go on with so many bytes here.
    fn goes_on(&self, at: u64) -> bool {
        (self.watch)(at) && clock::moment().since_boot_ms < self.ends
    }

    /// Asks the place for what is missing.
    fn ask(&self) -> io::Result<(u64, Option<Box<dyn Read + Send>>)> {
        let size = self.binary.size;
        if self.here == size {
            return Ok((size, None));
        }
        let opened = self.shelf.open(&self.binary.sha256, self.here);
        if !self.goes_on(self.here) {
            return Err(self.fail(Failed::Ended));
        }
        let arriving = opened.map_err(|fault| self.there(fault))?;
        if let Some(found) = arriving.size.filter(|found| *found != size) {
            return Err(self.there(PlaceFault::OtherSize { found, size }));
        }
        let from = match arriving.from {
            from if from == self.here => from,
            0 => {
                let emptied = self.partial.set_len(0);
                emptied.map_err(|source| self.fail(Failed::Here { doing: "emptying", source }))?;
                self.went_on.store(false, Ordering::Relaxed);
                0
            }
            _ => return Err(self.there(PlaceFault::Odd("it is another part than was asked for".to_owned()))),
        };
        Ok((from, Some(arriving.bytes)))
    }
}

impl HttpClient for Resuming {
    fn get(&self, _: &str, _: &HeaderMap, _: Option<Duration>) -> self_update::Result<Box<dyn HttpResponse>> {
        let (here, rest) = self.0.ask().map_err(self_update::Error::Io)?;
        Ok(Box::new(Pouring { inner: Arc::clone(&self.0), headers: HeaderMap::new(), at: 0, here, rest }))
    }
}

/// The bytes in order: first those that are here, then those that come.
struct Pouring {
    inner: Arc<Inner>,
    headers: HeaderMap,
    at: u64,
    here: u64,
    /// The rest; `None` when all is here.
    rest: Option<Box<dyn Read + Send>>,
}

impl HttpResponse for Pouring {
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    fn body(self: Box<Self>) -> Box<dyn Read> {
        self
    }
}

impl Pouring {
    fn read_here(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.here - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let read = self.inner.partial.read_at(&mut buffer[..most], self.at);
        read.map_err(|source| self.inner.fail(Failed::Here { doing: "reading", source }))
    }

    fn read_rest(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (inner, size) = (Arc::clone(&self.inner), self.inner.binary.size);
        let Some(rest) = &mut self.rest else { return Ok(0) };
        let broke_off = |at, why| inner.there(PlaceFault::BrokeOff { at, size, why });
        // One byte more than there may be is read, to notice a file that goes on.
        let most = usize::try_from(size - self.at + 1).unwrap_or(usize::MAX).min(buffer.len());
        let read = loop {
            if !inner.goes_on(self.at) {
                return Err(inner.fail(Failed::Ended));
            }
            match rest.read(&mut buffer[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| broke_off(self.at, error.to_string()))?,
            }
        };
        let end = self.at + read as u64;
        if end > size {
            return Err(inner.there(PlaceFault::OtherSize { found: end, size }));
        }
        if read == 0 && self.at < size {
            return Err(broke_off(self.at, "it ended there".to_owned()));
        }
        let written = inner.partial.write_all_at(&buffer[..read], self.at);
        written.map_err(|source| inner.fail(Failed::Here { doing: "writing", source }))?;
        Ok(read)
    }
}

impl Read for Pouring {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = if self.at < self.here { self.read_here(buffer)? } else { self.read_rest(buffer)? };
        self.at += read as u64;
        Ok(read)
    }
}
