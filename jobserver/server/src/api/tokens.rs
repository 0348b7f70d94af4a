//! Tokens and join rules, which admins make and take away. A token is shown once and kept as its hash.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use nightshift_rules::network::Network;
use nightshift_store::{Access, KnownToken};
use nightshift_wire::{JoinRule, Me, Moment, NewJoinRule, NewToken, Problem, Role, Token, TokenMade};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Shared;
use super::body::Body;
use crate::access::Caller;
use crate::acts;
use crate::refused::{Refused, while_doing};

/// The longest name.
const LONGEST: usize = 100;

#[utoipa::path(get, path = "/v1/me", operation_id = "me", tag = "access",
    summary = "Whose token this is",
    responses(
        (status = 200, description = "Who asks", body = Me)
    )
)]
pub(super) async fn me(Extension(caller): Extension<Caller>) -> Json<Me> {
    Json(caller.me())
}

#[utoipa::path(get, path = "/v1/tokens", operation_id = "tokens", tag = "access",
    summary = "Every token, without the token itself",
    responses(
        (status = 200, description = "The tokens", body = Vec<Token>)
    )
)]
pub(super) async fn all(State(app): Shared) -> Result<Json<Vec<Token>>, Refused> {
    let changes = app.gate.store.access_changes(0).await.map_err(while_doing(|| "listing the tokens"))?;
    Ok(Json(changes.tokens.into_iter().map(|known| known.token).collect()))
}

#[utoipa::path(post, path = "/v1/tokens", operation_id = "makeToken", tag = "access",
    summary = "Makes a token and shows it, once",
    request_body = NewToken,
    responses(
        (status = 201, description = "The token", body = TokenMade),
        (status = 409, description = "The name is taken: `name_taken`", body = Problem)
    )
)]
pub(super) async fn make(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>), Refused> {
    let made = make_token(&*app.gate.store, wanted, caller.name(), app.clock.now()).await?;
    refresh(&app).await;
    tracing::info!("{} made the token {} ({})", caller.name(), made.known.name, made.known.role);
    acts::note(&app, &caller, format!("made the token {} ({})", made.known.name, made.known.role), "").await;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Makes a token and keeps its hash.
pub(crate) async fn make_token(
    store: &dyn Access,
    wanted: NewToken,
    by: &str,
    now: Moment,
) -> Result<TokenMade, Refused> {
    const DOING: &str = "making a token";
    check_name(DOING, &wanted.name)?;
    let refuse = |why: &str| Err(Refused::bad_request(format!("{DOING}: {why}")));
    if wanted.role == Role::Worker {
        return refuse("a worker gets its credential by joining; make a token of the role join for its worker.toml");
    }
    if wanted.role != Role::Join && wanted.limit.is_some() {
        return refuse("only a join token has a limit");
    }
    if wanted.limit == Some(0) || wanted.expires_in_ms == Some(0) {
        return refuse("a token that is good for nothing is not made; leave out what has no limit");
    }
    if let Some(network) = &wanted.network {
        network.parse::<Network>().map_err(|error| Refused::bad_request(format!("{DOING}: {error}")))?;
    }
    let token = format!("ns_{}_{}{}", wanted.role, Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let known = Token {
        name: wanted.name,
        role: wanted.role,
        network: wanted.network,
        limit: wanted.limit,
        uses: 0,
        created_at: now,
        created_by: by.to_owned(),
        expires_at: wanted.expires_in_ms.map(|length| now.saturating_add_unsigned(length)),
        revoked_at: None,
        last_used: None,
    };
    let kept = KnownToken { token: known.clone(), hash: format!("{:x}", Sha256::digest(&token)) };
    store.add_token(kept, now).await.map_err(while_doing(|| DOING))?;
    Ok(TokenMade { known, token })
}

#[utoipa::path(delete, path = "/v1/tokens/{token}", operation_id = "revokeToken", tag = "access",
    summary = "Revokes a token; again is safe",
    params(("token" = String, Path, description = "Its name")),
    responses(
        (status = 204, description = "It is good no more")
    )
)]
pub(super) async fn revoke(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    let revoked = app.gate.store.revoke_token(&name, app.clock.now()).await;
    revoked.map_err(while_doing(|| "revoking a token"))?;
    refresh(&app).await;
    tracing::info!("{} revoked the token {name}", caller.name());
    acts::note(&app, &caller, format!("revoked the token {name}"), "").await;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(get, path = "/v1/join-rules", operation_id = "joinRules", tag = "access",
    summary = "The rules by which workers are let in without a person",
    responses(
        (status = 200, description = "The rules", body = Vec<JoinRule>)
    )
)]
pub(super) async fn rules(State(app): Shared) -> Result<Json<Vec<JoinRule>>, Refused> {
    app.gate.store.join_rules().await.map(Json).map_err(while_doing(|| "listing the join rules"))
}

#[utoipa::path(post, path = "/v1/join-rules", operation_id = "makeJoinRule", tag = "access",
    summary = "Makes such a rule",
    request_body = NewJoinRule,
    responses(
        (status = 201, description = "The rule", body = JoinRule),
        (status = 409, description = "The name is taken: `name_taken`", body = Problem)
    )
)]
pub(super) async fn make_rule(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Body(wanted): Body<NewJoinRule>,
) -> Result<(StatusCode, Json<JoinRule>), Refused> {
    const DOING: &str = "making a join rule";
    check_name(DOING, &wanted.name)?;
    wanted.network.parse::<Network>().map_err(|error| Refused::bad_request(format!("{DOING}: {error}")))?;
    if wanted.limit == 0 || wanted.expires_in_ms == 0 {
        return Err(Refused::bad_request(format!("{DOING}: a rule that approves nobody is not made")));
    }
    let now = app.clock.now();
    let rule = JoinRule {
        name: wanted.name,
        network: wanted.network,
        limit: wanted.limit,
        approved: 0,
        expires_at: now.saturating_add_unsigned(wanted.expires_in_ms),
        created_at: now,
        created_by: caller.name().to_owned(),
    };
    app.gate.store.add_join_rule(&rule).await.map_err(while_doing(|| DOING))?;
    let did = format!("made the join rule {}: {} from {}", rule.name, rule.limit, rule.network);
    tracing::info!("{} {did}", caller.name());
    acts::note(&app, &caller, did, "").await;
    Ok((StatusCode::CREATED, Json(rule)))
}

#[utoipa::path(delete, path = "/v1/join-rules/{rule}", operation_id = "removeJoinRule", tag = "access",
    summary = "Removes such a rule; whom it let in stays",
    params(("rule" = String, Path, description = "Its name")),
    responses(
        (status = 204, description = "It is gone")
    )
)]
pub(super) async fn remove_rule(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    app.gate.store.remove_join_rule(&name).await.map_err(while_doing(|| "removing a join rule"))?;
    tracing::info!("{} removed the join rule {name}", caller.name());
    acts::note(&app, &caller, format!("removed the join rule {name}"), "").await;
    Ok(StatusCode::NO_CONTENT)
}

/// What changed counts here at once. When the store is away just now, the chore reads it later.
pub(super) async fn refresh(app: &crate::app::App) {
    if let Err(error) = app.gate.directory.refresh().await {
        tracing::warn!("reading who may ask: {}", crate::refused::chain(&error));
    }
}

/// A name stands in logs, paths and CSV: plain signs only.
pub(super) fn check_name(doing: &str, name: &str) -> Result<(), Refused> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(plain) {
        let detail =
            format!("{doing}: {name:?} is no name; take up to {LONGEST} letters, digits and the signs . _ - @");
        return Err(Refused::bad_request(detail));
    }
    Ok(())
}
