//! Database servers with a company's data, and a plugin `p` on them.

use std::fs;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, Row};
use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::{BlockError, Data, Host, OpenError, Plugin, Replica};
use nightshift_testbed::database::{Make, SCHEMA, Server, Wishes};
use nightshift_wire::{Outcome, Record, RecordResult, Records};

/// What the schema `company` holds, and who may read it.
const COMPANY: &[&str] = &[
    "CREATE DATABASE company CHARACTER SET utf8mb4",
    "CREATE DATABASE nightshift_scratch",
    "CREATE TABLE company.people (person_id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL, KEY by_name (name))",
    "INSERT INTO company.people VALUES (1, 'Anna'), (2, 'Bert'), (3, 'Anna')",
    "CREATE TABLE company.written (a INT)",
    "CREATE FUNCTION company.writes() RETURNS INT DETERMINISTIC MODIFIES SQL DATA \
     BEGIN INSERT INTO company.written VALUES (1); RETURN 1; END",
    "CREATE USER reader@'127.0.0.1'",
    "GRANT SELECT ON company.* TO reader@'127.0.0.1'",
    "GRANT CREATE TEMPORARY TABLES ON nightshift_scratch.* TO reader@'127.0.0.1'",
];

/// A server that plays the worker's replica.
pub(crate) struct Site {
    pub(crate) server: Server,
    samples: Mutex<()>,
}

impl Site {
    /// A server of the make for one test alone; `None`, and said so, where there is none.
    pub(crate) fn fresh(make: Make) -> Option<Site> {
        let wishes = Wishes { settings: vec!["--log-bin-trust-function-creators=1".to_owned()], ..Wishes::default() };
        let Some(server) = Server::start(make, wishes).expect("the server starts") else {
            // Past the test harness, which would swallow it.
            writeln!(std::io::stderr(), "\nNOT RUN: a test on {make}, which is not installed: {}", make.advice())
                .expect("stderr");
            return None;
        };
        let site = Site { server, samples: Mutex::default() };
        for statement in COMPANY {
            site.administer(statement);
        }
        Some(site)
    }

    /// The servers that tests share, one of each make.
    pub(crate) fn each() -> impl Iterator<Item = &'static Site> {
        static SITES: [OnceLock<Option<Site>>; 2] = [OnceLock::new(), OnceLock::new()];
        let makes = [Make::MariaDb, Make::MySql].into_iter();
        makes.zip(&SITES).filter_map(|(make, site)| site.get_or_init(|| Site::fresh(make)).as_ref())
    }

    /// The server as one that samples are run on, for as long as the guard lives: all samples use one database on it, and a
    /// worker runs those of one plugin after the other.
    pub(crate) fn private(&self) -> (Replica, MutexGuard<'_, ()>) {
        let alone = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        (Replica::parse(&self.server.url(SCHEMA)).expect("an address"), alone)
    }

    pub(crate) fn make(&self) -> Make {
        self.server.make()
    }

    /// Runs a statement with all rights.
    pub(crate) fn administer(&self, statement: &str) -> Vec<Row> {
        let opts = Opts::from_url(&self.server.url("nightshift")).expect("an address");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = Conn::new(opts).await.expect("connects");
            let rows = connection.query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
            connection.disconnect().await.expect("disconnects");
            rows
        })
    }

    /// How many queries of the user whose text contains `part` run now.
    pub(crate) fn running(&self, user: &str, part: &str) -> usize {
        let rows = self.administer("SHOW FULL PROCESSLIST");
        let shown = |row: &Row, column: &str| row.get_opt::<String, _>(column).and_then(Result::ok).unwrap_or_default();
        rows.iter().filter(|row| shown(row, "User") == user && shown(row, "Info").contains(part)).count()
    }

    /// The replica as the account `user` sees it.
    pub(crate) fn replica_as(&self, user: &str) -> Replica {
        let address = format!("mysql://{user}@127.0.0.1:{}/company", self.server.port());
        Replica::parse(&address).expect("an address")
    }

    pub(crate) fn host(&self) -> Host {
        Host { replica: Some(self.replica_as("reader")), ..Host::default() }
    }
}

pub(crate) const MANIFEST: &str = "runtime = \"sql\"\n[input]\nname = \"text\"\nage = \"integer\"\n[output]\nhits = \"integer\"\n\
    [data]\nsource = \"replica\"\ntables = [\"people\"]\n[limits]\nseconds_per_block = 2\n";

pub(crate) const COUNT: &str =
    "SELECT r.record_id, (SELECT count(*) FROM people p WHERE p.name = r.name) AS hits FROM records r";

/// A release tree with one plugin `p`: input `name` (text) and `age` (integer), output `hits` (integer).
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    pub(crate) fn new(query: &str) -> Tree {
        let tree = Tree(tempfile::tempdir().expect("a temporary folder"));
        tree.with("plugin.toml", MANIFEST).with("query.mysql.sql", query)
    }

    /// With another file in the plugin's folder.
    pub(crate) fn with(self, file: &str, text: &str) -> Tree {
        let path = self.folder().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creates the folder");
        fs::write(path, text).expect("writes the file");
        self
    }

    pub(crate) fn folder(&self) -> std::path::PathBuf {
        self.0.path().join("plugins/p")
    }

    pub(crate) fn open(&self, host: &Host) -> Result<Box<dyn Plugin>, OpenError> {
        let text = fs::read_to_string(self.folder().join("plugin.toml")).expect("reads the manifest");
        let manifest = PluginManifest::parse("p", &text).expect("a good manifest");
        nightshift_plugin::open(self.0.path(), &manifest, Data::Release, host)
    }

    pub(crate) fn refusal(&self, site: &Site) -> String {
        self.open(&site.host()).err().expect("the plugin does not open").to_string()
    }

    pub(crate) fn process(&self, site: &Site, records: &[(&str, &str)]) -> Result<Vec<RecordResult>, BlockError> {
        self.open(&site.host()).expect("opens").process(&block(records))
    }

    /// Outcomes in short: hits, or the error.
    pub(crate) fn outcomes(&self, site: &Site, records: &[(&str, &str)]) -> Vec<String> {
        shown(self.process(site, records).expect("the block has results"))
    }
}

/// Hits, or the error.
pub(crate) fn shown(results: Vec<RecordResult>) -> Vec<String> {
    let shown = |result: RecordResult| match result.outcome {
        Outcome::Ok(values) => values.get("hits").map_or("null".to_owned(), ToString::to_string),
        Outcome::Error(error) => error,
    };
    results.into_iter().map(shown).collect()
}

/// Records with numbers that are no places, and columns in another order than the manifest's.
pub(crate) fn block(records: &[(&str, &str)]) -> Records {
    let columns = ["age", "note", "name"].map(str::to_owned).to_vec();
    let record = |(index, (name, age)): (usize, &(&str, &str))| Record {
        id: 1000 - 3 * index as i64,
        values: [*age, "x", *name].map(str::to_owned).to_vec(),
    };
    Records { columns, records: records.iter().enumerate().map(record).collect() }
}
