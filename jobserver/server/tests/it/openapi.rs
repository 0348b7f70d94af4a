//! The API's description of itself: it holds every request there is, and how each is refused.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use nightshift_rules::access::{FOR_EVERYBODY, TABLE};
use serde_json::Value;

use crate::guarded::{Guarded, Spoken};
use crate::running::TestServer;

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "PATCH"];

async fn description(server: &TestServer) -> Value {
    let answer = server.ask("GET", "/v1/openapi.json", "", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Every request described: method, path, what is said of it.
fn requests(description: &Value) -> Vec<(String, String, &Value)> {
    let paths = description["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            METHODS.iter().filter_map(move |method| {
                Some(((*method).to_owned(), path.clone(), item.get(method.to_ascii_lowercase())?))
            })
        })
        .collect()
}

#[tokio::test]
async fn every_request_that_somebody_may_make_is_described_and_no_other() {
    let server = TestServer::start().await;
    let description = description(&server).await;
    let described: BTreeSet<String> =
        requests(&description).iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let guarded = TABLE.iter().map(|row| (row.method, row.path));
    let known: BTreeSet<String> =
        guarded.chain(FOR_EVERYBODY.iter().copied()).map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(described, known);
}

#[tokio::test]
async fn what_is_described_is_there_and_what_is_not_is_not() {
    let server = TestServer::start().await;
    let description = description(&server).await;
    let requests = requests(&description);
    let paths: BTreeSet<&String> = requests.iter().map(|(_, path, _)| path).collect();
    for path in paths {
        let real = path.split('/').map(|part| if part.starts_with('{') { "7" } else { part });
        let real = real.collect::<Vec<_>>().join("/");
        for method in METHODS {
            let described = requests.iter().any(|(one, other, _)| one == method && other == path);
            let answer = server.ask(method, &real, "", "").await;
            assert_eq!(answer.status != 405, described, "{method} {real}: {}", answer.body);
            assert!(!answer.body.contains("there is nothing at"), "{method} {real}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn every_request_says_how_it_is_refused_and_who_may_make_it() {
    let server = TestServer::start().await;
    let description = description(&server).await;
    let problem = &description["components"]["schemas"]["Problem"]["properties"];
    assert!(["code", "status", "detail"].iter().all(|part| problem[part].is_object()), "{problem}");
    for (name, response) in description["components"]["responses"].as_object().expect("refusals") {
        let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Problem", "{name}");
    }
    let retry = &description["components"]["responses"]["Away"]["headers"]["Retry-After"];
    assert!(retry.is_object());
    for (method, path, operation) in requests(&description) {
        let responses = operation["responses"].as_object().expect("responses");
        assert_eq!(responses["default"]["$ref"], "#/components/responses/Refused", "{method} {path}");
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with('4')) {
            let own = response["content"].get("application/problem+json").is_some();
            assert!(own || response["$ref"].is_string(), "{method} {path}: {status} is no problem");
        }
        let open = FOR_EVERYBODY.contains(&(&*method, &*path));
        let security = operation["security"].as_array().expect("it is said");
        assert_eq!((security.is_empty(), !responses.contains_key("401")), (open, open && path != "/v1/join"), "{path}");
        assert!(operation["description"].as_str().is_some_and(|said| !said.is_empty()), "{method} {path}");
    }
}

#[tokio::test]
async fn whatever_the_description_refers_to_stands_in_it() {
    let server = TestServer::start().await;
    let description = description(&server).await;
    let mut left = vec![&description];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').expect("it stands in this document");
                    assert!(description.pointer(pointer).is_some(), "{reference}");
                }
                left.extend(fields.values());
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_part_of_a_query_is_described_once() {
    let server = TestServer::start().await;
    let description = description(&server).await;
    for (method, path, operation) in requests(&description) {
        let mut names = BTreeSet::new();
        for part in operation["parameters"].as_array().into_iter().flatten() {
            assert!(names.insert(part["name"].as_str().expect("a name")), "{method} {path}: {part}");
        }
        assert_eq!(names.contains("tag"), (&*method, &*path) == ("POST", "/v1/batches"), "{method} {path}");
    }
}

#[tokio::test]
async fn the_outline_of_the_api_changes_only_on_purpose() {
    let server = TestServer::start().await;
    let description = description(&server).await;
    let mut outline = String::new();
    let mut names = BTreeSet::new();
    for (method, path, operation) in requests(&description) {
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        writeln!(outline, "{method:<6} {path:<40} {name}").expect("a text takes it");
    }
    insta::assert_snapshot!(outline);
}

#[tokio::test]
async fn the_description_is_there_without_a_token() {
    let server = Guarded::start(Spoken::Plain).await;
    let http = crate::running::plain_http();
    let answer = http.get(format!("http://{}/v1/openapi.json", server.address)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    server.end().await;
}
