//! A client for HTTP/2 with prior knowledge that costs next to nothing: ten thousand of them share a thread, and the
//! machine with what they measure.
//!
//! One connection, a few requests open at once. It knows what the job server answers with and nothing else. No header
//! of ours is indexed or compressed, and the server is told to index none (a table of 0 bytes), so that the one header
//! that is read, the status, stands in the first bytes of an answer. Windows are opened as wide as they go at the beginning;
//! what is sent is so little that the server's are never used up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, oneshot};
use tokio::task::AbortHandle;

/// What a connection begins with: the preface, settings (no header table, no pushed answers, the widest stream window)
/// and the rest of the widest connection window.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff\
    \x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\x00\x00";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// Of DATA and HEADERS; for SETTINGS and PING it means that they are acknowledged.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

const HEAD: usize = 9;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// 0 for one that is none of 200, 204, 400, 404 and 500; the body says more.
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// The connection ended, and no answer will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended;

/// A connection to the job server.
pub(super) struct Connection {
    writing: Rc<Mutex<OwnedWriteHalf>>,
    open: Rc<Streams>,
    next: Cell<u32>,
    reader: AbortHandle,
}

/// The requests that are not answered yet.
#[derive(Default)]
struct Streams {
    open: RefCell<Vec<Stream>>,
    ended: Cell<bool>,
}

struct Stream {
    number: u32,
    answer: Answer,
    to: oneshot::Sender<Answer>,
}

impl Connection {
    /// Connects; what is answered is read by a task of its own on this thread.
    pub(super) async fn open(address: &str) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        let (reading, mut writing) = stream.into_split();
        writing.write_all(BEGIN).await.context("beginning to speak HTTP/2")?;
        let (writing, open) = (Rc::new(Mutex::new(writing)), Rc::new(Streams::default()));
        let reader = tokio::task::spawn_local({
            let (writing, open) = (Rc::clone(&writing), Rc::clone(&open));
            async move {
                // How it ended makes no difference: whoever waits for an answer hears that none will come.
                let _ = read(reading, &writing, &open).await;
                open.ended.set(true);
                open.open.borrow_mut().clear();
            }
        });
        Ok(Connection { writing, open, next: Cell::new(1), reader: reader.abort_handle() })
    }

    /// Sends a request, and waits for its answer.
    pub(super) async fn ask(&self, request: &Request) -> Result<Answer, Ended> {
        let (to, answered) = oneshot::channel();
        {
            // Streams have to begin in the order of their numbers.
            let mut writing = self.writing.lock().await;
            if self.open.ended.get() {
                return Err(Ended);
            }
            let number = self.next.replace(self.next.get() + 2);
            let answer = Answer { status: 0, body: Vec::new() };
            self.open.open.borrow_mut().push(Stream { number, answer, to });
            writing.write_all(&request.frames(number)).await.map_err(|_| Ended)?;
        }
        answered.await.map_err(|_| Ended)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A request, ready to be sent as often as needed.
pub(super) struct Request {
    headers: Vec<u8>,
    body: Vec<u8>,
}

impl Request {
    pub(super) fn get(path: &str) -> Request {
        Request { headers: headers(0x82, path), body: Vec::new() }
    }

    /// A request with a body in JSON.
    pub(super) fn post(path: &str, body: Vec<u8>) -> Request {
        let mut headers = headers(0x83, path);
        // content-type, by its number in the static table.
        headers.extend([0x0f, 0x10]);
        text(&mut headers, "application/json");
        Request { headers, body }
    }

    fn frames(&self, stream: u32) -> Vec<u8> {
        let mut frames = Vec::with_capacity(2 * HEAD + self.headers.len() + self.body.len());
        let alone = if self.body.is_empty() { END_STREAM } else { 0 };
        frame(&mut frames, HEADERS, END_HEADERS | alone, stream, &self.headers);
        if !self.body.is_empty() {
            frame(&mut frames, DATA, END_STREAM, stream, &self.body);
        }
        frames
    }
}

/// Method, scheme, path and host, none of them to be remembered.
fn headers(method: u8, path: &str) -> Vec<u8> {
    let mut headers = vec![method, 0x86, 0x04];
    text(&mut headers, path);
    headers.push(0x01);
    text(&mut headers, "localhost");
    headers
}

/// Plain text with its length.
fn text(headers: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()).unwrap_or(u8::MAX) {
        short @ 0..0x7f => headers.push(short),
        // Of more than 254 bytes there is nothing here.
        long => headers.extend([0x7f, long - 0x7f]),
    }
    headers.extend_from_slice(text.as_bytes());
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    to.extend([length[1], length[2], length[3], kind, flags]);
    to.extend(stream.to_be_bytes());
    to.extend_from_slice(content);
}

async fn read(mut from: OwnedReadHalf, writing: &Mutex<OwnedWriteHalf>, open: &Streams) -> Result<()> {
    let mut received = Vec::with_capacity(1024);
    loop {
        let mut taken = 0;
        while let Some((kind, flags, stream, content)) = next(&received[taken..]) {
            taken += HEAD + content.len();
            match kind {
                SETTINGS | PING if flags & ACK == 0 => {
                    let mut answer = Vec::new();
                    frame(&mut answer, kind, ACK, 0, if kind == PING { content } else { &[] });
                    writing.lock().await.write_all(&answer).await?;
                }
                GOAWAY => bail!("the job server ends the connection"),
                HEADERS | DATA | RST_STREAM => open.take(kind, flags, stream, content)?,
                _ => {}
            }
        }
        received.drain(..taken);
        let read = from.read_buf(&mut received).await?;
        ensure!(read > 0, "the job server closed the connection");
    }
}

/// The first frame, once it is whole: its kind, flags, stream and content.
fn next(received: &[u8]) -> Option<(u8, u8, u32, &[u8])> {
    let &[a, b, c, kind, flags, d, e, f, g] = received.first_chunk::<HEAD>()?;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let content = received.get(HEAD..HEAD + length)?;
    Some((kind, flags, u32::from_be_bytes([d & 0x7f, e, f, g]), content))
}

impl Streams {
    fn take(&self, kind: u8, flags: u8, stream: u32, content: &[u8]) -> Result<()> {
        let mut open = self.open.borrow_mut();
        let Some(place) = open.iter().position(|one| one.number == stream) else { return Ok(()) };
        ensure!(kind != RST_STREAM, "the job server broke off an answer");
        let content = unpadded(kind, flags, content).context("a frame is shorter than its padding")?;
        match kind {
            DATA => open[place].answer.body.extend_from_slice(content),
            _ => open[place].answer.status = status(content),
        }
        if flags & END_STREAM != 0 {
            let Stream { answer, to, .. } = open.swap_remove(place);
            // Who asked may have gone.
            let _ = to.send(answer);
        }
        Ok(())
    }
}

fn unpadded(kind: u8, flags: u8, content: &[u8]) -> Option<&[u8]> {
    let (padding, content) = match flags & PADDED {
        0 => (0, content),
        _ => content.split_first().map(|(&padding, rest)| (usize::from(padding), rest))?,
    };
    let content = content.get(..content.len().checked_sub(padding)?)?;
    if kind == HEADERS && flags & PRIORITY != 0 { content.get(5..) } else { Some(content) }
}

/// The status that a block of headers begins with, when it has a number of its own in the static table.
fn status(headers: &[u8]) -> u16 {
    // Changes of the table's size may come first.
    let first = headers.iter().find(|&&byte| byte & 0xe0 != 0x20);
    match first {
        Some(0x88) => 200,
        Some(0x89) => 204,
        Some(0x8c) => 400,
        Some(0x8d) => 404,
        Some(0x8e) => 500,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_frames_that_a_server_reads() {
        let request = Request::post("/v1/claims", b"{}".to_vec());
        let frames = request.frames(3);
        let (kind, flags, stream, headers) = next(&frames).expect("whole");
        assert_eq!((kind, flags, stream), (HEADERS, END_HEADERS, 3));
        assert_eq!(headers[..4], [0x83, 0x86, 0x04, 10]);
        let (kind, flags, stream, body) = next(&frames[HEAD + headers.len()..]).expect("whole");
        assert_eq!((kind, flags, stream, body), (DATA, END_STREAM, 3, &b"{}"[..]));
        let alone = Request::get(&"x".repeat(200)).frames(1);
        let (_, flags, _, headers) = next(&alone).expect("whole");
        assert_eq!((flags, &headers[3..5]), (END_HEADERS | END_STREAM, &[0x7f, 200 - 0x7f][..]));
        assert_eq!(next(&alone[..HEAD + 3]), None);
    }

    #[test]
    fn an_answer_is_put_together_from_its_frames() {
        let streams = Streams::default();
        let (to, mut answered) = oneshot::channel();
        let answer = Answer { status: 0, body: Vec::new() };
        streams.open.borrow_mut().push(Stream { number: 5, answer, to });
        streams.take(DATA, END_STREAM, 1, b"of another").expect("passed over");
        streams.take(HEADERS, END_HEADERS, 5, &[0x20, 0x88]).expect("taken");
        streams.take(DATA, PADDED, 5, b"\x02{}..").expect("taken");
        streams.take(DATA, END_STREAM, 5, b"\n").expect("taken");
        assert_eq!(answered.try_recv(), Ok(Answer { status: 200, body: b"{}\n".to_vec() }));
        assert!(streams.open.borrow().is_empty());
    }

    #[test]
    fn a_broken_off_answer_and_a_frame_shorter_than_its_padding_are_faults() {
        let streams = Streams::default();
        let (to, _answered) = oneshot::channel();
        streams.open.borrow_mut().push(Stream { number: 1, answer: Answer { status: 0, body: Vec::new() }, to });
        assert!(streams.take(DATA, PADDED, 1, b"\x09{}").is_err());
        assert!(streams.take(RST_STREAM, 0, 1, &[0; 4]).is_err());
        assert_eq!(status(&[0x48, 0x82]), 0, "a status that is none of the usual ones");
    }
}
