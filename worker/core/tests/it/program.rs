//! The program `nightshift-core` as its launcher knows it: arguments, stdin, stdout, exit code.
#![allow(clippy::disallowed_methods, reason = "starts the program it is about; each test ends its own")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use nightshift_contract::exit::Exit;
use nightshift_contract::handoff::{CoreArgs, HostArgs};
use nightshift_contract::message::{FromCore, ToCore};

use crate::real_server::{Reach, RealServer};
use crate::worker::{AT_ONCE, ENDLESS, Worker};

/// A running program, killed when dropped.
struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Program {
    fn start(worker: &Worker, jobserver: &str) -> Program {
        let args = CoreArgs {
            asked: false,
            state_dir: worker.state().root().to_owned(),
            release: worker.release_args("v1.0.0"),
            jobservers: vec![jobserver.to_owned()],
            store_password_file: None,
            host: HostArgs::default(),
            worker: "w-1".to_owned(),
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_nightshift-core"))
            .args(args.to_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts the program");
        let said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Program { stdin: child.stdin.take(), child, said }
    }

    fn order(&mut self, order: &ToCore) {
        self.stdin.as_mut().expect("not closed").write_all(order.to_line().as_bytes()).expect("writes");
    }

    fn hear(&mut self, wanted: impl Fn(&FromCore) -> bool) -> FromCore {
        let heard =
            self.said.by_ref().map(|line| line.expect("UTF-8")).find_map(|line| FromCore::parse(&line).filter(&wanted));
        heard.expect("the core ended before it said so")
    }

    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("ends");
        let mut stderr = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("UTF-8");
        (status.code(), stderr)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const LAUNCHER_SAYS_STOP: &str = "STOP was pushed";

/// A job server that takes connections and never says a word.
fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

fn is_working(message: &FromCore) -> bool {
    matches!(message, FromCore::Working { .. })
}

#[test]
fn a_core_started_by_hand_says_who_starts_it() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_nightshift-core")).arg("--help").output().expect("starts the program");
    assert_eq!(output.status.code(), Some(i32::from(Exit::Usage.code())));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(stderr.contains("started by nightshift-launcher"), "{stderr}");
}

#[test]
fn a_core_does_without_huge_pages() {
    let (worker, (_listener, url)) = (Worker::new(), silent_server());
    let mut program = Program::start(&worker, &url);
    program.hear(|message| matches!(message, FromCore::Waiting(what) if what == "work"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.child.id())).expect("it runs");
    // Kernels before 5.0, and those without huge pages, say nothing.
    assert!(!status.contains("THP_enabled:\t1"), "{status}");
}

#[test]
fn a_core_whose_launcher_is_gone_ends_at_once() {
    let (worker, (_listener, url)) = (Worker::new(), silent_server());
    let mut program = Program::start(&worker, &url);
    program.hear(|message| matches!(message, FromCore::Waiting(what) if what == "work"));
    drop(program.stdin.take());
    let begun = Instant::now();
    let (code, _) = program.end();
    assert_eq!(code, Some(i32::from(Exit::Failed.code())));
    assert!(begun.elapsed() < AT_ONCE, "it took {:?}", begun.elapsed());
}

#[test]
fn a_core_that_is_told_to_stop_ends_with_six() {
    let (worker, (_listener, url)) = (Worker::new(), silent_server());
    let mut program = Program::start(&worker, &url);
    program.hear(|message| matches!(message, FromCore::Using(tag) if tag == "v1.0.0"));
    program.order(&ToCore::Stop(LAUNCHER_SAYS_STOP.to_owned()));
    assert_eq!(program.end(), (Some(i32::from(Exit::Stopped.code())), String::new()));
}

#[test]
fn a_core_that_drains_ends_with_nought_although_the_server_is_away() {
    let (worker, (listener, url)) = (Worker::new(), silent_server());
    drop(listener);
    let mut program = Program::start(&worker, &url);
    program.hear(|message| matches!(message, FromCore::Waiting(what) if what.contains("claiming a job")));
    program.order(&ToCore::Drain("the night is over".to_owned()));
    assert_eq!(program.end(), (Some(i32::from(Exit::Done.code())), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_without_end_delays_neither_a_stop_nor_the_end_of_the_launcher() {
    let (worker, server) = (Worker::new(), RealServer::start().await);
    worker.release("v1.0.0", &[("endless", ENDLESS)]);
    server.hand_in("endless", 5).await;
    tokio::task::block_in_place(|| {
        for code in [Exit::Stopped, Exit::Failed] {
            let mut program = Program::start(&worker, &server.url);
            program.hear(is_working);
            match code {
                Exit::Stopped => program.order(&ToCore::Stop(LAUNCHER_SAYS_STOP.to_owned())),
                _ => drop(program.stdin.take()),
            }
            let begun = Instant::now();
            assert_eq!(program.end().0, Some(i32::from(code.code())));
            assert!(begun.elapsed() < AT_ONCE, "it took {:?}", begun.elapsed());
        }
    });
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_killed_while_it_works_is_followed_by_one_that_goes_on() {
    let (worker, server) = (Worker::new(), RealServer::start().await);
    let batch = server.hand_in("double", 500).await;
    let here = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let mut at_work = 0;
        for _ in 0..5 {
            let mut program = Program::start(&worker, &server.url);
            // On a busy machine all may be done before the one before was killed, and then this one never works.
            while !here.block_on(server.is_done(batch)) {
                if is_working(&program.hear(|_| true)) {
                    at_work += 1;
                    break;
                }
            }
        }
        assert!(at_work > 0, "none was killed at work");
    });
    let mut program = Program::start(&worker, &server.url);
    tokio::task::block_in_place(|| {
        while !here.block_on(server.is_done(batch)) {
            program.hear(|_| true);
        }
    });
    drop(program);
    // Killed between a claim's answer and its note, a core claims the job once more.
    server.assert_doubled(batch, 500, 6).await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_given_a_store_takes_its_jobs_there() {
    let (worker, Some(server)) = (Worker::new(), RealServer::reached(Reach::Direct).await) else { return };
    let batch = server.hand_in("double", 100).await;
    let mut program = Program::start(&worker, &server.store_url());
    let here = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        while !here.block_on(server.is_done(batch)) {
            program.hear(|_| true);
        }
    });
    drop(program);
    server.assert_doubled(batch, 100, 1).await;
    server.end().await;
}
