//! Artifacts: put, fetched whole or in parts, listed, deleted.
//!
//! A download that broke off goes on where it was with a `Range`: the bytes behind a name never change.

use std::io::{self, SeekFrom};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use nightshift_wire::{Artifact, Problem, code};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::Shared;
use crate::access::Caller;
use crate::acts;
use crate::app::App;
use crate::artifacts::{Artifacts, PutError, is_name};
use crate::range::{Wanted, wanted};
use crate::refused::{Refused, chain};

/// So much of a file is read at once.
const READ_AT_ONCE: usize = 64 * 1024;

/// What stands in the path where a name belongs.
type Name = Result<Path<String>, PathRejection>;

#[utoipa::path(get, path = "/v1/artifacts", operation_id = "artifacts", tag = "artifacts",
    summary = "Every artifact",
    responses(
        (status = 200, description = "The artifacts", body = Vec<Artifact>)
    )
)]
pub(super) async fn all(State(app): Shared) -> Result<Json<Vec<Artifact>>, Refused> {
    let doing = "listing the artifacts";
    let artifacts = kept(&app)?;
    on_disk(doing, move || artifacts.all()).await.map(Json)
}

#[utoipa::path(put, path = "/v1/artifacts/{artifact}", operation_id = "putArtifact", tag = "artifacts",
    summary = "Keeps a file under the SHA-256 of its bytes",
    params(("artifact" = String, Path, description = "The SHA-256 of its bytes, in 64 small hexadecimal digits")),
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "It is kept", body = Artifact),
        (status = 200, description = "It was there before", body = Artifact),
        (status = 415, description = "It is compressed on its way", body = Problem),
        (status = 422, description = "The bytes are not those of the name: `wrong_digest`", body = Problem),
        (status = 507, description = "There is no more room: `no_room`", body = Problem)
    )
)]
pub(super) async fn put(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Artifact>), Refused> {
    let (artifacts, name) = (kept(&app)?, named(name)?);
    let doing = format!("putting artifact {name}");
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let detail =
            format!("{doing}: it is compressed on its way, and its name is that of other bytes; send it as it is");
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, detail));
    }
    let known = find(&doing, &artifacts, &name).await?;
    let refuse = |error: PutError| refuse(&doing, &error);
    let mut arriving = match &known {
        Some(_) => None,
        None => Some(artifacts.begin().await.map_err(refuse)?),
    };
    let mut pieces = body.into_data_stream();
    loop {
        let next = tokio::select! {
            () = app.stopping.cancelled() => return Err(Refused::away(format!("{doing}: the job server is ending; put it again"))),
            next = tokio::time::timeout(app.limits.silence, pieces.next()) => next,
        };
        match next {
            Ok(None) => break,
            Ok(Some(Ok(piece))) => {
                if let Some(arriving) = &mut arriving {
                    arriving.take(&piece).await.map_err(refuse)?;
                }
            }
            Ok(Some(Err(_))) => {
                return Err(Refused::bad_request(format!("{doing}: it broke off; nothing of it is kept")));
            }
            Err(_) => {
                let detail = format!("{doing}: it stopped arriving; nothing of it is kept, put it again");
                return Err(Refused::new(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, detail));
            }
        }
    }
    match (arriving, known) {
        (Some(arriving), _) => {
            let artifact = arriving.keep(&name).await.map_err(refuse)?;
            tracing::info!("artifact {name} is kept; bytes: {}", artifact.bytes);
            acts::note(&app, &caller, format!("put artifact {name} of {} bytes", artifact.bytes), "").await;
            Ok((StatusCode::CREATED, Json(artifact)))
        }
        (None, Some(artifact)) => Ok((StatusCode::OK, Json(artifact))),
        (None, None) => Err(Refused::internal(&doing)),
    }
}

#[utoipa::path(get, path = "/v1/artifacts/{artifact}", operation_id = "artifact", tag = "artifacts",
    summary = "An artifact, or a range of it",
    params(("artifact" = String, Path, description = "The SHA-256 of its bytes, in 64 small hexadecimal digits")),
    responses(
        (status = 200, description = "All of it", body = String, content_type = "application/octet-stream"),
        (status = 206, description = "The range", body = String, content_type = "application/octet-stream"),
        (status = 416, description = "It has none of the bytes asked for", body = Problem)
    )
)]
pub(super) async fn get(State(app): Shared, name: Name, headers: HeaderMap) -> Result<Response, Refused> {
    let (artifacts, name) = (kept(&app)?, named(name)?);
    let doing = format!("fetching artifact {name}");
    let mut file = match File::open(artifacts.path(&name)).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(&name)),
        Err(error) => return Err(fault(&doing, &error)),
    };
    let size = file.metadata().await.map_err(|error| fault(&doing, &error))?.len();
    let etag = format!("\"{name}\"");
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let same = text(header::IF_RANGE).is_none_or(|seen| seen == etag);
    let (status, from, length, part) = match wanted(text(header::RANGE).filter(|_| same), size) {
        Wanted::Whole => (StatusCode::OK, 0, size, None),
        Wanted::Part(from, to) => {
            (StatusCode::PARTIAL_CONTENT, from, to - from + 1, Some(format!("bytes {from}-{to}/{size}")))
        }
        Wanted::Nothing => {
            let detail = format!("{doing}: it has {size} bytes, and none of those asked for");
            let refused = Refused::new(StatusCode::RANGE_NOT_SATISFIABLE, code::BAD_REQUEST, detail);
            return Ok(([(header::CONTENT_RANGE, format!("bytes */{size}"))], refused).into_response());
        }
    };
    file.seek(SeekFrom::Start(from)).await.map_err(|error| fault(&doing, &error))?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), READ_AT_ONCE));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, etag),
    ];
    let part = part.map(|part| [(header::CONTENT_RANGE, part)]);
    Ok(match part {
        Some(part) => (status, headers, part, body).into_response(),
        None => (status, headers, body).into_response(),
    })
}

#[utoipa::path(delete, path = "/v1/artifacts/{artifact}", operation_id = "deleteArtifact", tag = "artifacts",
    summary = "Deletes an artifact",
    params(("artifact" = String, Path, description = "The SHA-256 of its bytes, in 64 small hexadecimal digits")),
    responses(
        (status = 204, description = "It is gone")
    )
)]
pub(super) async fn delete(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    name: Name,
) -> Result<StatusCode, Refused> {
    let (artifacts, name) = (kept(&app)?, named(name)?);
    let doing = format!("deleting artifact {name}");
    let gone = name.clone();
    if on_disk(&doing, move || artifacts.delete(&gone)).await? {
        tracing::info!("artifact {name} is deleted");
        acts::note(&app, &caller, format!("deleted artifact {name}"), "").await;
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing(&name))
    }
}

fn kept(app: &App) -> Result<Arc<Artifacts>, Refused> {
    app.artifacts.clone().ok_or_else(|| Refused::not_found("this job server keeps no artifacts"))
}

fn named(name: Name) -> Result<String, Refused> {
    match name {
        Ok(Path(name)) if is_name(&name) => Ok(name),
        _ => Err(Refused::not_found("there is no such artifact: its name is a SHA-256 in 64 small hexadecimal digits")),
    }
}

fn missing(name: &str) -> Refused {
    Refused::not_found(format!("there is no artifact {name}"))
}

async fn find(doing: &str, artifacts: &Arc<Artifacts>, name: &str) -> Result<Option<Artifact>, Refused> {
    let (artifacts, name) = (Arc::clone(artifacts), name.to_owned());
    on_disk(doing, move || artifacts.find(&name)).await
}

async fn on_disk<T: Send + 'static>(
    doing: &str,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(act).await.map_err(|_| Refused::internal(doing))?;
    done.map_err(|error| fault(doing, &error))
}

fn fault(doing: &str, error: &io::Error) -> Refused {
    tracing::error!("{doing}: {error}");
    Refused::internal(doing)
}

fn refuse(doing: &str, error: &PutError) -> Refused {
    let detail = format!("{doing}: {error}; nothing of it is kept");
    match error {
        PutError::OtherBytes { .. } => Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code::WRONG_DIGEST, detail),
        PutError::Quota { .. } => Refused::new(StatusCode::INSUFFICIENT_STORAGE, code::NO_ROOM, detail),
        PutError::DiskFull => {
            tracing::warn!("{detail}");
            Refused::new(StatusCode::INSUFFICIENT_STORAGE, code::NO_ROOM, detail)
        }
        PutError::Disk(_) => {
            tracing::error!("{doing}: {}", chain(error));
            Refused::internal(doing)
        }
    }
}
