//! A request on its way in: bounded by its route's time; its body, plain or gzipped, by its route's limit and by the
//! memory for all bodies.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use nightshift_wire::code;

use crate::budget::{Budget, Held};
use crate::clock::Stopwatch;
use crate::refused::Refused;

/// The slowest network that a body comes over: the least bandwidth that a grid may be given.
const SLOWEST_BYTES_PER_SECOND: u64 = 1_000;

/// So much is unpacked before others have their turn.
const UNPACKED_AT_ONCE: usize = 4 * 1024;

/// How large the bodies of a route may be, how long each next piece of one may take, and where their memory comes from.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) budget: Arc<Budget>,
    pub(crate) limit: usize,
    pub(crate) silence: Duration,
    /// After this time a body has to arrive at a rate, however slow.
    pub(crate) unhurried: Duration,
}

/// An allowance with what one request holds of it; given back when the request is answered.
#[derive(Clone)]
pub(super) struct Holding {
    allowance: Allowance,
    held: Arc<Mutex<Option<Held>>>,
}

impl Holding {
    /// What a request holds whose route has an allowance. `doing` says what is being read.
    pub(super) fn of(doing: &str, request: &Request) -> Result<Holding, Refused> {
        request.extensions().get::<Holding>().cloned().ok_or_else(|| Refused::internal(doing))
    }

    /// Holds enough for a body that takes so many bytes in all, what it is read into included.
    pub(super) async fn grow(&self, doing: &str, bytes: usize) -> Result<(), Refused> {
        let budget = &self.allowance.budget;
        if bytes > budget.bytes() {
            let detail = format!(
                "{doing}: it has so many values that they would take {bytes} bytes of memory, which is more than the {} for \
                 all bodies; send less at once",
                budget.bytes()
            );
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, detail));
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut held = held.unwrap_or_else(|| Held::nothing(budget));
        held.grow(bytes).await.map_err(|_| too_many(doing))?;
        self.keep(held);
        Ok(())
    }

    /// Keeps what is held until the request is answered.
    fn keep(&self, held: Held) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

/// What the requests of a group of routes are bounded by.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) allowance: Allowance,
    pub(super) time: Duration,
}

/// A layer: requests of these routes are given up after a time, which is the longer the larger the body is said to be, and
/// their bodies are read within the allowance.
pub(super) async fn within(State(bounds): State<Bounds>, mut request: Request, next: Next) -> Response {
    let Bounds { allowance, time } = bounds;
    let time = time + on_its_way(length(request.headers()), allowance.limit);
    let held = Arc::new(Mutex::new(None));
    request.extensions_mut().insert(Holding { allowance, held: Arc::clone(&held) });
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let answered = tokio::time::timeout(time, next.run(request)).await;
    drop(held);
    answered.unwrap_or_else(|_| {
        let seconds = time.as_secs_f32();
        let detail = format!("{method} {}: not finished within {seconds} s; try again later", uri.path());
        Refused::new(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, detail).into_response()
    })
}

/// The whole body of a request whose route has an allowance. `doing` says what is being read.
pub(crate) async fn whole(doing: &str, request: Request) -> Result<Vec<u8>, Refused> {
    let holding = Holding::of(doing, &request)?;
    let Allowance { budget, limit, silence, unhurried } = holding.allowance.clone();
    let (begun, mut arrived) = (Stopwatch::start(), 0);
    let encoding = encoding(doing, request.headers())?;
    if length(request.headers()).is_some_and(|length| length > limit as u64) {
        return Err(too_large(doing, limit));
    }
    let mut held = Held::nothing(&budget);
    let mut unpacked = Unpacked::new(encoding, limit);
    let mut pieces = Body::into_data_stream(request.into_body());
    loop {
        let next = tokio::time::timeout(silence, pieces.next()).await.map_err(|_| {
            let detail = format!("{doing}: nothing more of it came for {} s; send it again", silence.as_secs_f32());
            Refused::new(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, detail)
        })?;
        let Some(piece) = next else { break };
        arrived += piece.as_ref().map_or(0, |piece| piece.len());
        if is_too_slow(Duration::from_secs_f64(begun.seconds()), unhurried, arrived) {
            let detail =
                format!("{doing}: it comes at less than {SLOWEST_BYTES_PER_SECOND} bytes a second; send it again");
            return Err(Refused::new(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, detail));
        }
        let piece = piece.map_err(|_| Refused::bad_request(format!("{doing}: it broke off")))?;
        for part in piece.chunks(UNPACKED_AT_ONCE) {
            unpacked.take(part).map_err(|fault| fault.refuse(doing, limit))?;
            held.grow(unpacked.size()).await.map_err(|_| too_many(doing))?;
        }
    }
    let body = unpacked.finish().map_err(|fault| fault.refuse(doing, limit))?;
    holding.keep(held);
    Ok(body)
}

/// Whether a body of which so much arrived holds its place for too long: a large one is announced with a word.
fn is_too_slow(since: Duration, unhurried: Duration, arrived: usize) -> bool {
    let hurried = since.saturating_sub(unhurried);
    (arrived as u64) < hurried.as_secs().saturating_mul(SLOWEST_BYTES_PER_SECOND)
}

/// How long a body may be on its way.
fn on_its_way(announced: Option<u64>, limit: usize) -> Duration {
    Duration::from_secs(announced.unwrap_or(0).min(limit as u64) / SLOWEST_BYTES_PER_SECOND)
}

/// How many bytes of body are announced.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Plain,
    Gzip,
}

fn encoding(doing: &str, headers: &HeaderMap) -> Result<Encoding, Refused> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(Encoding::Plain) };
    match encoding.to_str().map(str::to_ascii_lowercase).as_deref() {
        Ok("identity") => Ok(Encoding::Plain),
        Ok("gzip" | "x-gzip") => Ok(Encoding::Gzip),
        _ => {
            let detail = format!("{doing}: it is encoded as {encoding:?}; send it as it is, or as gzip");
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, detail))
        }
    }
}

fn too_large(doing: &str, limit: usize) -> Refused {
    let detail = format!("{doing}: it is larger than this server takes, which is {limit} bytes");
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, detail)
}

fn too_many(doing: &str) -> Refused {
    Refused::away(format!("{doing}: too many large bodies arrive at once; send it again later"))
}

/// Why a body is not taken.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    TooLarge,
    NoGzip,
}

impl Fault {
    fn refuse(self, doing: &str, limit: usize) -> Refused {
        match self {
            Fault::TooLarge => too_large(doing, limit),
            Fault::NoGzip => Refused::bad_request(format!("{doing}: it is said to be gzip, and cannot be unpacked")),
        }
    }
}

/// A body as far as it has arrived, unpacked.
enum Unpacked {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Unpacked {
    fn new(encoding: Encoding, limit: usize) -> Unpacked {
        let bounded = Bounded { bytes: Vec::new(), limit };
        match encoding {
            Encoding::Plain => Unpacked::Plain(bounded),
            Encoding::Gzip => Unpacked::Gzip(Box::new(MultiGzDecoder::new(bounded))),
        }
    }

    fn bounded(&self) -> &Bounded {
        match self {
            Unpacked::Plain(bounded) => bounded,
            Unpacked::Gzip(gzip) => gzip.get_ref(),
        }
    }

    fn size(&self) -> usize {
        self.bounded().bytes.len()
    }

    fn take(&mut self, part: &[u8]) -> Result<(), Fault> {
        let taken = match self {
            Unpacked::Plain(bounded) => bounded.write_all(part),
            Unpacked::Gzip(gzip) => gzip.write_all(part),
        };
        taken.map_err(|_| self.fault())
    }

    fn finish(mut self) -> Result<Vec<u8>, Fault> {
        let ended = match &mut self {
            Unpacked::Plain(_) => Ok(()),
            Unpacked::Gzip(gzip) => gzip.try_finish(),
        };
        ended.map_err(|_| self.fault())?;
        Ok(match self {
            Unpacked::Plain(bounded) => bounded.bytes,
            Unpacked::Gzip(mut gzip) => std::mem::take(&mut gzip.get_mut().bytes),
        })
    }

    fn fault(&self) -> Fault {
        if self.bounded().full() { Fault::TooLarge } else { Fault::NoGzip }
    }
}

/// Bytes up to a limit; one more than that is an error, and is remembered.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Bounded {
    fn full(&self) -> bool {
        self.bytes.len() > self.limit
    }
}

impl Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let room = (self.limit + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&part[..part.len().min(room)]);
        if self.full() { Err(io::Error::other("too large")) } else { Ok(part.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::Metrics;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text).expect("a vector takes it");
        packed.finish().expect("a vector takes it")
    }

    fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
        let mut unpacked = Unpacked::new(Encoding::Gzip, limit);
        packed.chunks(7).try_for_each(|part| unpacked.take(part))?;
        unpacked.finish()
    }

    #[test]
    fn what_is_packed_is_unpacked_and_a_body_may_be_just_as_large_as_the_limit() {
        assert_eq!(unpack(&gzip(b"0123456789"), 10), Ok(b"0123456789".to_vec()));
        assert_eq!(unpack(&gzip(b"0123456789"), 9), Err(Fault::TooLarge));
        let two = [gzip(b"01234"), gzip(b"56789")].concat();
        assert_eq!(unpack(&two, 10), Ok(b"0123456789".to_vec()), "gzip may come in several members");
    }

    #[test]
    fn a_bomb_takes_no_more_memory_than_the_limit() {
        let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
        assert!(bomb.len() < 400_000);
        let mut unpacked = Unpacked::new(Encoding::Gzip, 1_000);
        let refused = bomb.chunks(UNPACKED_AT_ONCE).find_map(|part| unpacked.take(part).err());
        assert_eq!(refused, Some(Fault::TooLarge));
        assert!(unpacked.size() <= 1_001);
    }

    #[test]
    fn what_is_no_gzip_or_breaks_off_is_refused() {
        let packed = gzip(b"0123456789");
        assert_eq!(unpack(b"{\"worker\": 1}", 100), Err(Fault::NoGzip));
        assert_eq!(unpack(&packed[..packed.len() - 9], 100), Err(Fault::NoGzip));
    }

    #[test]
    fn a_body_has_as_long_as_the_slowest_network_needs_for_it() {
        assert_eq!(on_its_way(Some(10_000_000), 64_000_000), Duration::from_secs(10_000));
        assert_eq!(on_its_way(Some(u64::MAX), 2_000), Duration::from_secs(2), "a larger one is refused");
        assert_eq!(on_its_way(None, 64_000_000), Duration::ZERO);
    }

    #[test]
    fn a_body_that_trickles_is_given_up_however_large_it_is_said_to_be() {
        let (seconds, unhurried) = (Duration::from_secs, Duration::from_secs(900));
        assert!(!is_too_slow(seconds(900), unhurried, 1));
        assert!(!is_too_slow(seconds(1_000), unhurried, 100_000));
        assert!(is_too_slow(seconds(1_000), unhurried, 99_999));
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let budget = Budget::new(1_000, Duration::ZERO, Metrics::new());
        let allowance = Allowance { budget, limit: 10, silence: Duration::from_millis(1), unhurried: Duration::ZERO };
        let never = Body::from_stream(futures_util::stream::pending::<io::Result<Vec<u8>>>());
        let mut request = Request::new(never);
        request.extensions_mut().insert(Holding { allowance, held: Arc::default() });
        let refused = whole("reading results", request).await.expect_err("nothing comes");
        let problem = refused.problem();
        assert_eq!((problem.status, problem.code.as_str()), (408, code::BAD_REQUEST));
        assert_eq!(problem.detail, "reading results: nothing more of it came for 0.001 s; send it again");
    }

    proptest! {
        #[test]
        fn no_bytes_are_unpacked_to_more_than_the_limit(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let packed = [&gzip(b"x")[..10], &bytes].concat();
            if let Ok(unpacked) = unpack(&packed, 50) {
                prop_assert!(unpacked.len() <= 50);
            }
        }
    }
}
