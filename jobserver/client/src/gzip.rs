//! Compressed bodies, both ways. Levels and sizes are chosen for JSON on a worker that has better things to do: the
//! fastest level takes most of it off already.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzDecoder, GzEncoder};

/// So much memory is taken for a body before it is there, whatever the server announces, in bytes.
const MOST_AHEAD: usize = 16 << 20;
/// A smaller body is not worth compressing.
pub(crate) const LEAST: usize = 1024;

/// Compresses a body.
pub(crate) fn compress(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// A body that arrives, compressed or not, and that may not grow beyond a limit: a few kilobytes can unfold to gigabytes.
pub(crate) struct Arriving {
    body: Body,
    limit: usize,
}

enum Body {
    Plain(Vec<u8>),
    Gzip(Box<GzDecoder<Bounded>>),
}

/// Why a body cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBody {
    /// It is longer than the limit.
    #[error("it is longer than {0} MiB")]
    TooLong(usize),
    /// It is no gzip, or not a whole one.
    #[error("it cannot be unpacked")]
    Unpacking(#[source] io::Error),
}

impl Arriving {
    /// A body that comes as it is; the server says that it has so many bytes, or nothing.
    pub(crate) fn plain(limit: usize, announced: usize) -> Arriving {
        Arriving { body: Body::Plain(Vec::with_capacity(announced.min(MOST_AHEAD).min(limit))), limit }
    }

    pub(crate) fn gzip(limit: usize) -> Arriving {
        Arriving { body: Body::Gzip(Box::new(GzDecoder::new(Bounded { bytes: Vec::new(), limit }))), limit }
    }

    /// Takes the next piece.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), BadBody> {
        match &mut self.body {
            Body::Plain(bytes) if bytes.len() + piece.len() > self.limit => Err(self.too_long()),
            Body::Plain(bytes) => {
                bytes.extend_from_slice(piece);
                Ok(())
            }
            Body::Gzip(decoder) => decoder.write_all(piece).map_err(|error| self.fault(error)),
        }
    }

    /// The whole body, unpacked.
    pub(crate) fn finish(self) -> Result<Vec<u8>, BadBody> {
        let limit = self.limit;
        match self.body {
            Body::Plain(bytes) => Ok(bytes),
            Body::Gzip(decoder) => decoder.finish().map(|bounded| bounded.bytes).map_err(|error| fault(error, limit)),
        }
    }

    fn too_long(&self) -> BadBody {
        BadBody::TooLong(self.limit >> 20)
    }

    fn fault(&self, error: io::Error) -> BadBody {
        fault(error, self.limit)
    }
}

fn fault(error: io::Error, limit: usize) -> BadBody {
    if error.kind() == io::ErrorKind::FileTooLarge { BadBody::TooLong(limit >> 20) } else { BadBody::Unpacking(error) }
}

struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(mut arriving: Arriving, bytes: &[u8]) -> Result<Vec<u8>, BadBody> {
        for piece in bytes.chunks(100) {
            arriving.take(piece)?;
        }
        arriving.finish()
    }

    #[test]
    fn a_body_arrives_as_it_was_sent() {
        let body = b"{\"id\":1,\"ok\":{}}".repeat(1000);
        let packed = compress(&body).expect("compresses");
        assert!(packed.len() < body.len() / 10);
        assert_eq!(through(Arriving::gzip(1 << 20), &packed).expect("arrives"), body);
        assert_eq!(through(Arriving::plain(1 << 20, 0), &body).expect("arrives"), body);
    }

    #[test]
    fn a_body_that_unfolds_beyond_the_limit_is_refused() {
        let packed = compress(&vec![b' '; 8 << 20]).expect("compresses");
        assert!(packed.len() < 64 << 10);
        assert!(matches!(through(Arriving::gzip(1 << 20), &packed), Err(BadBody::TooLong(1))));
        assert!(matches!(through(Arriving::plain(1 << 20, 2 << 20), &vec![b' '; 2 << 20]), Err(BadBody::TooLong(1))));
    }

    #[test]
    fn a_body_that_is_torn_or_no_gzip_is_refused() {
        let packed = compress(&b"x".repeat(10_000)).expect("compresses");
        assert!(matches!(through(Arriving::gzip(1 << 20), &packed[..packed.len() - 3]), Err(BadBody::Unpacking(_))));
        assert!(matches!(through(Arriving::gzip(1 << 20), b"plain text"), Err(BadBody::Unpacking(_))));
    }
}
