//! A proxy on loopback. Two threads carry each connection; they end when it is cut, and all of them with the proxy.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use super::way::{Direction, Memory, Part, Passage, Plan, Way};

/// Stands on a port of its own before a server's. Until something else is asked of it, everything passes.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    inner: Arc<Inner>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    target: AtomicU16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    connections: BTreeMap<u64, Connection>,
    /// So many connections were made.
    made: u64,
    /// So many bytes came from either side.
    bytes: u64,
    ended: bool,
}

#[derive(Debug)]
struct Connection {
    sockets: [TcpStream; 2],
    memory: Memory,
}

impl Proxy {
    /// A proxy before any server on a port of loopback.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn before(port: u16) -> Result<Proxy> {
        Proxy::start(port, Plan::default())
    }

    /// A proxy before a MariaDB or MySQL server, which can lose commits: those of connections that work at READ
    /// COMMITTED, as a store does where it writes.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn before_database(port: u16) -> Result<Proxy> {
        Proxy::start(port, Plan { request: b"\x03COMMIT", mark: b"READ COMMITTED", ..Plan::default() })
    }

    fn start(target: u16, plan: Plan) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a proxy to a free port")?;
        let port = listener.local_addr()?.port();
        let state = Mutex::new(State { plan, ..State::default() });
        let inner = Arc::new(Inner { target: AtomicU16::new(target), state, changed: Condvar::new() });
        let listening = std::thread::spawn({
            let inner = Arc::clone(&inner);
            move || inner.listen(&listener)
        });
        Ok(Proxy { port, inner, listening: Some(listening) })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// An address of the server, with this proxy's port in its port's place.
    pub fn instead(&self, url: &str) -> String {
        url.replacen(&format!(":{}", self.inner.target()), &format!(":{}", self.port), 1)
    }

    /// Stands before another server from now on; connections to the one before are cut.
    pub fn lead_to(&self, port: u16) {
        self.inner.target.store(port, Ordering::Relaxed);
        self.cut();
    }

    /// So many bytes have come from client and server so far.
    pub fn bytes(&self) -> u64 {
        self.inner.lock().bytes
    }

    /// Cuts every connection. New ones can be made.
    pub fn cut(&self) {
        self.inner.lock().cut_all();
        self.inner.changed.notify_all();
    }

    /// Cuts every connection and closes new ones at once, until [`heal`](Proxy::heal).
    pub fn close(&self) {
        self.go(Way::Closed);
        self.cut();
    }

    /// Stays silent: connections are accepted and kept, nothing passes, until [`heal`](Proxy::heal).
    pub fn freeze(&self) {
        self.go(Way::Frozen);
    }

    /// Throws away what the server says, until [`heal`](Proxy::heal): it gets every request, nobody gets an answer.
    pub fn mute(&self) {
        self.go(Way::Mute);
    }

    /// Lets everything pass again, what was held up included.
    pub fn heal(&self) {
        self.inner.lock().plan.delay = Duration::ZERO;
        self.go(Way::Open);
    }

    /// Holds every piece up for so long.
    pub fn delay(&self, by: Duration) {
        self.inner.lock().plan.delay = by;
    }

    /// Lets so many further bytes reach the server, then cuts the connection that carries the last of them.
    pub fn cut_after(&self, bytes: u64) {
        self.inner.lock().plan.cut_after = Some(bytes);
    }

    /// Lets the next so many commits reach the database; when it has answered, the answer is lost and the connection cut.
    pub fn lose_answers_to_commits(&self, times: u32) {
        self.lose(Part::Answer, times);
    }

    /// Cuts the connection instead of letting the next so many commits reach the database.
    pub fn lose_commits(&self, times: u32) {
        self.lose(Part::All, times);
    }

    fn lose(&self, part: Part, times: u32) {
        let plan = &mut self.inner.lock().plan;
        (plan.part, plan.lose) = (part, times);
    }

    /// How many commits or answers were lost so far.
    pub fn lost(&self) -> u32 {
        self.inner.lock().plan.lost
    }

    fn go(&self, way: Way) {
        self.inner.lock().plan.way = way;
        self.inner.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        state.ended = true;
        state.cut_all();
        drop(state);
        self.inner.changed.notify_all();
        // It is woken by a last connection.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl State {
    fn cut_all(&mut self) {
        for (_, connection) in std::mem::take(&mut self.connections) {
            connection.cut();
        }
    }
}

impl Connection {
    fn cut(&self) {
        for socket in &self.sockets {
            // Whoever closed it first is right.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Inner {
    fn target(&self) -> u16 {
        self.target.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(self: Arc<Inner>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            let (ended, way) = {
                let state = self.lock();
                (state.ended, state.plan.way)
            };
            match way {
                _ if ended => return,
                Way::Closed => continue,
                Way::Open | Way::Frozen | Way::Mute => {}
            }
            // Whether the server is there or not is the server's business: its client sees a connection that ends.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target())) else { continue };
            let copies = (client.try_clone(), server.try_clone(), client.set_nodelay(true), server.set_nodelay(true));
            let (Ok(client_too), Ok(server_too), Ok(()), Ok(())) = copies else { continue };
            let mut state = self.lock();
            let number = state.made;
            state.made += 1;
            let connection = Connection { sockets: [client_too, server_too], memory: Memory::default() };
            state.connections.insert(number, connection);
            drop(state);
            let copies = (client.try_clone(), server.try_clone());
            if let (Ok(client_too), Ok(server_too)) = copies {
                self.carry(number, Direction::ToServer, client, server);
                self.carry(number, Direction::ToClient, server_too, client_too);
            }
        }
    }

    fn carry(self: &Arc<Inner>, number: u64, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
        let inner = Arc::clone(self);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let piece = &buffer[..length];
                let passes = match inner.pass(number, direction, piece) {
                    Some(Passage::Forward) => to.write_all(piece).is_ok(),
                    Some(Passage::Swallow) => true,
                    Some(Passage::CutAfter(bytes)) => {
                        let _ = to.write_all(&piece[..bytes]);
                        false
                    }
                    None => false,
                };
                if !passes {
                    break;
                }
            }
            inner.end(number);
        });
    }

    /// Waits until a piece may go on, and says how; `None` when its connection was cut.
    fn pass(&self, number: u64, direction: Direction, piece: &[u8]) -> Option<Passage> {
        let mut state = self.lock();
        let delay = state.plan.delay;
        if !delay.is_zero() {
            let there = |state: &mut State| state.connections.contains_key(&number);
            let waited = self.changed.wait_timeout_while(state, delay, there);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let held = |state: &mut State| state.plan.way == Way::Frozen && state.connections.contains_key(&number);
        let mut state = self.changed.wait_while(state, held).unwrap_or_else(PoisonError::into_inner);
        state.bytes += piece.len() as u64;
        let State { plan, connections, .. } = &mut *state;
        let connection = connections.get_mut(&number)?;
        Some(plan.judge(&mut connection.memory, direction, piece))
    }

    fn end(&self, number: u64) {
        if let Some(connection) = self.lock().connections.remove(&number) {
            connection.cut();
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::SOON;

    /// A server that says everything back.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || std::io::copy(&mut stream.try_clone().expect("a socket"), &mut stream));
            }
        });
        port
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("connect");
        stream.set_read_timeout(Some(SOON)).expect("a time-out");
        stream
    }

    fn hears(stream: &mut TcpStream, said: &[u8]) -> Vec<u8> {
        stream.write_all(said).expect("write");
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).expect("an answer");
        heard
    }

    /// What still comes until the connection ends.
    fn rest(stream: &mut TcpStream) -> Vec<u8> {
        let mut heard = Vec::new();
        // A connection that is reset has ended too.
        let _ = stream.read_to_end(&mut heard);
        heard
    }

    #[test]
    fn everything_passes_until_something_else_is_asked() {
        let proxy = Proxy::before(echo()).expect("a proxy");
        let (mut one, mut two) = (connect(&proxy), connect(&proxy));
        assert_eq!(hears(&mut one, b"hello"), b"hello");
        assert_eq!(hears(&mut two, b"world"), b"world");
        proxy.cut();
        assert_eq!((rest(&mut one).len(), rest(&mut two).len()), (0, 0));
        assert_eq!(hears(&mut connect(&proxy), b"again"), b"again");
        proxy.close();
        assert_eq!(rest(&mut connect(&proxy)).len(), 0);
    }

    #[test]
    fn it_can_lead_to_another_server() {
        let (one, two) = (echo(), echo());
        let proxy = Proxy::before(one).expect("a proxy");
        let mut stream = connect(&proxy);
        assert_eq!(hears(&mut stream, b"hello"), b"hello");
        proxy.lead_to(two);
        assert_eq!(rest(&mut stream).len(), 0, "cut");
        assert_eq!(hears(&mut connect(&proxy), b"again"), b"again");
        assert_eq!(proxy.instead(&format!("mysql://a@b:{two}/c")), format!("mysql://a@b:{}/c", proxy.port()));
    }

    #[test]
    fn what_is_held_up_by_a_freeze_arrives_when_it_is_over() {
        let proxy = Proxy::before(echo()).expect("a proxy");
        let mut stream = connect(&proxy);
        assert_eq!(hears(&mut stream, b"hello"), b"hello");
        proxy.freeze();
        stream.write_all(b"are you there?").expect("it is accepted");
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a time-out");
        stream.read(&mut [0]).expect_err("silence");
        stream.set_read_timeout(Some(SOON)).expect("a time-out");
        proxy.heal();
        let mut heard = [0; 14];
        stream.read_exact(&mut heard).expect("an answer");
        assert_eq!(&heard, b"are you there?");
    }

    #[test]
    fn an_answer_that_is_lost_was_given() {
        let proxy = Proxy::before_database(echo()).expect("a proxy");
        let mut stream = connect(&proxy);
        assert_eq!(hears(&mut stream, b"READ COMMITTED"), b"READ COMMITTED");
        proxy.lose_answers_to_commits(1);
        stream.write_all(b"\x03COMMIT").expect("write");
        assert_eq!(rest(&mut stream).len(), 0);
        assert_eq!(proxy.lost(), 1);
    }

    #[test]
    fn a_connection_is_cut_behind_so_many_bytes() {
        let proxy = Proxy::before(echo()).expect("a proxy");
        let mut stream = connect(&proxy);
        proxy.cut_after(3);
        stream.write_all(b"half of it").expect("write");
        assert!(rest(&mut stream).len() <= 3);
    }
}
