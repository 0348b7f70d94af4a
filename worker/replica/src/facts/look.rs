//! Asking a server for its facts. The driver has no time-outs of its own: every wait here has one.
//!
//! A connection is kept from one look to the next. One on which something went wrong is thrown away; a kept one that turns out
//! to be lost is made again once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, Row, ServerError, Value};
use tokio::time::timeout;

use super::status::{self, Named};
use super::{Absence, Facts, Heartbeat, Identity};
use crate::make::{Make, Version};
use crate::position::Gtids;

const VERSION: &str = include_str!("version.sql");
const SERVER_MARIADB: &str = include_str!("server_mariadb.sql");
const SERVER_MYSQL: &str = include_str!("server_mysql.sql");
const SERVER_MYSQL_OLD: &str = include_str!("server_mysql_old.sql");
const STATUS_MARIADB: &str = include_str!("status_mariadb.sql");
const STATUS_MYSQL: &str = include_str!("status_mysql.sql");
const HEARTBEAT: &str = include_str!("heartbeat.sql");
const TABLE: &str = include_str!("table.sql");

/// The table with the heartbeat row, where nothing else is said.
pub const USUAL_HEARTBEAT: &str = "nightshift.heartbeat";
const NOT_COPIED: &str = "it was not there, or not to be read by the account that copies, when these data were copied";

/// What a worker needs of its replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The table with the heartbeat row, as `schema.table`; `None` where the data were copied without one.
    pub heartbeat: Option<String>,
    /// The tables that plugins read, each as `schema.table`.
    pub tables: BTreeSet<String>,
}

impl Default for Needs {
    fn default() -> Needs {
        Needs { heartbeat: Some(USUAL_HEARTBEAT.to_owned()), tables: BTreeSet::new() }
    }
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For an answer.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { connect: Duration::from_secs(5), answer: Duration::from_secs(5) }
    }
}

/// Looks at one server again and again.
#[derive(Debug)]
pub struct Looker {
    opts: Opts,
    patience: Patience,
    kept: Option<Connection>,
}

/// A connection, and to what.
#[derive(Debug)]
pub(crate) struct Connection {
    conn: Conn,
    pub(crate) version: Version,
    account: String,
    patience: Patience,
}

impl Looker {
    /// Looks with the account of `opts`; nothing is done yet.
    pub fn new(opts: Opts, patience: Patience) -> Looker {
        Looker { opts, patience, kept: None }
    }

    /// What there is to see now.
    ///
    /// # Errors
    /// Why the server cannot be looked at, within a few times the patience.
    pub async fn look(&mut self, needs: &Needs) -> Result<Facts, Absence> {
        self.on_a_connection(async |connection| connection.facts(needs).await).await
    }

    /// Does `work` on the kept connection; on a fresh one when there is none, or it turns out to be lost.
    pub(crate) async fn on_a_connection<T>(
        &mut self,
        work: impl AsyncFn(&mut Connection) -> Result<T, Absence>,
    ) -> Result<T, Absence> {
        if let Some(mut kept) = self.kept.take() {
            match work(&mut kept).await {
                // It was restarted, or closed what nobody spoke on.
                Err(Absence::Unreachable(_)) => {}
                done => {
                    self.kept = done.is_ok().then_some(kept);
                    return done;
                }
            }
        }
        let mut fresh = Connection::open(&self.opts, self.patience).await?;
        let done = work(&mut fresh).await;
        self.kept = done.is_ok().then_some(fresh);
        done
    }
}

impl Connection {
    async fn open(opts: &Opts, patience: Patience) -> Result<Connection, Absence> {
        // Exactly where it was said: through another socket the server would know us as somebody else. In no schema: that of the
        // data may be missing yet.
        let named = opts.socket().is_some();
        let opts = OptsBuilder::from_opts(opts.clone()).prefer_socket(named).db_name(None::<String>);
        let mut conn = within(patience.connect, "a connection", Conn::new(opts)).await?;
        let version = within(patience.answer, "its version", conn.query_first(VERSION)).await?;
        let (version, account): (String, String) =
            version.ok_or_else(|| Absence::Strange("no answer to SELECT VERSION()".to_owned()))?;
        let known = Version::parse(&version).ok_or(Absence::Unsupported(version))?;
        Ok(Connection { conn, version: known, account, patience })
    }

    async fn facts(&mut self, needs: &Needs) -> Result<Facts, Absence> {
        let make = self.version.make;
        let (server, shown) = match make {
            Make::MariaDb => (SERVER_MARIADB, STATUS_MARIADB),
            Make::MySql if self.version.says_replica() => (SERVER_MYSQL, STATUS_MYSQL),
            Make::MySql => (SERVER_MYSQL_OLD, STATUS_MYSQL),
        };
        let server = self.rows("what it is", server).await?.pop().unwrap_or_default();
        let get = |name: &str| server.get(name).map_or("", String::as_str);
        let gtids = |text: &str| Gtids::parse(make, text).map_err(|error| Absence::Strange(error.to_string()));
        let (id, seconds) = (get("server_id").parse(), get("net_timeout").parse());
        let strange = |what: &str| Absence::Strange(format!("it does not say its {what}"));
        let applied = gtids(get("applied"))?;
        let mut channels = Vec::new();
        for row in self.rows("how replication is doing", shown).await? {
            channels.extend(status::channel(make, &row).map_err(Absence::Strange)?);
        }
        Ok(Facts {
            version: self.version,
            identity: Identity {
                id: id.map_err(|_| strange("server_id"))?,
                uuid: server.get("server_uuid").map(|uuid| uuid.to_ascii_lowercase()),
            },
            read_only: matches!(get("read_only"), "1" | "ON"),
            gtids_on: get("gtid_mode") == "ON",
            skips: skips(get("exec_mode"), get("skip_errors")),
            net_timeout: Duration::from_secs(seconds.map_err(|_| strange("time-out of replication"))?),
            channels,
            logged: match make {
                Make::MariaDb => gtids(get("logged"))?,
                Make::MySql => applied.clone(),
            },
            applied,
            heartbeat: match &needs.heartbeat {
                Some(table) => self.heartbeat(table).await?,
                None => Heartbeat::None(NOT_COPIED.to_owned()),
            },
            missing_tables: self.missing(&needs.tables).await?,
        })
    }

    async fn heartbeat(&mut self, table: &str) -> Result<Heartbeat, Absence> {
        let query = HEARTBEAT.replace("@TABLE@", &quoted(table));
        let asked = timeout(self.patience.answer, self.conn.query::<Row, _>(query)).await;
        let rows = match asked {
            Ok(Ok(rows)) => rows,
            // There is no such schema, table or column, or it may not be read: so it is without one.
            Ok(Err(Error::Server(ServerError { message, code: 1044 | 1049 | 1054 | 1142 | 1143 | 1146, .. }))) => {
                return Ok(Heartbeat::None(message));
            }
            Ok(Err(error)) => return Err(absence(error, &self.account)),
            Err(_) => return Err(Absence::Silent(self.patience.answer, "the heartbeat row")),
        };
        let rows = rows.into_iter().map(named);
        let read = rows.filter_map(|row| {
            let at: DateTime = row.get("ts")?.parse().ok()?;
            let at = at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond();
            Some((at, row.get("server_id")?.parse().ok()?))
        });
        // Whoever was the primary before has left a row behind.
        Ok(match read.max() {
            Some((at, server)) => Heartbeat::Row { server, at },
            None => Heartbeat::None(format!("{table} has no row")),
        })
    }

    async fn missing(&mut self, tables: &BTreeSet<String>) -> Result<BTreeSet<String>, Absence> {
        let mut missing = BTreeSet::new();
        for name in tables {
            let (schema, table) = name.split_once('.').unwrap_or(("", name));
            let found = self.conn.exec_first::<u8, _, _>(TABLE, (schema, table));
            let found = timeout(self.patience.answer, found).await;
            let found = found.map_err(|_| Absence::Silent(self.patience.answer, "which tables there are"))?;
            if found.map_err(|error| absence(error, &self.account))?.is_none() {
                missing.insert(name.clone());
            }
        }
        Ok(missing)
    }

    /// The rows of a statement, for `what`.
    pub(crate) async fn rows(&mut self, what: &'static str, statement: &str) -> Result<Vec<Named>, Absence> {
        self.rows_within(self.patience.answer, what, statement).await
    }

    /// As [`rows`](Connection::rows), for a statement that may take longer.
    pub(crate) async fn rows_within(
        &mut self,
        limit: Duration,
        what: &'static str,
        statement: &str,
    ) -> Result<Vec<Named>, Absence> {
        match timeout(limit, self.conn.query::<Row, _>(statement)).await {
            Ok(Ok(rows)) => Ok(rows.into_iter().map(named).collect()),
            Ok(Err(error)) => Err(absence(error, &self.account)),
            Err(_) => Err(Absence::Silent(limit, what)),
        }
    }
}

async fn within<T>(
    limit: Duration,
    what: &'static str,
    answer: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T, Absence> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| absence(error, "")),
        Err(_) => Err(Absence::Silent(limit, what)),
    }
}

/// What a server leaves out of what its primary did; `None` when nothing.
fn skips(exec_mode: &str, skip_errors: &str) -> Option<String> {
    match (exec_mode, skip_errors) {
        ("STRICT", "OFF" | "") => None,
        ("STRICT", errors) => Some(format!("skip_errors={errors}")),
        (mode, _) => Some(format!("exec_mode={mode}")),
    }
}

/// Why there is no answer.
fn absence(error: Error, account: &str) -> Absence {
    match error {
        Error::Server(ServerError { code: 1044 | 1045 | 1251 | 1698 | 1524, message, .. }) => {
            Absence::Credentials(message)
        }
        Error::Server(ServerError { code: 1227, .. }) => Absence::MayNotLook(account.to_owned()),
        // It takes no more connections, ends, or ended this one.
        Error::Server(ServerError {
            code: 1040 | 1053 | 1077 | 1129 | 1203 | 1226 | 1927 | 3169 | 4031,
            message,
            ..
        }) => Absence::Unreachable(message),
        Error::Server(ServerError { message, .. }) => Absence::Strange(message),
        // MySQL asks accounts that it does not know for a proof of any kind, so that nobody learns which there are.
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => Absence::Credentials(format!(
            "it does not know it, or wants a proof by {name}, which is not to be had here"
        )),
        other => Absence::Unreachable(other.to_string()),
    }
}

fn named(row: Row) -> Named {
    let names: Vec<String> = row.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    let text = |value: Value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    };
    names
        .into_iter()
        .zip(row.unwrap())
        .filter_map(|(name, value)| Some((name, text(value)?)))
        .collect::<BTreeMap<_, _>>()
}

/// `schema.table` as SQL writes it.
fn quoted(table: &str) -> String {
    let parts: Vec<String> = table.splitn(2, '.').map(|part| format!("`{}`", part.replace('`', "``"))).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_any_name_is_one_name_to_the_server() {
        assert_eq!(quoted("nightshift.heartbeat"), "`nightshift`.`heartbeat`");
        assert_eq!(quoted("a`; DROP TABLE b.c.d"), "`a``; DROP TABLE b`.`c.d`");
    }

    #[test]
    fn a_server_that_skips_errors_is_seen() {
        assert_eq!((skips("STRICT", "OFF"), skips("STRICT", "")), (None, None));
        assert_eq!(skips("IDEMPOTENT", "OFF").as_deref(), Some("exec_mode=IDEMPOTENT"));
        assert_eq!(skips("STRICT", "1062").as_deref(), Some("skip_errors=1062"));
    }

    #[test]
    fn a_refusal_of_the_account_is_told_from_a_server_that_is_gone() {
        let server = |code| {
            let error = ServerError { code, message: "its words".to_owned(), state: String::new() };
            absence(Error::Server(error), "reader@%")
        };
        assert_eq!(server(1045), Absence::Credentials("its words".to_owned()));
        assert_eq!(server(1227), Absence::MayNotLook("reader@%".to_owned()));
        assert_eq!(server(1053), Absence::Unreachable("its words".to_owned()));
        assert_eq!(server(1064), Absence::Strange("its words".to_owned()));
        let unknown = Error::Driver(DriverError::UnknownAuthPlugin { name: "sha256_password".to_owned() });
        assert!(matches!(absence(unknown, ""), Absence::Credentials(why) if why.contains("does not know it")));
    }
}
