//! The company's primary database, as the job server asks it: what it is, how far it is, and the row written each second.
//!
//! The one place of this crate that asks a database which is not the store. What the answers mean is decided in
//! `jobserver/rules`; whether a replica has caught up, on the workers.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, Row, SslOpts, params};
use nightshift_rules::primary::{self, Before, NoPrimary, PrimaryFacts};
use nightshift_wire::{DataPosition, Moment, PrimaryStatus};
use tokio::time::timeout;

use crate::clock::timestamp;
use crate::config::{PrimarySettings, TableName};
use crate::password_file::{self, PasswordError};
use crate::refused::chain;

/// How many replicas may be built anew at once, unless jobserver.toml says otherwise.
pub const REBUILDS_AT_ONCE: u32 = 2;

/// So many questions at once; hand-ins beyond them wait for one another.
const CONNECTIONS: usize = 4;
/// A connection is not used for longer: the name may lead to another server by now.
const CONNECTION_LIFE: Duration = Duration::from_secs(10);
/// The column of a heartbeat is so long: `2025-01-02T03:04:05.123000`, UTC.
const HEARTBEAT_TIME: &str = "%Y-%m-%dT%H:%M:%S%.6f";
/// What a server says when there is no such table, or no such schema.
const NO_TABLE: [u16; 2] = [1146, 1049];
/// What it says when a table has no such column.
const NO_COLUMN: u16 = 1054;

/// The primary, and what workers' replicas of it need. Nothing of it is there unless jobserver.toml says so.
#[derive(Debug)]
pub struct CompanyData {
    /// The primary, when this server may ask it.
    pub primary: Option<Primary>,
    /// What workers' own servers need; what this server learns by itself is filled in when it is asked for.
    pub way: Option<nightshift_wire::Replication>,
    /// The file with the password of the account in `way`, which is read each time that is told: who changes it there restarts
    /// nothing.
    pub password_file: Option<PathBuf>,
    /// How many replicas may be built anew at once.
    pub rebuilds_at_once: u32,
}

impl Default for CompanyData {
    fn default() -> CompanyData {
        CompanyData { primary: None, way: None, password_file: None, rebuilds_at_once: REBUILDS_AT_ONCE }
    }
}

impl CompanyData {
    /// What a worker's own server needs to copy the primary; `None` when it is not told here.
    ///
    /// # Errors
    /// When the file with the password cannot be read now, or is empty.
    pub(crate) async fn way(&self, now: Moment) -> Result<Option<nightshift_wire::Replication>, PasswordError> {
        let Some(way) = &self.way else { return Ok(None) };
        let password = match self.password_file.clone() {
            Some(file) => tokio::task::spawn_blocking(move || password_file::read(&file)).await??,
            None => way.password.clone(),
        };
        let primary = self.primary.as_ref();
        let heartbeat = primary.and_then(|primary| primary.heartbeat.as_ref()).map(TableName::to_string);
        let now = heartbeat.is_some().then_some(now);
        let known = primary.and_then(|primary| primary.known().position).map(|position| position.primary);
        Ok(Some(nightshift_wire::Replication { password, primary: known, heartbeat, now, ..way.clone() }))
    }

    /// How this server stands with the primary; `None` when it has none to ask.
    pub(crate) fn status(&self) -> Option<PrimaryStatus> {
        let Known { position, problem, warnings, heartbeat, .. } = self.primary.as_ref()?.known();
        let warnings = warnings.iter().map(|warning| (*warning).to_owned());
        Some(PrimaryStatus { position, problem, warnings: warnings.chain(heartbeat).collect() })
    }
}

/// A primary that can be asked.
#[derive(Debug)]
pub struct Primary {
    pool: Pool,
    heartbeat: Option<TableName>,
    patience: Duration,
    known: Mutex<Known>,
}

/// What is known of a primary.
#[derive(Debug, Clone, Default)]
struct Known {
    /// What it was, and how far, when it answered last as one that counts.
    position: Option<DataPosition>,
    /// Why it could not be asked last, or does not count; empty when all was well.
    problem: String,
    warnings: Vec<&'static str>,
    /// Why the heartbeat row was not written last; `None` when it was, or nobody wants it.
    heartbeat: Option<String>,
    /// Whose row this server wrote last, and how many transactions it wrote there.
    beaten: Option<(String, u64)>,
}

/// A heartbeat row that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// As ever, or nobody wants one.
    Usual,
    /// Its table was not there and was made.
    Anew,
}

/// A primary that answered.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// What it is and how far.
    pub(crate) position: DataPosition,
    /// What to watch out for, all the same.
    pub(crate) warnings: Vec<&'static str>,
    server_id: u32,
}

/// Why the primary cannot be asked, or not written to.
#[derive(Debug, thiserror::Error)]
pub enum PrimaryError {
    /// Its address or certificates cannot be used.
    #[error("the address of the primary cannot be read")]
    Address(#[source] mysql_async::UrlError),
    /// It says nothing.
    #[error("the primary did not answer within {} s: see that it runs and can be reached", .0.as_secs())]
    Silent(Duration),
    /// It refuses, or cannot be reached.
    #[error("the primary cannot be asked: see that it runs, and that the account of [primary] may log in")]
    Away(#[source] mysql_async::Error),
    /// What answers is no primary.
    #[error("the server at the primary's address is no primary")]
    NoPrimary(#[source] NoPrimary),
    /// The heartbeat row cannot be written.
    #[error(
        "the table {table} cannot be written: make it, and GRANT SELECT, INSERT, UPDATE ON {table} to the account of [primary]; \
         or write heartbeat = \"none\" when pt-heartbeat does it"
    )]
    Heartbeat {
        /// The table.
        table: String,
        /// What the primary said.
        source: mysql_async::Error,
    },
}

impl Primary {
    /// A primary by its settings, which is not asked yet.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn new(
        settings: &PrimarySettings,
        password: Option<&str>,
        patience: Duration,
    ) -> Result<Primary, PrimaryError> {
        let opts = Opts::from_url(&settings.url).map_err(PrimaryError::Address)?;
        let named = opts.socket().is_some();
        let constraints = PoolConstraints::new(0, CONNECTIONS).unwrap_or_default();
        let pool = PoolOpts::default().with_constraints(constraints).with_abs_conn_ttl(Some(CONNECTION_LIFE));
        let password = password.or(opts.pass()).map(str::to_owned);
        let tls =
            settings.tls_ca.as_ref().map(|ca: &PathBuf| SslOpts::default().with_root_certs(vec![ca.clone().into()]));
        // Through the named host and port, unless a socket is named: a loopback address would be exchanged for one.
        let mut opts = OptsBuilder::from_opts(opts).pass(password).pool_opts(pool).prefer_socket(named);
        if tls.is_some() {
            opts = opts.ssl_opts(tls);
        }
        let heartbeat = settings.heartbeat.clone();
        Ok(Primary { pool: Pool::new(opts), heartbeat, patience, known: Mutex::default() })
    }

    /// Asks what it is and how far; noted is `now`.
    pub(crate) async fn look(&self, now: Moment) -> Result<Seen, PrimaryError> {
        let seen = self.judged(now).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match &seen {
            Ok(seen) => {
                known.position = Some(seen.position.clone());
                known.warnings.clone_from(&seen.warnings);
                known.problem.clear();
            }
            Err(error) => known.problem = chain(error),
        }
        seen
    }

    async fn judged(&self, now: Moment) -> Result<Seen, PrimaryError> {
        // As it was before it is asked: somebody else may ask it meanwhile, and hear of more.
        let Known { position: known, beaten, .. } = self.known();
        let asked = timeout(self.patience, self.ask()).await.map_err(|_| PrimaryError::Silent(self.patience))?;
        let (mut facts, server_id) = asked.map_err(PrimaryError::Away)?;
        // The row only ever grows. A server that was put back, and has had more transactions since than before, shows it there.
        let wrote = beaten.filter(|(of, _)| *of == facts.identity).map(|(_, wrote)| wrote);
        facts.before.is_undone = wrote.zip(facts.before.transactions).is_some_and(|(wrote, holds)| holds < wrote);
        if let Some(known) = known.filter(|known| known.primary == facts.identity) {
            facts.before.transactions = facts.before.transactions.max(primary::transactions(&known.gtid));
        }
        let judged = primary::judge(&facts, now);
        if judged == Err(NoPrimary::HistoryLost) && !facts.before.history_lost {
            // Once it has more transactions than before, nothing else would show it. That is tried with each look.
            let _ = timeout(self.patience, self.note_history_lost()).await;
        }
        Ok(Seen { position: judged.map_err(PrimaryError::NoPrimary)?, warnings: primary::warnings(&facts), server_id })
    }

    async fn ask(&self) -> mysql_async::Result<(PrimaryFacts, u32)> {
        let mut connection = self.pool.get_conn().await?;
        let version: Option<String> = connection.query_first(include_str!("primary/make.sql")).await?;
        let mariadb = version.is_some_and(|version| version.contains("MariaDB"));
        // What was counted before is read before it is counted again: another job server may count meanwhile.
        let remembered = self.remembered(&mut connection).await?;
        let sql = if mariadb { include_str!("primary/mariadb.sql") } else { include_str!("primary/mysql.sql") };
        let row: Option<Row> = connection.query_first(sql).await?;
        let row = row.ok_or_else(|| mysql_async::Error::Other("a server without variables".into()))?;
        let format: Option<(String, String)> = connection.query_first(include_str!("primary/format.sql")).await?;
        let text = |column: &str| row.get::<String, _>(column).unwrap_or_default();
        let server_id = row.get::<u32, _>("server_id").unwrap_or_default();
        let identity = match (mariadb, server_id) {
            (true, 0) => String::new(),
            (true, id) => format!("mariadb:{id}"),
            (false, _) => format!("mysql:{}", text("uuid")),
        };
        let before = remembered.filter(|(of, _)| *of == identity).map(|(_, before)| before).unwrap_or_default();
        let facts = PrimaryFacts {
            identity,
            gtid: text("gtid"),
            binlog: row.get::<u8, _>("binlog") == Some(1),
            gtids: mariadb || text("gtid_mode") == "ON",
            // Later versions of MariaDB have more words for it than ON.
            read_only: !matches!(&*text("read_only"), "0" | "OFF"),
            // A version that has no such setting any more knows nothing else than rows.
            logs_rows: format.is_none_or(|(_, format)| format == "ROW"),
            before,
        };
        Ok((facts, server_id))
    }

    /// What the row holds of the server that it is on: whose it is, and what was known then.
    async fn remembered(&self, connection: &mut Conn) -> mysql_async::Result<Option<(String, Before)>> {
        let Some(table) = &self.heartbeat else { return Ok(None) };
        let sql = include_str!("primary/remembered.sql").replace("{heartbeat}", &table.quoted());
        match connection.query_first::<(Option<String>, Option<u64>, bool), _>(sql).await {
            Ok(row) => Ok(row.and_then(|(of, transactions, history_lost)| {
                Some((of?, Before { transactions, history_lost, is_undone: false }))
            })),
            // There is no row yet, or somebody made a table with less in it.
            Err(mysql_async::Error::Server(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn note_history_lost(&self) -> mysql_async::Result<()> {
        let Some(table) = &self.heartbeat else { return Ok(()) };
        let mut connection = self.pool.get_conn().await?;
        connection.query_drop(include_str!("primary/history_lost.sql").replace("{heartbeat}", &table.quoted())).await
    }

    /// Writes the heartbeat row of the primary that was seen, in its table, which is made when there is none.
    pub(crate) async fn beat(&self, seen: &Seen, now: Moment) -> Result<Beat, PrimaryError> {
        let Some(table) = &self.heartbeat else { return Ok(Beat::Usual) };
        let written = match timeout(self.patience, self.write(table, seen, now)).await {
            Ok(written) => written.map_err(|source| PrimaryError::Heartbeat { table: table.to_string(), source }),
            Err(_) => Err(PrimaryError::Silent(self.patience)),
        };
        let problem = written.as_ref().err().map(|error| format!("no heartbeat: {}", chain(error)));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.heartbeat = problem;
        if written.is_ok() {
            let transactions = primary::transactions(&seen.position.gtid);
            known.beaten = transactions.map(|transactions| (seen.position.primary.clone(), transactions));
        }
        written
    }

    async fn write(&self, table: &TableName, seen: &Seen, now: Moment) -> mysql_async::Result<Beat> {
        let mut connection = self.pool.get_conn().await?;
        let sql = |text: &str| text.replace("{heartbeat}", &table.quoted());
        let (beat, plain) = (sql(include_str!("primary/beat.sql")), sql(include_str!("primary/beat_plain.sql")));
        let ts = timestamp(now).strftime(HEARTBEAT_TIME).to_string();
        let row = || {
            params! {
                "ts" => &ts,
                "server_id" => seen.server_id,
                "identity" => &seen.position.primary,
                "transactions" => primary::transactions(&seen.position.gtid),
            }
        };
        match connection.exec_drop(&beat, row()).await {
            Err(mysql_async::Error::Server(error)) if NO_TABLE.contains(&error.code) => {
                make(&mut connection, table).await?;
                connection.exec_drop(&beat, row()).await?;
                return Ok(Beat::Anew);
            }
            Err(mysql_async::Error::Server(error)) if error.code == NO_COLUMN => {
                connection.exec_drop(&plain, params! { "ts" => &ts, "server_id" => seen.server_id }).await
            }
            written => written,
        }
        .map(|()| Beat::Usual)
    }

    /// The table with the heartbeat row, where this server writes it.
    pub(crate) fn heartbeat(&self) -> Option<&TableName> {
        self.heartbeat.as_ref()
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes the heartbeat's table, and its schema when that is missing.
async fn make(connection: &mut Conn, table: &TableName) -> mysql_async::Result<()> {
    let make_table = include_str!("primary/make_heartbeat.sql").replace("{heartbeat}", &table.quoted());
    match connection.query_drop(&make_table).await {
        Err(mysql_async::Error::Server(error)) if NO_TABLE.contains(&error.code) => {
            let schema = format!("`{}`", table.schema());
            connection.query_drop(include_str!("primary/make_schema.sql").replace("{schema}", &schema)).await?;
            connection.query_drop(&make_table).await
        }
        made => made,
    }
}
