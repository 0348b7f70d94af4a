//! Answers that are made piece by piece while they are sent, in the memory of one piece.

use std::fmt::Display;

use axum::body::Body;
use futures_util::stream;

use crate::refused::chain;

/// The body made of the pieces that `next` gives until it gives none. A fault on the way is logged and breaks the
/// connection, so that nobody takes a part for the whole.
pub(super) fn body<P, N, F, E>(doing: String, pieces: P, next: N) -> Body
where
    P: Send + 'static,
    N: Fn(P) -> F + Send + 'static,
    F: Future<Output = Result<Option<(String, P)>, E>> + Send,
    E: std::error::Error + Display + Send + Sync + 'static,
{
    let stream = stream::try_unfold((pieces, next, doing), |(pieces, next, doing)| async move {
        match next(pieces).await {
            Ok(Some((text, pieces))) => Ok(Some((text, (pieces, next, doing)))),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::error!("{doing}: breaking the answer off: {}", chain(&error));
                Err(error)
            }
        }
    });
    Body::from_stream(stream)
}
