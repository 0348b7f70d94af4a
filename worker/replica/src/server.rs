//! The worker's own server: a mariadbd or mysqld that nobody set up as a service, unprivileged, in the worker's state folder.
//!
//! 1. Its data folder is made in a folder beside its place and renamed there when it is whole ([`initialise`]).
//! 2. Before each start, data of another worker get a new UUID and new passwords ([`crate::identity`]), and the file of what
//!    it does before it answers is written anew, with all of its accounts ([`accounts`]).
//! 3. It is started in a session of its own and outlives whoever started it; the next cycle finds it by its lock
//!    ([`crate::process`]). One that was started otherwise than it would be now is ended and started again.
//! 4. It is asked to end, and killed when it does not in time: that costs it nothing but the time to recover.
//!
//! What it copies, and whether that is current, is not judged here; how it is filled is [`crate::rebuild`]'s.

mod accounts;
mod initialise;
mod place;
mod program;
mod settings;
pub(crate) mod wait;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::{Conn, Opts, OptsBuilder};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

pub(crate) use accounts::SCRATCH;
pub use accounts::{KEEPER, READER};
pub use place::Place;
pub(crate) use program::is_script;
pub use program::{ProgramError, Programs, USUAL_FOLDERS, packages};
pub use settings::{Copied, Mode};

use crate::process::{self, Launch};
use crate::{identity, swap};

/// How long a server may take until it answers: it may have much to recover.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(300);
/// How long a server may take to end by itself.
pub const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A log larger than this is put aside before a start.
const LARGEST_LOG: u64 = 4 << 20;
/// The memory it takes for pages of data when nobody says.
pub const MEMORY_MIB: u32 = 128;

/// The worker's own server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no program for it.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Its folder is out of order.
    #[error("{doing} {path}", path = .path.display())]
    Folder {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing can connect to a socket there.
    #[error("the server's socket would be {path}, which is longer than {most} bytes: choose a shorter state_dir in worker.toml", path = .0.display(), most = place::LONGEST_SOCKET)]
    LongSocket(PathBuf),
    /// Its data folder cannot be made.
    #[error("making a data folder with {program}: {why}", program = .program.display())]
    Initialise {
        /// What makes it.
        program: PathBuf,
        /// What it said.
        why: String,
    },
    /// It has no data.
    #[error("there are no data in {path} yet: the next cycle builds them", path = .0.display())]
    NoData(PathBuf),
    /// It cannot be started.
    #[error("starting {program}", program = .program.display())]
    Spawn {
        /// The server.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It ended instead of answering.
    #[error("{program} ended instead of answering; it said: {said}", program = .program.display())]
    Ended {
        /// The server.
        program: PathBuf,
        /// The end of its log.
        said: String,
    },
    /// It does not answer.
    #[error("the server (process {pid}) has not answered within {within} s; {log} may say why", within = .within.as_secs(), log = .log.display())]
    Silent {
        /// Its process.
        pid: u32,
        /// How long it was waited for.
        within: Duration,
        /// What it says.
        log: PathBuf,
    },
    /// It takes no connection.
    #[error("connecting to the worker's own server")]
    Connect(#[source] mysql_async::Error),
    /// Not even a kill ended it.
    #[error("the server does not end, not even killed: its disk does not answer; restart the machine")]
    Undying,
}

/// How a server was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HowEnded {
    /// None ran.
    NoneRan,
    /// It ended by itself when it was asked to.
    InGoodOrder,
    /// It was killed.
    Killed,
}

/// A worker's own server, running or not.
#[derive(Debug, Clone)]
pub struct OwnServer {
    place: Place,
    programs: Programs,
    worker: String,
    memory_mib: u32,
}

/// Whether a server that runs is waited for.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// It may be coming up.
    Awaited,
    /// It has answered.
    Known,
}

impl OwnServer {
    /// The server of `worker` in a folder, run by these programs; nothing is done yet.
    ///
    /// # Errors
    /// When its socket could not be reached.
    pub fn new(place: Place, programs: Programs, worker: &str, memory_mib: u32) -> Result<OwnServer, ServerError> {
        let socket = place.socket();
        if socket.as_os_str().len() > place::LONGEST_SOCKET {
            return Err(ServerError::LongSocket(socket));
        }
        Ok(OwnServer { place, programs, worker: worker.to_owned(), memory_mib })
    }

    /// Where its things stand.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it is run by.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Its process number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        pid(&self.place)
    }

    /// What is in its data folder; `None` when nothing whole is.
    pub fn copied(&self) -> Option<Copied> {
        copied(&self.place)
    }

    /// Has it run for plugins: starts it when it does not, and again when it was started otherwise than it would be now.
    ///
    /// # Errors
    /// When it has no whole data, or does not come up.
    pub async fn follow(&self) -> Result<(), ServerError> {
        let copied = self.copied().ok_or_else(|| ServerError::NoData(self.place.data()))?;
        self.run(Mode::Following, &copied, Answer::Awaited).await
    }

    /// The same for one that has answered before: whether it still does is for whoever looks at it to find out.
    ///
    /// # Errors
    /// When it has no whole data, or has to be started and does not come up.
    pub async fn go_on_following(&self) -> Result<(), ServerError> {
        let copied = self.copied().ok_or_else(|| ServerError::NoData(self.place.data()))?;
        self.run(Mode::Following, &copied, Answer::Known).await
    }

    /// Has it run to be filled.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) async fn build(&self) -> Result<(), ServerError> {
        self.run(Mode::Building, &Copied::default(), Answer::Awaited).await
    }

    async fn run(&self, mode: Mode, copied: &Copied, answer: Answer) -> Result<(), ServerError> {
        self.prepare()?;
        let arguments = settings::arguments(&settings::Wanted {
            place: &self.place,
            programs: &self.programs,
            mode,
            copied,
            server_id: identity::number_of(&self.place, &self.worker),
            memory_mib: self.memory_mib,
            is_root: rustix::process::getuid().is_root(),
        });
        if let Some(pid) = self.pid() {
            let digest = digest(&self.programs, &arguments, &self.init(mode, copied)?);
            if fs::read_to_string(self.place.running()).is_ok_and(|running| running == digest) {
                return match answer {
                    Answer::Awaited => self.answers(pid).await,
                    Answer::Known => Ok(()),
                };
            }
            tracing::info!(pid, "the replica's server was started otherwise than it would be now: starting it again");
            self.stop(ENDS_WITHIN).await?;
        }
        // While nobody uses them.
        let taken = identity::take_over(&self.place, &self.worker);
        if taken.map_err(self.failed("making this worker's own what is in", self.place.root().into()))? {
            tracing::info!("the replica's data were copied from another worker: they get a new UUID");
        }
        let init = self.init(mode, copied)?;
        swap::replace(&self.place.init(), init.as_bytes()).map_err(self.failed("writing", self.place.init()))?;
        let digest = digest(&self.programs, &arguments, &init);
        self.start(&arguments, &digest).await
    }

    /// What it does before it answers.
    fn init(&self, mode: Mode, copied: &Copied) -> Result<String, ServerError> {
        let init = accounts::init(&self.place, self.programs.version.make, mode, copied);
        init.map_err(self.failed("reading or making passwords in", self.place.root().into()))
    }

    async fn start(&self, arguments: &[String], digest: &str) -> Result<(), ServerError> {
        let (log, lock) = (self.place.log(), self.place.lock());
        if fs::metadata(&log).is_ok_and(|metadata| metadata.len() > LARGEST_LOG) {
            swap::set_aside(&log, &self.place.log_before()).map_err(self.failed("putting aside", log.clone()))?;
        }
        self.forget_the_socket()?;
        let program = &self.programs.server;
        let launch = Launch { program, arguments, folder: self.place.root(), log: &log, lock: &lock };
        let started = process::start(&launch).await;
        let pid = started.map_err(|source| ServerError::Spawn { program: program.clone(), source })?;
        tracing::info!(pid, "started the replica's server: {}", self.programs.version);
        // One that is not known by what it was started with is started again by the next cycle.
        let running = self.place.running();
        swap::replace(&running, digest.as_bytes()).map_err(self.failed("writing", running))?;
        self.answers(pid).await
    }

    /// Takes away what a server that was killed left of its socket. MySQL's lock beside it names a process, whose number another
    /// one may have by now: no server would ever start there again.
    fn forget_the_socket(&self) -> Result<(), ServerError> {
        if self.pid().is_some() {
            return Ok(());
        }
        for left in [self.place.socket(), self.place.socket_lock()] {
            match fs::remove_file(&left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed("taking away", left)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits until the server takes connections.
    async fn answers(&self, pid: u32) -> Result<(), ServerError> {
        let program = &self.programs.server;
        let answered = wait::until(ANSWERS_WITHIN, async || match self.connect().await {
            Ok(connection) => {
                drop(timeout(CONNECT, connection.disconnect()).await);
                Some(true)
            }
            Err(_) => self.pid().is_none().then_some(false),
        });
        match answered.await {
            Some(true) => Ok(()),
            Some(false) => {
                Err(ServerError::Ended { program: program.clone(), said: process::last_words(&self.place.log()) })
            }
            None => Err(ServerError::Silent { pid, within: ANSWERS_WITHIN, log: self.place.log() }),
        }
    }

    /// Asks it to end, and kills it when it has not within `at_most`.
    ///
    /// # Errors
    /// When it does not even end killed.
    pub async fn stop(&self, at_most: Duration) -> Result<HowEnded, ServerError> {
        stop(&self.place, at_most).await
    }

    /// A connection as the keeper, who may do everything.
    ///
    /// # Errors
    /// When the server does not answer in time, or refuses.
    pub async fn connect(&self) -> Result<Conn, ServerError> {
        let opts = self.keeper_opts()?;
        let late = |_| mysql_async::Error::Io(io::Error::from(io::ErrorKind::TimedOut).into());
        let connected = timeout(CONNECT, Conn::new(opts)).await.map_err(late);
        connected.and_then(|connected| connected).map_err(ServerError::Connect)
    }

    /// How the keeper connects.
    ///
    /// # Errors
    /// When its password cannot be read.
    pub fn keeper_opts(&self) -> Result<Opts, ServerError> {
        keeper_opts(&self.place).map_err(self.failed("reading", self.place.keeper_password()))
    }

    /// The keeper's password.
    pub(crate) fn keeper_password(&self) -> Result<String, ServerError> {
        let path = self.place.keeper_password();
        accounts::password(&path).map_err(self.failed("reading", path))
    }

    /// The address by which plugins read `schema`, without the password, which is in [`Place::reader_password`].
    pub fn reader_address(&self, schema: &str) -> String {
        reader_address(&self.place, schema)
    }

    /// Gives it an identity that nobody else has, when somebody turned out to have the same; it is ended for that.
    ///
    /// # Errors
    /// When it does not end, or its folder cannot be written.
    pub async fn renew_identity(&self) -> Result<(), ServerError> {
        self.stop(ENDS_WITHIN).await?;
        identity::renew(&self.place).map_err(self.failed("giving a new identity to", self.place.root().into()))
    }

    /// Makes its folder, and what has to be there before it starts.
    fn prepare(&self) -> Result<(), ServerError> {
        self.place.make().map_err(self.failed("making", self.place.root().to_owned()))?;
        let temporary = self.place.temporary();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&temporary);
        made.map_err(self.failed("making", temporary))
    }

    pub(crate) fn failed(&self, doing: &'static str, path: PathBuf) -> impl FnOnce(io::Error) -> ServerError {
        move |source| ServerError::Folder { doing, path, source }
    }
}

/// What is in the data folder of a place; `None` when nothing whole is.
pub fn copied(place: &Place) -> Option<Copied> {
    if place.marker().exists() {
        return None;
    }
    serde_json::from_slice(&fs::read(place.copied()).ok()?).ok()
}

/// The address by which plugins read `schema` of the server in a place; see [`OwnServer::reader_address`].
pub fn reader_address(place: &Place, schema: &str) -> String {
    let socket = in_url(&place.socket().to_string_lossy());
    format!("mysql://{READER}@localhost/{}?socket={socket}", in_url(schema))
}

/// How the keeper of the server in a place connects; see [`OwnServer::keeper_opts`].
///
/// # Errors
/// When its password cannot be read.
pub fn keeper_opts(place: &Place) -> io::Result<Opts> {
    let opts = OptsBuilder::default()
        .socket(Some(place.socket().to_string_lossy()))
        .user(Some(KEEPER))
        .pass(Some(accounts::password(&place.keeper_password())?))
        .stmt_cache_size(Some(0));
    Ok(opts.into())
}

/// The process of the server that runs in a place.
pub fn pid(place: &Place) -> Option<u32> {
    process::running(&place.lock()).map(|running| running.pid)
}

/// Ends the server of a folder, whoever started it; see [`OwnServer::stop`].
///
/// # Errors
/// When it does not even end killed.
pub async fn stop(place: &Place, at_most: Duration) -> Result<HowEnded, ServerError> {
    let lock = place.lock();
    let Some(running) = process::running(&lock) else { return Ok(HowEnded::NoneRan) };
    let pid = running.pid;
    match running.end(&lock, at_most).await {
        Some(true) => {
            tracing::info!(pid, "the replica's server ended");
            Ok(HowEnded::InGoodOrder)
        }
        Some(false) => {
            tracing::warn!(pid, "killed the replica's server, which did not end within {} s", at_most.as_secs());
            Ok(HowEnded::Killed)
        }
        None => Err(ServerError::Undying),
    }
}

/// What a server is started with, as a digest: nobody reads a password out of it.
fn digest(programs: &Programs, arguments: &[String], init: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [programs.server.to_string_lossy().as_ref(), &programs.version.to_string(), &arguments.join("\0"), init]
    {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text within an address.
fn in_url(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let written = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::{Make, Version};

    #[test]
    fn a_socket_that_nothing_could_connect_to_is_refused_with_what_to_do() {
        let programs = Programs {
            server: "/usr/sbin/mariadbd".into(),
            version: Version { make: Make::MariaDb, numbers: (10, 11, 19) },
            client: "/usr/bin/mariadb".into(),
            dump: "/usr/bin/mariadb-dump".into(),
            install: None,
            is_script: false,
        };
        let deep = Place::new(format!("/{}/replica", "deep/".repeat(20)));
        let refused = OwnServer::new(deep, programs, "w", MEMORY_MIB).expect_err("too long");
        assert!(refused.to_string().contains("choose a shorter state_dir"), "{refused}");
    }

    #[test]
    fn a_path_stays_one_in_an_address() {
        assert_eq!(in_url("/var/a b/ü?"), "/var/a%20b/%C3%BC%3F");
    }
}
