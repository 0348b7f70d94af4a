//! docs/API.md prints requests and their answers; a job server that just started answers so. The requests are run by a
//! shell, as they stand there, but for the address.
#![allow(clippy::disallowed_methods, reason = "runs the page's examples; each ends by itself")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::site::{Site, client, eventually};

/// A request and the answer printed below it.
struct Example {
    request: String,
    answer: String,
}

fn examples() -> Vec<Example> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/API.md");
    let page = fs::read_to_string(page).expect("the page");
    let (page, _) = page.split_once("## In plain SQL").expect("its first part");
    let mut blocks = page.split("```").skip(1).step_by(2);
    let mut examples = Vec::new();
    while let Some(request) = blocks.next() {
        let request = request.strip_prefix("sh\n").expect("a request").to_owned();
        let (_, answer) = blocks.next().and_then(|answer| answer.split_once('\n')).expect("an answer");
        examples.push(Example { request, answer: answer.trim_end().to_owned() });
    }
    assert!(examples.len() >= 6, "{}", examples.len());
    examples
}

/// Whether an answer is as printed, where `…` stands for anything.
fn is_as_printed(answer: &str, printed: &str) -> bool {
    let mut rest = answer;
    let parts: Vec<&str> = printed.split('…').collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    let in_order = parts.iter().all(|part| {
        let found = rest.find(part);
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    });
    in_order && answer.starts_with(first) && answer.ends_with(last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_the_api_page_is_answered_as_printed() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        writeln!(std::io::stderr(), "\nNOT RUN: the requests of docs/API.md: install curl").expect("standard error");
        return;
    }
    let site = Site::new(2);
    let server = site.server("one", "");
    let ready = async || client([&server]).status().await.ok()?.release;
    eventually("the job server to know the release", ready).await;
    for Example { request, answer } in examples() {
        let here = request.replace("http://127.0.0.1:7070", &server.url());
        let Output { status, stdout, stderr } =
            Command::new("sh").args(["-c", &here]).stdin(Stdio::null()).output().expect("a shell");
        let (said, complaint) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{here}\n{said}\n{complaint}");
        assert!(is_as_printed(said.trim_end(), &answer), "{here}\nanswered: {said}\nprinted:  {answer}");
    }
}
