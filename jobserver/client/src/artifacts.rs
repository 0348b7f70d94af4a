//! The verbs for artifacts: files that the job server keeps by the SHA-256 of their bytes.
//!
//! The server is not believed about the bytes: who fetches them hashes them.

use bytes::Bytes;
use futures_util::Stream;
use nightshift_wire::Artifact;
use reqwest::StatusCode;
use reqwest::header;

use crate::ask::{Answer, Ask, at};
use crate::client::send_watched;
use crate::error::Cause;
use crate::servers::name;
use crate::stream::Upload;
use crate::{Client, ClientError, Download};

/// An artifact on its way here.
#[derive(Debug)]
pub struct ArtifactPart {
    /// The place of the first byte of `bytes` in the file: the one asked for, or 0.
    pub from: u64,
    /// How long the whole file is, when the server says so.
    pub size: Option<u64>,
    /// The bytes.
    pub bytes: Download,
}

impl Client {
    /// An artifact from byte `from` on.
    ///
    /// # Errors
    /// See [`Client::claim`]; reading the stream can fail too.
    pub async fn artifact(&self, sha256: &str, from: u64) -> Result<ArtifactPart, ClientError> {
        let ask = Ask::get(format!("fetching artifact {sha256}"), "v1/artifacts").below(sha256);
        let answer = self.ask(if from > 0 { ask.from(from) } else { ask }).await?;
        let text = |name| answer.response.headers().get(name).and_then(|value| value.to_str().ok());
        let (from, size) = match answer.response.status() {
            StatusCode::PARTIAL_CONTENT => match text(header::CONTENT_RANGE).and_then(range) {
                Some(part) => part,
                None => return Err(answer.strange()),
            },
            _ => (0, text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok())),
        };
        Ok(ArtifactPart { from, size, bytes: Download::new(answer) })
    }

    /// Every artifact.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn artifacts(&self) -> Result<Vec<Artifact>, ClientError> {
        self.ask(Ask::get("listing the artifacts", "v1/artifacts").long()).await?.json().await
    }

    /// Deletes an artifact.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn delete_artifact(&self, sha256: &str) -> Result<(), ClientError> {
        self.ask(Ask::delete(format!("deleting artifact {sha256}"), "v1/artifacts").below(sha256)).await?;
        Ok(())
    }

    /// Puts a file of `size` bytes under the SHA-256 of its bytes, as it comes. Repeating it is safe.
    ///
    /// # Errors
    /// See [`Client::claim`]; also [`ClientError::Input`] when `input` fails.
    pub async fn put_artifact<S, E>(&self, sha256: &str, size: u64, input: S) -> Result<Artifact, ClientError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        let doing = format!("putting artifact {sha256}");
        self.ask(Ask::get(doing.clone(), "healthz")).await?;
        let Some((_, server)) = self.0.servers.in_turn().next() else { return Err(ClientError::NoServer) };
        let (upload, progress) = Upload::new(input);
        let request = self
            .0
            .http
            .put(at(server, &format!("v1/artifacts/{sha256}")))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, size)
            .body(reqwest::Body::wrap_stream(upload));
        match send_watched(request, &progress, self.0.timeouts.silence).await {
            Ok(response) => Answer::new(&doing, server, response, self.0.timeouts).accept().await?.json().await,
            Err(cause) => Err(match progress.source_failed() {
                Some(cause) => ClientError::Input { doing, cause },
                None => ClientError::Away { doing, tried: name(server), cause },
            }),
        }
    }
}

/// `bytes 5-9/10`: where it begins, and how long the whole is.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, whole.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn the_part_of_an_answer_is_read() {
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(range("bytes */10"), None);
        assert_eq!(range("5-9/10"), None);
    }
}
