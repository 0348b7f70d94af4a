//! The API's description of itself, in OpenAPI.
//!
//! The router is made of the same annotations as the description, so that neither has a request the other lacks. What
//! is alike for all requests is added here: who may make them, by the table in `jobserver/rules`, and how they are
//! refused.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use nightshift_rules::access::{self, Reach};
use nightshift_wire::{Problem, Role};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Info, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::Shared;
use crate::refused::Refused;

const PROBLEM_JSON: &str = "application/problem+json";
/// The name of the scheme by which requests prove who makes them.
const TOKEN: &str = "token";
const ABOUT: &str = "Everything people and workers ask of the job server. Moments are milliseconds since 1970 UTC by the \
                     server's clock, durations milliseconds. A server that is open asks nobody for a token; a worker \
                     also says its machine, as `Nightshift-Machine`.";

/// The description, written.
pub(crate) struct Description(Bytes);

impl Description {
    /// The description of the requests that were found.
    pub(super) fn of(mut found: OpenApi) -> Description {
        complete(&mut found);
        let text = found.to_json().expect("a description has text keys only and always serializes");
        Description(text.into())
    }
}

#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "openapi", tag = "server",
    summary = "This description",
    responses((status = 200, description = "OpenAPI", body = Object))
)]
pub(super) async fn openapi(State(app): Shared) -> Result<impl IntoResponse, Refused> {
    let Some(Description(text)) = app.description.get() else {
        return Err(Refused::internal("describing the API"));
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], text.clone()))
}

fn complete(api: &mut OpenApi) {
    api.info = Info::new("Nightshift job server", env!("CARGO_PKG_VERSION"));
    api.info.description = Some(ABOUT.to_owned());
    let components = api.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.security_schemes.insert(TOKEN.to_owned(), RefOr::T(bearer));
    for (name, response) in refusals() {
        components.responses.insert(name.to_owned(), RefOr::T(response));
    }
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations(item) {
            guard(operation, method, path);
            refuse(operation, method, path);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [("GET", get), ("PUT", put), ("POST", post), ("DELETE", delete), ("PATCH", patch)];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Says who may make the request.
fn guard(operation: &mut Operation, method: &str, path: &str) {
    if access::is_for_everybody(method, path) {
        operation.security = Some(Vec::new());
        operation.description = Some("Needs no token.".to_owned());
        return;
    }
    operation.security = Some(vec![SecurityRequirement::new(TOKEN, [""; 0])]);
    let reaching = |wanted: Reach| {
        let roles = Role::ALL.into_iter().filter(|role| access::reach(*role, method, path) == wanted);
        roles.map(Role::word).collect::<Vec<_>>().join(", ")
    };
    let words = [("Roles: ", reaching(Reach::All)), ("For what is their own: ", reaching(Reach::Own))];
    let words = words.into_iter().filter(|(_, roles)| !roles.is_empty());
    operation.description = Some(words.map(|(what, roles)| format!("{what}{roles}.")).collect::<Vec<_>>().join(" "));
}

/// Says how the request is refused, besides what is its own.
fn refuse(operation: &mut Operation, method: &str, path: &str) {
    let responses = &mut operation.responses.responses;
    for response in responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        // The annotations say what a refusal holds, and not each time how it is written.
        if response.content.get("application/json").is_some_and(is_problem)
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert(PROBLEM_JSON.to_owned(), content);
        }
    }
    let guarded = !access::is_for_everybody(method, path);
    let asks = operation.request_body.is_some() || operation.parameters.is_some();
    let applies = [
        ("400", "BadRequest", asks),
        ("401", "NotAuthenticated", guarded),
        ("403", "NotAllowed", guarded),
        ("404", "NotFound", path.contains('{')),
        ("429", "TooManyRequests", true),
        ("503", "Away", path.starts_with("/v1/") && path != "/v1/openapi.json"),
        ("default", "Refused", true),
    ];
    for (status, name, _) in applies.into_iter().filter(|(.., applies)| *applies) {
        let response = || RefOr::Ref(Ref::from_response_name(name));
        responses.entry(status.to_owned()).or_insert_with(response);
    }
}

fn is_problem(content: &RefOr<Content>) -> bool {
    let RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) = content else { return false };
    schema.ref_location.ends_with("/Problem")
}

/// Refusals that are alike wherever they occur.
fn refusals() -> [(&'static str, Response); 7] {
    let problem = |description: &str| {
        let content = Content::new(Some(Ref::from_schema_name(Problem::name())));
        ResponseBuilder::new().description(description).content(PROBLEM_JSON, content)
    };
    let later = |description: &str| {
        let seconds = HeaderBuilder::new().schema(Some(Object::with_type(Type::Integer)));
        let seconds = seconds.description(Some("Seconds until it is worth another try")).build();
        problem(description).header("Retry-After", seconds).build()
    };
    let once = |description: &str| problem(description).build();
    [
        ("BadRequest", once("The request does not say what it must: `bad_request`")),
        (
            "NotAuthenticated",
            once("No token, or one that is not good: `not_authenticated`, `expired`, `revoked`, `enrol_again`"),
        ),
        (
            "NotAllowed",
            once("The role may not do this, or not to this one: `not_allowed`, `not_approved`, `wrong_secret`"),
        ),
        ("NotFound", once("There is no such thing: `not_found`")),
        ("TooManyRequests", later("This client asks too much: `too_many_requests`")),
        (
            "Away",
            later(
                "The store is away or full; nothing was changed: `store_away`. Or it was gone before it said whether this was \
                 done; look before trying again: `outcome_unknown`",
            ),
        ),
        ("Refused", once("Any other refusal; its `code` is stable, its `detail` for people")),
    ]
}
