//! A client for HTTP/1.1 that costs next to nothing: the load generator shares the machine with what it measures.
//!
//! One connection, one request at a time, kept alive. It knows what the job server answers with and nothing else: a
//! length or no body. The product's own client is `jobserver/client`.

use std::io::Write;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection to the job server.
pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: &str) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, received: Vec::with_capacity(4096) })
    }

    /// Sends a request that [`post`] or [`get`] made; the status and the body of the answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).await.context("sending a request")?;
        self.received.clear();
        loop {
            let read = self.stream.read_buf(&mut self.received).await.context("reading an answer")?;
            ensure!(read > 0, "the job server closed a connection in the middle of an answer");
            if let Some(head) = Head::of(&self.received)? {
                let end = head.length + head.body;
                while self.received.len() < end {
                    let read = self.stream.read_buf(&mut self.received).await.context("reading an answer")?;
                    ensure!(read > 0, "the job server closed a connection in the middle of an answer");
                }
                ensure!(self.received.len() == end, "an answer is longer than it says");
                return Ok((head.status, &self.received[head.length..]));
            }
        }
    }
}

/// A request with a body in JSON.
pub(super) fn post(request: &mut Vec<u8>, path: impl std::fmt::Display, body: &[u8]) {
    request.clear();
    let length = body.len();
    let _ = write!(
        request,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    request.extend_from_slice(body);
}

/// A request without a body.
pub(super) fn get(request: &mut Vec<u8>, path: impl std::fmt::Display) {
    request.clear();
    let _ = write!(request, "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of the head.
    length: usize,
    /// Bytes of the body.
    body: usize,
}

impl Head {
    /// `None` as long as it is not whole.
    fn of(received: &[u8]) -> Result<Option<Head>> {
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&received[..end]).context("the head of an answer is not text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let Some(status) = status else { bail!("an answer begins without a status: {text}") };
        let mut body = 0;
        for line in lines {
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                body = value.parse().with_context(|| format!("the length {value:?} of an answer"))?;
            }
        }
        Ok(Some(Head { status, length: end + 4, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_long_the_answer_is() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(Head::of(answer).expect("good"), Some(Head { status: 200, length: answer.len() - 2, body: 2 }));
        assert_eq!(Head::of(b"HTTP/1.1 200 OK\r\ncontent-le").expect("good so far"), None);
        let empty = Head::of(b"HTTP/1.1 204 No Content\r\n\r\n").expect("good").expect("whole");
        assert_eq!((empty.status, empty.body), (204, 0));
        assert!(Head::of(b"hello\r\n\r\n").is_err());
    }
}
