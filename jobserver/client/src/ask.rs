//! One request: asked of the servers in turn, each wait with its limit, the answer read as what it must be.

use std::time::Duration;

use bytes::Bytes;
use nightshift_wire::Problem;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ClientError;
use crate::error::{Cause, root_cause};
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
    /// How long the server was asked to wait by itself.
    server_waits: Duration,
}

impl Ask {
    pub(crate) fn get(doing: impl Into<String>, path: impl Into<String>) -> Ask {
        Ask::new(doing, Method::GET, path)
    }

    pub(crate) fn post(doing: impl Into<String>, path: impl Into<String>, body: &impl Serialize) -> Ask {
        let body = serde_json::to_vec(body).expect("wire types have text keys only and always serialize");
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
            server_waits: Duration::ZERO,
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
}

/// Asks the servers in turn, until one answers for good.
pub(crate) async fn ask(
    http: &reqwest::Client,
    servers: &Servers,
    timeouts: Timeouts,
    ask: Ask,
) -> Result<Answer, ClientError> {
    let mut last: Option<ClientError> = None;
    for (index, server) in servers.in_turn() {
        match ask_one(http, server, timeouts, &ask).await {
            Ok(response) if hands_over(response.status()) => {
                let answer = Answer::new(&ask.doing, server, response, timeouts);
                last = Some(answer.refusal().await);
            }
            Ok(response) => {
                servers.answered(index);
                return Answer::new(&ask.doing, server, response, timeouts).accept().await;
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

async fn ask_one(http: &reqwest::Client, server: &Url, timeouts: Timeouts, ask: &Ask) -> Result<Response, Cause> {
    let mut request = http.request(ask.method.clone(), at(server, &ask.path)).query(&ask.query);
    if let Some(body) = &ask.body {
        request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone());
    }
    let patience = ask.patience(timeouts);
    match tokio::time::timeout(patience, request.send()).await {
        Ok(sent) => sent.map_err(|error| root_cause(&error)),
        Err(_) => Err(silent(patience)),
    }
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
        Answer { doing: doing.to_owned(), server: name(server), response, silence: timeouts.silence }
    }

    /// The answer itself when the server did what it was asked, its refusal otherwise.
    pub(crate) async fn accept(self) -> Result<Answer, ClientError> {
        if self.response.status().is_success() { Ok(self) } else { Err(self.refusal().await) }
    }

    /// Whether the server said that there is nothing to say (204).
    pub(crate) fn is_empty(&self) -> bool {
        self.response.status() == StatusCode::NO_CONTENT
    }

    /// The body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let strange = self.strange();
        let body = Download::new(self).all().await?;
        serde_json::from_slice(&body).map_err(|error| {
            tracing::debug!(%error, "an answer is not the JSON it must be");
            strange
        })
    }

    async fn refusal(self) -> ClientError {
        let strange = self.strange();
        match self.json::<Problem>().await {
            Ok(problem) => ClientError::Refused { problem },
            Err(error @ ClientError::BrokeOff { .. }) => error,
            Err(_) => strange,
        }
    }

    fn strange(&self) -> ClientError {
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
