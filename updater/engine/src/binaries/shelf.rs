//! Where the bytes of programs lie, by their digest: folders and web servers here, the job server's artifact store by
//! whoever talks to it.
//!
//! None of them is believed. That is why the certificate of a web server is not judged: no secret is sent there, what comes
//! back counts by its digest alone, and plain HTTP would do as well.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use nightshift_manifest::binaries::Digest;
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::TlsConfig;

use super::FetchLimits;
use super::faults::PlaceFault;

/// A place that has files by the SHA-256 of their bytes.
pub trait Shelf: Send + Sync {
    /// The bytes of a file from the `from`-th on, or from the first one if the place cannot do that.
    ///
    /// # Errors
    /// When the place cannot be asked, does not have the file or answers oddly.
    fn open(&self, digest: &Digest, from: u64) -> Result<Arriving, PlaceFault>;
}

/// Bytes on their way.
pub struct Arriving {
    /// The place of the first of them in the file.
    pub from: u64,
    /// How long the whole file is, when the place says so.
    pub size: Option<u64>,
    /// The bytes.
    pub bytes: Box<dyn Read + Send>,
}

/// A folder in which a file's name is its digest.
pub(super) struct Folder(pub(super) PathBuf);

impl Shelf for Folder {
    fn open(&self, digest: &Digest, from: u64) -> Result<Arriving, PlaceFault> {
        let away = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound if self.0.is_dir() => PlaceFault::Missing,
            _ => PlaceFault::Away(error.to_string()),
        };
        let mut file = File::open(self.0.join(digest.as_str())).map_err(away)?;
        let metadata = file.metadata().map_err(away)?;
        if !metadata.is_file() {
            return Err(PlaceFault::Odd("it is no plain file".to_owned()));
        }
        file.seek(SeekFrom::Start(from)).map_err(away)?;
        Ok(Arriving { from, size: Some(metadata.len()), bytes: Box::new(file) })
    }
}

/// A web server: the digest is the last part of the address.
pub(super) struct Web {
    base: String,
    agent: Agent,
}

/// Redirects that are followed.
const MOST_REDIRECTS: u32 = 3;

impl Web {
    pub(super) fn new(base: &str, limits: FetchLimits) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(MOST_REDIRECTS)
            .timeout_connect(Some(limits.silence))
            .timeout_global(Some(limits.total))
            .user_agent(concat!("nightshift/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().disable_verification(true).build())
            .build();
        Self { base: base.to_owned(), agent: config.into() }
    }
}

impl Shelf for Web {
    fn open(&self, digest: &Digest, from: u64) -> Result<Arriving, PlaceFault> {
        let request = self.agent.get(format!("{}{digest}", self.base)).header(header::ACCEPT_ENCODING, "identity");
        let request = if from > 0 { request.header(header::RANGE, format!("bytes={from}-")) } else { request };
        let response = request.call().map_err(|error| PlaceFault::Away(error.to_string()))?;
        let (starts, size) = match response.status() {
            StatusCode::OK => (0, number(&response, header::CONTENT_LENGTH)),
            StatusCode::PARTIAL_CONTENT => content_range(&response)
                .filter(|(starts, _)| *starts == from)
                .ok_or_else(|| PlaceFault::Odd("it is another part than was asked for".to_owned()))?,
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(PlaceFault::Missing),
            // More is here than the place has: what it has is of another size.
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return self.open(digest, 0),
            status => return Err(PlaceFault::Odd(format!("status {}", status.as_u16()))),
        };
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(Arriving { from: starts, size, bytes: Box::new(body) })
    }
}

fn number<B>(response: &Response<B>, name: header::HeaderName) -> Option<u64> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

/// `bytes 5-9/10`: where it begins, and how long the whole is.
fn content_range<B>(response: &Response<B>) -> Option<(u64, Option<u64>)> {
    let text = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (starts, _) = range.split_once('-')?;
    Some((starts.parse().ok()?, whole.parse().ok()))
}
