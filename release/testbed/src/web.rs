//! A web server that has files by their digest, well or badly, on a free port of loopback. It ends with its handle.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

/// How the server answers one request for a file it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// As it should, also from the middle on.
    Well,
    /// All of it, whatever part was asked for.
    Whole,
    /// Says how long it is, and ends after so many bytes of what was asked for.
    BreaksOffAfter(usize),
    /// Says nothing of its length, and ends after so many bytes.
    Shorter(usize),
    /// With so many bytes more than it has, and says so.
    Longer(usize),
    /// With so many bytes more than it has, and says nothing of its length.
    LongerUnsaid(usize),
    /// With one bit of the byte at this place turned.
    FlippedAt(usize),
    /// With as many zeros.
    Zeros,
    /// With so many bytes, then nothing, and the connection stays open.
    SilentAfter(usize),
    /// With another part than was asked for.
    OtherPart,
    /// With this status and a page.
    Status(u16),
}

/// One request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The last part of its path.
    pub name: String,
    /// The first byte asked for.
    pub from: usize,
}

#[derive(Default)]
struct Inside {
    files: BTreeMap<String, Vec<u8>>,
    /// How the next requests are answered; afterwards well.
    answers: VecDeque<Answering>,
    asked: Vec<Asked>,
    /// Connections that are kept open.
    kept: Vec<TcpStream>,
}

/// The server.
pub struct Web {
    inside: Arc<Mutex<Inside>>,
    ending: Arc<AtomicBool>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// A server without files.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start() -> Result<Web> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening")?;
        let address = listener.local_addr()?;
        let (inside, ending) = (Arc::<Mutex<Inside>>::default(), Arc::new(AtomicBool::new(false)));
        let (in_thread, ending_in_thread) = (Arc::clone(&inside), Arc::clone(&ending));
        let thread = thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if ending_in_thread.load(Ordering::SeqCst) {
                    break;
                }
                // A client that goes away is its own business.
                let _ = answer(connection, &in_thread);
            }
        });
        Ok(Web { inside, ending, address, thread: Some(thread) })
    }

    /// Its address, with a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}/programs/", self.address)
    }

    /// Gives it a file.
    pub fn put(&self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        lock(&self.inside).files.insert(name.into(), bytes.into());
    }

    /// How the next requests are answered, one after the other; then all others well.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answering>) {
        lock(&self.inside).answers = answers.into_iter().collect();
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.inside).asked.clone()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        for connection in lock(&self.inside).kept.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(mut connection: TcpStream, inside: &Mutex<Inside>) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let name = first.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned();
    let mut from = 0;
    for line in lines {
        let line = line?;
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    let (file, answering) = {
        let mut inside = lock(inside);
        inside.asked.push(Asked { name: name.clone(), from });
        let answering = inside.answers.pop_front().unwrap_or(Answering::Well);
        (inside.files.get(&name).cloned(), answering)
    };
    let Some(mut file) = file else {
        return connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if let Answering::Status(status) = answering {
        return write!(connection, "HTTP/1.1 {status} x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy");
    }
    match answering {
        Answering::Whole => from = 0,
        Answering::Longer(more) | Answering::LongerUnsaid(more) => file.extend(vec![b'+'; more]),
        Answering::FlippedAt(place) => file[place] ^= 1,
        Answering::Zeros => file.fill(0),
        _ => {}
    }
    let (size, said) = (file.len(), if answering == Answering::OtherPart { from + 1 } else { from });
    let body = file.get(from..).unwrap_or_default();
    let status = if from == 0 && said == 0 { "200 OK" } else { "206 Partial Content" };
    let length = match answering {
        Answering::Shorter(_) | Answering::LongerUnsaid(_) => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let range = match status.starts_with("206") {
        true => format!("Content-Range: bytes {said}-{}/{size}\r\n", size.max(1) - 1),
        false => String::new(),
    };
    write!(connection, "HTTP/1.1 {status}\r\n{length}{range}Connection: close\r\n\r\n")?;
    match answering {
        Answering::BreaksOffAfter(bytes) | Answering::Shorter(bytes) => {
            connection.write_all(&body[..bytes.min(body.len())])?;
        }
        Answering::SilentAfter(bytes) => {
            connection.write_all(&body[..bytes.min(body.len())])?;
            lock(inside).kept.push(connection);
        }
        _ => connection.write_all(body)?,
    }
    Ok(())
}
