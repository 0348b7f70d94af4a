//! The first bytes of a connection say which HTTP is spoken on it: HTTP/2 begins with a preface of its own.
//!
//! The bytes read to find out are kept in front of the rest.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The HTTP spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// A connection of which the first bytes were read already.
#[derive(Debug)]
pub(crate) struct Begun<S> {
    first: [u8; PREFACE.len()],
    /// The part of `first` that is still to be read.
    left: std::ops::Range<u8>,
    stream: S,
}

impl<S> Begun<S> {
    /// A connection of which nothing was read: what is spoken on it was agreed upon otherwise.
    pub(crate) fn agreed(stream: S) -> Begun<S> {
        Begun { first: PREFACE, left: 0..0, stream }
    }
}

/// Reads until it is clear what is spoken.
pub(crate) async fn begin<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(Begun<S>, Protocol)> {
    let mut first = [0; PREFACE.len()];
    let mut read = 0;
    let protocol = loop {
        let more = stream.read(&mut first[read..]).await?;
        read += more;
        if first[..read] != PREFACE[..read] || more == 0 {
            break Protocol::Http1;
        }
        if read == PREFACE.len() {
            break Protocol::Http2;
        }
    };
    let left = 0..u8::try_from(read).expect("a preface is short");
    Ok((Begun { first, left, stream }, protocol))
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left.is_empty() || into.remaining() == 0 {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let from = usize::from(self.left.start);
        let taken = into.remaining().min(self.left.len());
        into.put_slice(&self.first[from..from + taken]);
        self.left.start += u8::try_from(taken).expect("a preface is short");
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_is_spoken_shows_in_the_first_bytes_and_none_of_them_is_lost() {
        let preface = std::str::from_utf8(&PREFACE).expect("text");
        let h2 = format!("{preface}frames");
        for (said, spoken) in [
            (h2.as_str(), Protocol::Http2),
            ("GET / HTTP/1.1\r\n\r\n", Protocol::Http1),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r ", Protocol::Http1),
            ("PRI", Protocol::Http1),
            ("", Protocol::Http1),
        ] {
            let (mut client, server) = tokio::io::duplex(3);
            let talk = async {
                client.write_all(said.as_bytes()).await.expect("written");
                client.shutdown().await.expect("shut down");
            };
            let listen = async {
                let (mut stream, protocol) = begin(server).await.expect("read");
                let mut heard = String::new();
                stream.read_to_string(&mut heard).await.expect("read");
                (protocol, heard)
            };
            let ((), heard) = tokio::join!(talk, listen);
            assert_eq!(heard, (spoken, said.to_owned()));
        }
    }
}
