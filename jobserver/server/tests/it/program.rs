//! `nightshift-jobserver` as a process: its start, its configuration's faults, its end.
#![allow(clippy::disallowed_methods, reason = "starts the program under test; every child is ended by its owner here")]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nightshift_client::{Client, Timeouts};
use nightshift_testbed::database::{Make, SCHEMA, Server, Wishes};
use nightshift_testbed::wait;
use nightshift_wire::{Report, WorkerState};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const KEY: &str = "boss@example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

/// A configuration beside the state folder it names, both fresh.
fn folder(top: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        "state_dir = \"state\"\n{top}\naccess = \"open\"\n[repository]\nurl = \"./central.git\"\nsigners = [{KEY:?}]\n"
    );
    fs::write(folder.path().join("jobserver.toml"), text).expect("written");
    folder
}

fn serve(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightshift-jobserver"));
    command.arg("serve").arg("--config").arg(folder.join("jobserver.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A job server that is ended with its handle.
struct Running(Child);

impl Running {
    /// Starts it and waits for its address.
    fn start(folder: &Path) -> (Running, String) {
        Running::start_as(serve(folder), folder)
    }

    fn start_as(mut command: Command, folder: &Path) -> (Running, String) {
        let mut server = Running(command.spawn().expect("the program starts"));
        let address = wait::until("the job server's address", wait::SOON, || {
            assert!(server.0.try_wait().expect("a child").is_none(), "it ended: {}", server.said());
            fs::read_to_string(folder.join("state/address")).ok()
        });
        (server, address.expect("it listens").trim().to_owned())
    }

    /// Asks it to end; how it ended, and what it said.
    fn terminate(mut self) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        let status = self.0.wait().expect("a child");
        (status.code(), self.said())
    }

    fn said(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn refused(folder: &Path) -> (Option<i32>, String) {
    let Output { status, stderr, stdout } = serve(folder).output().expect("the program starts");
    assert_eq!(stdout, b"", "talk goes to stderr");
    (status.code(), String::from_utf8(stderr).expect("UTF-8"))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_until_sigterm_also_when_the_repository_is_out_of_reach() {
    let folder = folder("listen = \"127.0.0.1:0\"");
    let (server, address) = Running::start(folder.path());
    let client = Client::new([format!("http://{address}")], Timeouts::default()).expect("an address");
    let status = client.status().await.expect("it answers");
    assert_eq!(status.release, None);
    assert!(status.release_problem.contains("central.git"), "{}", status.release_problem);
    let (code, said) = server.terminate();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("listening on http://{address}")), "{said}");
}

#[test]
fn a_fault_in_the_configuration_is_named_with_file_line_and_key() {
    let folder = folder("lisen = \"127.0.0.1:0\"");
    let (code, said) = refused(folder.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("jobserver.toml, line 2: unknown field `lisen`: remove it, or write one of `listen`"),
        "{said}"
    );
    fs::remove_file(folder.path().join("jobserver.toml")).expect("there");
    let (code, said) = refused(folder.path());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("name another with --config FILE: No such file"), "{said}");
}

#[test]
fn a_state_folder_or_port_in_use_is_refused_with_advice() {
    let first = folder("listen = \"127.0.0.1:0\"");
    let (_server, address) = Running::start(first.path());
    let (code, said) = refused(first.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is in use by another job server"), "{said}");
    let second = folder(&format!("listen = {address:?}"));
    let (code, said) = refused(second.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("listening on {address}; is the port in use?")), "{said}");
}

#[test]
fn an_old_address_is_gone_before_the_new_one_is_known() {
    let folder = folder("listen = \"127.0.0.1:0\"");
    fs::create_dir(folder.path().join("state")).expect("made");
    fs::write(folder.path().join("state/address"), "127.0.0.1:1\n").expect("written");
    let no_database = "this is no database, but some text of its own";
    fs::write(folder.path().join("state/nightshift.sqlite"), no_database).expect("written");
    let (code, said) = refused(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(!folder.path().join("state/address").exists(), "nobody is sent to a server that does not run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_grow_no_further_is_a_full_disk_and_not_the_end() {
    let folder = folder("listen = \"127.0.0.1:0\"");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 2000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_nightshift-jobserver")]);
    limited.arg("serve").arg("--config").arg(folder.path().join("jobserver.toml"));
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (server, address) = Running::start_as(limited, folder.path());
    let client = Client::new([format!("http://{address}")], Timeouts::default()).expect("an address");
    let report = |worker: &str, reason: String| Report {
        worker: worker.to_owned(),
        host: String::new(),
        state: WorkerState::Working,
        reason,
        release: String::new(),
        refused: Vec::new(),
        trial: None,
        replica: None,
        spool: nightshift_wire::Spool::default(),
        steps: Vec::new(),
    };
    let mut full = None;
    for worker in 0..10 {
        full = full.or(client.report(&report(&format!("w-{worker}"), "x".repeat(900_000))).await.err());
    }
    let full = full.expect("nine megabytes do not fit into one");
    assert!(full.is_retryable(), "{full}");
    client.workers().await.expect("it still answers");
    let (code, said) = server.terminate();
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_everything_in_the_store_that_is_named() {
    let Some(database) = Server::start(Make::MariaDb, Wishes::default()).expect("a database server") else {
        return println!("NOT RUN: {}", Make::MariaDb.advice());
    };
    let store = database.url(SCHEMA);
    let folder = folder(&format!("listen = \"127.0.0.1:0\"\nstore = {store:?}"));
    let (server, address) = Running::start(folder.path());
    let client = Client::new([format!("http://{address}")], Timeouts::default()).expect("an address");
    assert_eq!(client.status().await.expect("it answers").jobs_waiting, 0);
    let (code, said) = server.terminate();
    assert_eq!(code, Some(0), "{said}");
    let kept = format!("everything is kept in mysql://127.0.0.1:{}/{SCHEMA}", database.port());
    assert!(said.contains(&kept), "{said}");
    assert!(!folder.path().join("state/nightshift.sqlite").exists(), "there is one store");

    drop(database);
    let (code, said) = refused(folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("its server must run, and have that schema and user"), "{said}");
}
