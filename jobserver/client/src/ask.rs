//! One request: asked of the servers in turn, each wait with its limit, the answer read as what it must be.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nightshift_wire::Problem;
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ClientError;
use crate::bandwidth::{self, Cap};
use crate::error::{Cause, root_cause};
use crate::gzip::{self, Arriving, BadBody};
use crate::servers::{Servers, name};
use crate::stream::Download;

/// How long the client waits for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer once the request is sent, and for each further piece of its body. A claim waits
    /// for as long as it asks the server to wait, and then for this.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { connect: Duration::from_secs(3), silence: Duration::from_secs(30) }
    }
}

impl Timeouts {
    /// The same limit for connecting and for each wait after it.
    pub fn all(limit: Duration) -> Timeouts {
        Timeouts { connect: limit, silence: limit }
    }
}

/// The slowest network on which a body of ours still counts as under way.
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1024;

/// A request, before it is known which server gets it.
pub(crate) struct Ask {
    doing: String,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Bytes>,
    /// The first byte of the answer that is wanted, when it is not the first there is.
    from: Option<u64>,
    /// How long the server was asked to wait by itself.
    server_waits: Duration,
    bulk: Bulk,
    /// The longest JSON that is taken as the answer, in bytes.
    limit: usize,
}

/// Whether a request carries many records or results: then it is compressed and kept under the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bulk {
    No,
    Yes,
}

/// The longest answer, when it is no list and holds no records.
const USUAL_LIMIT: usize = 16 << 20;
/// The longest answer that holds records or a list.
const LONG_LIMIT: usize = 512 << 20;

impl Ask {
    pub(crate) fn get(doing: impl Into<String>, path: impl Into<String>) -> Ask {
        Ask::new(doing, Method::GET, path)
    }

    pub(crate) fn post(doing: impl Into<String>, path: impl Into<String>, body: &impl Serialize) -> Ask {
        let body = serde_json::to_vec(body).expect("wire types have text keys only and always serialize");
        Ask::post_json(doing, path, body)
    }

    /// With a body that is JSON already.
    pub(crate) fn post_json(doing: impl Into<String>, path: impl Into<String>, body: Vec<u8>) -> Ask {
        Ask { body: Some(body.into()), ..Ask::new(doing, Method::POST, path) }
    }

    pub(crate) fn delete(doing: impl Into<String>, path: impl Into<String>) -> Ask {
        Ask::new(doing, Method::DELETE, path)
    }

    fn new(doing: impl Into<String>, method: Method, path: impl Into<String>) -> Ask {
        Ask {
            doing: doing.into(),
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            from: None,
            server_waits: Duration::ZERO,
            bulk: Bulk::No,
            limit: USUAL_LIMIT,
        }
    }

    /// Goes on with what a person or a machine made up, whatever letters it has.
    pub(crate) fn below(mut self, segment: &str) -> Ask {
        self.path.push('/');
        for byte in segment.bytes() {
            match byte {
                b'-' | b'_' | b'~' => self.path.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => self.path.push(char::from(byte)),
                _ => self.path.push_str(&format!("%{byte:02X}")),
            }
        }
        self
    }

    /// The request, or its answer, carries many records or results.
    pub(crate) fn bulk(mut self) -> Ask {
        self.bulk = Bulk::Yes;
        self.long()
    }

    /// The answer may be long.
    pub(crate) fn long(mut self) -> Ask {
        self.limit = LONG_LIMIT;
        self
    }

    /// The answer begins at this byte.
    pub(crate) fn from(mut self, from: u64) -> Ask {
        self.from = Some(from);
        self
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Ask {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn server_waits(mut self, wait: Duration) -> Ask {
        self.server_waits = wait;
        self
    }

    /// From sending the first byte to the head of the answer.
    fn patience(&self, timeouts: Timeouts) -> Duration {
        let length = self.body.as_ref().map_or(0, |body| body.len() as u64);
        timeouts.silence + self.server_waits + Duration::from_secs(length / SLOWEST_BYTES_PER_SECOND)
    }
}

/// A server's answer that is not a refusal.
pub(crate) struct Answer {
    pub(crate) doing: String,
    pub(crate) server: String,
    pub(crate) response: Response,
    pub(crate) silence: Duration,
    limit: usize,
    /// The cap that the body is read under.
    cap: Option<Arc<Cap>>,
}

/// How a client asks.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) http: reqwest::Client,
    pub(crate) servers: Servers,
    pub(crate) timeouts: Timeouts,
    pub(crate) cap: Arc<Cap>,
}

/// Asks the servers in turn, until one answers for good.
pub(crate) async fn ask(line: &Line, ask: Ask) -> Result<Answer, ClientError> {
    let Line { servers, timeouts, .. } = line;
    let mut last: Option<ClientError> = None;
    let mut packed = None;
    for (index, server) in servers.in_turn() {
        let mut asked = ask_one(line, (index, server), &ask, &mut packed).await;
        if matches!(&asked, Ok(response) if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE && packed.is_some())
        {
            // A server that takes no compressed body, whatever it said before.
            servers.takes_gzip(index, false);
            asked = ask_one(line, (index, server), &ask, &mut packed).await;
        }
        match asked {
            Ok(response) if hands_over(response.status()) => {
                let answer = Answer::new(&ask.doing, server, response, *timeouts);
                last = Some(answer.refusal().await);
            }
            Ok(response) => {
                servers.answered(index);
                if speaks_gzip(response.headers()) {
                    servers.takes_gzip(index, true);
                }
                let answer = Answer::new(&ask.doing, server, response, *timeouts).within(ask.limit);
                return if ask.bulk == Bulk::Yes { answer.under(&line.cap) } else { answer }.accept().await;
            }
            Err(cause) => {
                tracing::debug!(server = name(server), %cause, "{}: no answer", ask.doing);
                // A server that said why it cannot says more than one that said nothing.
                last = last.or(Some(ClientError::Away { doing: ask.doing.clone(), tried: servers.names(), cause }));
            }
        }
    }
    Err(last.unwrap_or(ClientError::NoServer))
}

/// Whether a server has shown that it takes compressed bodies: it sent one, or said so.
fn speaks_gzip(headers: &HeaderMap) -> bool {
    let names_gzip = |name| headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(|v| v.contains("gzip")));
    names_gzip(header::CONTENT_ENCODING) || names_gzip(header::ACCEPT_ENCODING)
}

/// Asks one server. A long body goes out compressed when the server is elsewhere and takes that; `packed` keeps it for the next server.
async fn ask_one(
    line: &Line,
    (index, server): (usize, &Url),
    ask: &Ask,
    packed: &mut Option<Bytes>,
) -> Result<Response, Cause> {
    let mut request = line.http.request(ask.method.clone(), at(server, &ask.path)).query(&ask.query);
    if ask.bulk == Bulk::Yes && !line.servers.is_here(index) {
        request = request.header(header::ACCEPT_ENCODING, "gzip");
    }
    if let Some(from) = ask.from {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    if let Some(body) = &ask.body {
        request = request.header(header::CONTENT_TYPE, "application/json");
        let mut body = body.clone();
        let takes_gzip = line.servers.is_known_to_take_gzip(index) && !line.servers.is_here(index);
        *packed = packed.take().filter(|_| takes_gzip);
        if ask.bulk == Bulk::Yes && body.len() >= gzip::LEAST && takes_gzip {
            let compressed = match packed.take() {
                Some(compressed) => compressed,
                None => compress(body).await?,
            };
            body = packed.insert(compressed).clone();
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        request = if ask.bulk == Bulk::Yes && line.cap.is_set() {
            request.header(header::CONTENT_LENGTH, body.len()).body(under_cap(body, Arc::clone(&line.cap)))
        } else {
            request.body(body)
        };
    }
    let patience = ask.patience(line.timeouts)
        + match (&ask.body, ask.bulk) {
            (Some(body), Bulk::Yes) => line.cap.time_for(body.len() as u64),
            _ => Duration::ZERO,
        };
    match tokio::time::timeout(patience, request.send()).await {
        Ok(sent) => sent.map_err(|error| root_cause(&error)),
        Err(_) => Err(silent(patience)),
    }
}

/// Compresses a body without keeping heartbeats waiting.
async fn compress(body: Bytes) -> Result<Bytes, Cause> {
    let compressed = tokio::task::spawn_blocking(move || gzip::compress(&body)).await?;
    Ok(compressed?.into())
}

/// A body that goes out piece by piece, as the cap allows.
fn under_cap(body: Bytes, cap: Arc<Cap>) -> reqwest::Body {
    let pieces = futures_util::stream::unfold((body, cap), |(mut body, cap)| async {
        if body.is_empty() {
            return None;
        }
        let piece = body.split_to(body.len().min(bandwidth::PIECE));
        cap.pass(piece.len()).await;
        Some((Ok::<_, std::convert::Infallible>(piece), (body, cap)))
    });
    reqwest::Body::wrap_stream(pieces)
}

/// A path of the API on a server.
pub(crate) fn at(server: &Url, path: &str) -> String {
    format!("{server}{path}")
}

pub(crate) fn silent(patience: Duration) -> Cause {
    format!("it said nothing for {} s", patience.as_secs_f32()).into()
}

fn hands_over(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

impl Answer {
    pub(crate) fn new(doing: &str, server: &Url, response: Response, timeouts: Timeouts) -> Answer {
        let (limit, cap) = (USUAL_LIMIT, None);
        Answer { doing: doing.to_owned(), server: name(server), response, silence: timeouts.silence, limit, cap }
    }

    /// The longest JSON that is taken.
    fn within(self, limit: usize) -> Answer {
        Answer { limit, ..self }
    }

    /// The body is read as the cap allows.
    fn under(self, cap: &Arc<Cap>) -> Answer {
        Answer { cap: Some(Arc::clone(cap)), ..self }
    }

    /// The answer itself when the server did what it was asked, its refusal otherwise.
    pub(crate) async fn accept(self) -> Result<Answer, ClientError> {
        if self.response.status().is_success() { Ok(self) } else { Err(self.refusal().await) }
    }

    /// Whether the server said that there is nothing to say (204).
    pub(crate) fn is_empty(&self) -> bool {
        self.response.status() == StatusCode::NO_CONTENT
    }

    /// The body as JSON; it is unpacked, and no longer than the limit.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        self.value_and_json().await.map(|(value, _)| value)
    }

    /// The same, with the JSON itself.
    pub(crate) async fn value_and_json<T: DeserializeOwned>(self) -> Result<(T, Vec<u8>), ClientError> {
        let strange = self.strange();
        let bad = {
            let (doing, server) = (self.doing.clone(), self.server.clone());
            move |cause: BadBody| ClientError::BadBody { doing, server, cause: root_cause(&cause) }
        };
        let gzip = self.response.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
        let announced = self.response.content_length().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        let mut arriving = if gzip { Arriving::gzip(self.limit) } else { Arriving::plain(self.limit, announced) };
        let cap = self.cap.clone();
        let mut download = Download::new(self);
        while let Some(piece) = download.chunk().await? {
            if let Some(cap) = &cap {
                cap.pass(piece.len()).await;
            }
            if let Err(error) = arriving.take(&piece) {
                return Err(bad(error));
            }
        }
        let body = match arriving.finish() {
            Ok(body) => body,
            Err(error) => return Err(bad(error)),
        };
        match serde_json::from_slice(&body) {
            Ok(value) => Ok((value, body)),
            Err(error) => {
                tracing::debug!(%error, "an answer is not the JSON it must be");
                Err(strange)
            }
        }
    }

    async fn refusal(self) -> ClientError {
        let strange = self.strange();
        match self.json::<Problem>().await {
            Ok(problem) => ClientError::Refused { problem },
            Err(error @ (ClientError::BrokeOff { .. } | ClientError::BadBody { .. })) => error,
            Err(_) => strange,
        }
    }

    pub(crate) fn strange(&self) -> ClientError {
        ClientError::Strange {
            doing: self.doing.clone(),
            server: self.server.clone(),
            status: self.response.status().as_u16(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_path_stays_one_part_of_it() {
        assert_eq!(Ask::get("x", "v1/workers").below("0193-w1").path, "v1/workers/0193-w1");
        assert_eq!(Ask::get("x", "v1/workers").below("../ä?").path, "v1/workers/%2E%2E%2F%C3%A4%3F");
    }

    #[test]
    fn patience_grows_with_the_wait_asked_for_and_with_the_body() {
        let timeouts = Timeouts::all(Duration::from_secs(2));
        assert_eq!(Ask::get("x", "p").patience(timeouts), Duration::from_secs(2));
        let claim = Ask::post("x", "p", &()).server_waits(Duration::from_secs(20));
        assert_eq!(claim.patience(timeouts), Duration::from_secs(22));
        let large = Ask::post("x", "p", &"x".repeat(1024 * 1024));
        assert_eq!(large.patience(timeouts), Duration::from_secs(18));
    }
}
