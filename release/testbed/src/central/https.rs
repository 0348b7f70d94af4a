//! A central repository over https: a small TLS front to `git http-backend`, with an authority of its own.
//!
//! One thread per connection and one request per connection; it ends with its handle.
#![allow(clippy::disallowed_methods, reason = "git http-backend is started here, and waited for")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Authority;

/// A repository served over `https://`, for the host `localhost`.
#[derive(Debug)]
pub struct Https {
    url: String,
    authority: Vec<u8>,
    port: u16,
    ended: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

/// What a server goes by.
struct Site {
    backend: PathBuf,
    base: PathBuf,
    login: Option<String>,
    tls: Arc<ServerConfig>,
}

impl Https {
    /// Serves the repository in `folder`, with a certificate for `name`; to those who know `login` (in base64, as HTTP has
    /// it), when there is one. `None` where git has no http-backend.
    pub(super) fn start(folder: &Path, name: &str, login: Option<&str>) -> Result<Option<Https>> {
        let Ok(asked) = Command::new("git").arg("--exec-path").output() else { return Ok(None) };
        let backend = Path::new(String::from_utf8(asked.stdout)?.trim()).join("git-http-backend");
        if !backend.exists() {
            return Ok(None);
        }
        let (authority, tls) = certificates(name)?;
        let base = folder.parent().context("a folder")?.to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let url = format!("https://localhost:{port}/{}", folder.file_name().context("a name")?.display());
        let ended = Arc::new(AtomicBool::new(false));
        let site = Arc::new(Site { backend, base, login: login.map(str::to_owned), tls: Arc::new(tls) });
        let end = Arc::clone(&ended);
        let listening = std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                let site = Arc::clone(&site);
                // A client that does not like the certificate hangs up: that is its business.
                std::thread::spawn(move || drop(site.serve(connection)));
            }
        });
        Ok(Some(Https { url, authority, port, ended, listening: Some(listening) }))
    }

    /// The repository's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority's certificate, in DER.
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// An authority, and what a server with a certificate of its for `name` goes by.
fn certificates(name: &str) -> Result<(Vec<u8>, ServerConfig)> {
    let authority = Authority::new()?;
    let signed = authority.sign(name)?;
    let chain = vec![CertificateDer::from(signed.der)];
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signed.key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret)?;
    Ok((authority.der().to_vec(), tls))
}

impl Site {
    /// Answers one request.
    fn serve(&self, connection: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(Arc::clone(&self.tls))?, connection));
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (method, target) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let (mut length, mut kind, mut login) = (0, String::new(), None);
        loop {
            let mut header = String::new();
            stream.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "content-type" => value.trim().clone_into(&mut kind),
                "authorization" => login = value.trim().strip_prefix("Basic ").map(str::to_owned),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let answer = match self.login.is_some() && self.login != login {
            true => b"Status: 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\r\n".to_vec(),
            false => self.ask_git(&method, &target, &kind, &body)?,
        };
        let stream = stream.get_mut();
        stream.write_all(&as_http(&answer))?;
        stream.conn.send_close_notify();
        Ok(stream.flush()?)
    }

    /// What `git http-backend` answers, as a CGI program does.
    fn ask_git(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> Result<Vec<u8>> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut git = Command::new(&self.backend)
            .env("GIT_PROJECT_ROOT", &self.base)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", kind)
            .env("CONTENT_LENGTH", body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        git.stdin.take().context("a pipe")?.write_all(body)?;
        Ok(git.wait_with_output()?.stdout)
    }
}

/// The answer of a CGI program as HTTP has it.
fn as_http(answer: &[u8]) -> Vec<u8> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]);
    let body = answer.get(end + 4..).unwrap_or_default();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let others = head.lines().filter(|line| !line.starts_with("Status: ")).map(|line| format!("{line}\r\n"));
    let others: String = others.collect();
    let head = format!("HTTP/1.1 {status}\r\n{others}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
