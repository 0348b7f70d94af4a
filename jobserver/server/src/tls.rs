//! TLS in front of the server's connections: rustls with ring, certificates of the grid's own [`authority`].
//!
//! 1. The first byte says whether somebody speaks TLS at all. Who speaks plain HTTP is told so, in plain HTTP.
//! 2. The handshake, the wait for its first byte included, has a time limit: somebody who says nothing is left.
//! 3. Which HTTP is spoken is agreed in the handshake (ALPN).
//!
//! The certificate in use is made new long before its end, while the server runs.

pub mod authority;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightshift_wire::Moment;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock::{Clock, timestamp};
use crate::connection::Protocol;
use authority::{Authority, AuthorityError};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A certificate is used for so long; it is good for longer.
const USED_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// The first byte of a TLS connection: a handshake.
const TLS_BEGINS: u8 = 22;

const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\
content-length: 110\r\n\r\n\
{\"code\":\"bad_request\",\"status\":400,\"detail\":\"this port speaks TLS: write https:// instead of http:// please\"}\n";

/// What makes connections safe.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    handshake: Duration,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS under certificates for these names, made by the authority when they are needed.
    ///
    /// # Errors
    /// When no certificate can be made for them.
    pub fn new(authority: Authority, names: Vec<String>, clock: Clock) -> Result<Tls, AuthorityError> {
        let first = Arc::new(authority.issue(&names, timestamp(clock.now()))?);
        let made_at = clock.now();
        let certificates = Arc::new(Certificates { authority, names, clock, current: Mutex::new((first, made_at)) });
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("ring has ciphers for the default versions");
        let mut config = builder.with_no_client_auth().with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Tls { acceptor: Arc::new(config).into(), handshake: HANDSHAKE })
    }

    /// The same with another limit for the handshake.
    pub fn handshake_within(self, limit: Duration) -> Tls {
        Tls { handshake: limit, ..self }
    }

    /// Makes a connection safe, and says which HTTP was agreed.
    ///
    /// # Errors
    /// When the other side does not speak TLS, is not content with the certificate, or says nothing for too long.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Protocol)> {
        let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long");
        timeout(self.handshake, self.shake_hands(stream)).await.map_err(silent)?
    }

    async fn shake_hands(&self, mut stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Protocol)> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != TLS_BEGINS {
            stream.write_all(SPEAK_TLS).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("it speaks no TLS"));
        }
        let stream = self.acceptor.accept(stream).await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((stream, protocol))
    }
}

/// The certificate in use, made new when it was used for long.
struct Certificates {
    authority: Authority,
    names: Vec<String>,
    clock: Clock,
    current: Mutex<(Arc<CertifiedKey>, Moment)>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Whether a certificate is to be made new: it was used for long, or the clock went back before it.
fn is_due(made_at: Moment, now: Moment) -> bool {
    now < made_at || now - made_at >= USED_MS
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.clock.now();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if is_due(current.1, now) {
            match self.authority.issue(&self.names, timestamp(now)) {
                Ok(new) => *current = (Arc::new(new), now),
                Err(error) => tracing::error!("making a new certificate: {error}"),
            }
        }
        Some(Arc::clone(&current.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_new_long_before_its_end_and_when_the_clock_went_back() {
        assert!(!is_due(1_000, 1_000) && !is_due(1_000, USED_MS));
        assert!(is_due(1_000, 1_000 + USED_MS) && is_due(1_000, 999));
    }

    #[test]
    fn the_answer_to_plain_http_is_as_long_as_it_says() {
        let text = std::str::from_utf8(SPEAK_TLS).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<nightshift_wire::Problem>(body).expect("a problem");
    }
}
