//! Servers made of prepared answers: each takes one connection after another and says what it was told to say.

use std::net::SocketAddr;
use std::sync::Arc;

use nightshift_client::{Client, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What a server does with a connection once the head of a request has arrived.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Writes this and closes.
    Says(String),
    /// Keeps quiet.
    Nothing,
    /// Writes this and then keeps quiet.
    SaysAndHangs(String),
    /// Writes this when it is told to, and closes.
    SaysAtLast(String, Arc<Notify>),
}

/// A server; it ends with its value.
pub(crate) struct Server {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn that(does: Does) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let task = tokio::spawn(async move {
            let mut hanging = Vec::new();
            loop {
                let (mut stream, _): (TcpStream, SocketAddr) = listener.accept().await.expect("a connection");
                read_head(&mut stream).await;
                match &does {
                    Does::Nothing => hanging.push(stream),
                    Does::Says(text) => stream.write_all(text.as_bytes()).await.expect("written"),
                    Does::SaysAtLast(text, told) => {
                        told.notified().await;
                        stream.write_all(text.as_bytes()).await.expect("written");
                    }
                    Does::SaysAndHangs(text) => {
                        stream.write_all(text.as_bytes()).await.expect("written");
                        hanging.push(stream);
                    }
                }
            }
        });
        Server { url, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
}

/// An answer with a body.
pub(crate) fn answer(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// A refusal.
pub(crate) fn problem(status: u16, code: &str, detail: &str) -> String {
    let body = format!(r#"{{"code":"{code}","status":{status},"detail":"{detail}"}}"#);
    answer(&format!("{status} Refused"), "application/problem+json", &body)
}

/// An address at which nobody listens, and nobody else will while the value lives.
pub(crate) struct Nobody {
    pub(crate) url: String,
    _taken: TcpSocket,
}

impl Nobody {
    pub(crate) fn at_all() -> Nobody {
        let taken = TcpSocket::new_v4().expect("a socket");
        taken.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        Nobody { url: format!("http://{}", taken.local_addr().expect("bound")), _taken: taken }
    }
}

pub(crate) fn client(urls: &[&str], timeouts: Timeouts) -> Client {
    Client::new(urls.iter().map(|url| (*url).to_owned()), timeouts).expect("good addresses")
}
