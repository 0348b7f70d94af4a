//! Where a store under test lives, so that a test can close it and open it again as a restarted server would.

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use mysql_async::{Conn, Opts, prelude::Queryable as _};
use nightshift_store::{
    Store,
    mysql::{Address, Limits, MysqlStore},
    sqlite::SqliteStore,
};
use nightshift_testbed::database::{Make, SCHEMA, Server, Wishes};

/// A place for one store; what was stored outlives the `Box<dyn Store>`.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// Opens the store; the one opened before must have been dropped.
    async fn open(&self) -> Box<dyn Store>;
}

/// A fresh folder with a SQLite store.
pub(crate) struct SqlitePlace {
    folder: tempfile::TempDir,
}

impl SqlitePlace {
    pub(crate) fn fresh() -> SqlitePlace {
        SqlitePlace { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("nightshift.sqlite")
    }
}

#[async_trait]
impl Place for SqlitePlace {
    async fn open(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(&self.database()).expect("open the store"))
    }
}

/// A fresh schema on a MariaDB or MySQL server that all tests of this program share.
pub(crate) struct MysqlPlace {
    url: String,
}

impl MysqlPlace {
    /// `None` when this machine has no such server, which is said once.
    pub(crate) async fn fresh(make: Make) -> Option<MysqlPlace> {
        let url = MysqlPlace::fresh_on(shared(make)?).await;
        Some(MysqlPlace { url })
    }

    /// The address of a fresh schema on a server.
    pub(crate) async fn fresh_on(server: &Server) -> String {
        let schema = format!("t_{}", uuid::Uuid::new_v4().simple());
        let mut shell = shell(&server.url(SCHEMA)).await;
        shell.query_drop(format!("CREATE DATABASE {schema}")).await.expect("a fresh schema");
        shell.disconnect().await.expect("goodbye");
        server.url(&schema)
    }

    /// The store as a job server opens it, but with more patience: a disk that everybody writes to may sync for longer than
    /// a job server waits. What it does with a silent database has tests of its own.
    pub(crate) async fn store(&self) -> MysqlStore {
        let patience = Duration::from_secs(120);
        open(&self.url, Limits { connect: patience, statement: patience }).await
    }

    /// A person's connection to the schema.
    pub(crate) async fn shell(&self) -> Conn {
        shell(&self.url).await
    }

    /// Removes the schema: many of them make a server slow.
    pub(crate) async fn remove(self) {
        let mut shell = self.shell().await;
        let schema = self.url.rsplit('/').next().expect("a schema");
        shell.query_drop(format!("DROP DATABASE {schema}")).await.expect("a schema of one's own");
        shell.disconnect().await.expect("goodbye");
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

#[async_trait]
impl Place for MysqlPlace {
    async fn open(&self) -> Box<dyn Store> {
        Box::new(self.store().await)
    }
}

pub(crate) async fn open(url: &str, limits: Limits) -> MysqlStore {
    let address = Address::parse(url).expect("an address");
    MysqlStore::open(&address, limits).await.expect("open the store")
}

pub(crate) async fn shell(url: &str) -> Conn {
    Conn::new(Opts::from_url(url).expect("an address")).await.expect("connect")
}

/// A server of one's own, to be mistreated.
pub(crate) fn own(make: Make) -> Option<Server> {
    let server = Server::start(make, Wishes { binlog: true, ..Wishes::default() }).expect("a server");
    if server.is_none() {
        say_not_run(make);
    }
    server
}

fn shared(make: Make) -> Option<&'static Server> {
    static MARIADB: OnceLock<Option<Server>> = OnceLock::new();
    static MYSQL: OnceLock<Option<Server>> = OnceLock::new();
    let server = match make {
        Make::MariaDb => &MARIADB,
        Make::MySql => &MYSQL,
    };
    let server = server.get_or_init(|| Server::start(make, Wishes::default()).expect("a server"));
    if server.is_none() {
        say_not_run(make);
    }
    server.as_ref()
}

/// Says once, past the harness that hides what passing tests print, that the tests of a store did not run.
fn say_not_run(make: Make) {
    static SAID: Mutex<Vec<Make>> = Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.contains(&make) {
        said.push(make);
        let advice = make.advice();
        writeln!(std::io::stderr(), "\nNOT RUN: the store's tests on {make}, which is not installed: {advice}")
            .expect("standard error");
    }
}
