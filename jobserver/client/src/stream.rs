//! Streams both ways: a CSV on its way to the server, an answer on its way here. Neither is ever held whole.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use reqwest::Response;

use crate::ClientError;
use crate::ask::{Answer, silent};
use crate::error::{Cause, root_cause};

/// The body of an answer, piece by piece. An end is the real end: a body that breaks off is an error.
#[derive(Debug)]
pub struct Download {
    doing: String,
    server: String,
    response: Response,
    silence: Duration,
}

impl Download {
    pub(crate) fn new(answer: Answer) -> Download {
        Download { doing: answer.doing, server: answer.server, response: answer.response, silence: answer.silence }
    }

    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// [`ClientError::BrokeOff`] when the answer ends early or the server falls silent.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let cause = match tokio::time::timeout(self.silence, self.response.chunk()).await {
            Ok(Ok(chunk)) => return Ok(chunk),
            Ok(Err(error)) => root_cause(&error),
            Err(_) => silent(self.silence),
        };
        Err(ClientError::BrokeOff { doing: self.doing.clone(), server: self.server.clone(), cause })
    }

    /// The rest of the body at once.
    ///
    /// # Errors
    /// As [`Download::chunk`].
    pub async fn all(mut self) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// What is known about an upload from outside, while `reqwest` holds its stream.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pieces: AtomicU64,
    source_is_slow: AtomicBool,
    source_failed: Mutex<Option<Cause>>,
}

impl Progress {
    /// A value that changes whenever the server took a further piece.
    pub(crate) fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// Whether the upload waits for its source and not for the server.
    pub(crate) fn source_is_slow(&self) -> bool {
        self.source_is_slow.load(Ordering::Relaxed)
    }

    /// Why the source could not be read to its end, if so.
    pub(crate) fn source_failed(&self) -> Option<Cause> {
        self.source_failed.lock().expect("nothing panics while it is held").take()
    }
}

/// A stream that notes how it gets on.
pub(crate) struct Upload<S> {
    source: Pin<Box<S>>,
    progress: Arc<Progress>,
}

impl<S> Upload<S> {
    pub(crate) fn new(source: S) -> (Upload<S>, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        (Upload { source: Box::pin(source), progress: Arc::clone(&progress) }, progress)
    }
}

impl<S, E> Stream for Upload<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<Cause>,
{
    type Item = Result<Bytes, Cause>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let polled = this.source.as_mut().poll_next(context);
        this.progress.pieces.fetch_add(1, Ordering::Relaxed);
        this.progress.source_is_slow.store(polled.is_pending(), Ordering::Relaxed);
        polled.map(|item| {
            item.map(|piece| {
                piece.map_err(|error| {
                    *this.progress.source_failed.lock().expect("nothing panics while it is held") = Some(error.into());
                    "the source failed".into()
                })
            })
        })
    }
}
