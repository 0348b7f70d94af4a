//! A connection to the replica for one plugin: making it, preparing it, asking over it, killing what runs on it.
//!
//! The driver has no time-outs of its own: every wait here has one. A wait that was given up leaves the connection in the
//! middle of something; it is then thrown away, never used again.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, Row, Statement, Value};
use tokio::time::timeout;

use super::failure::Failure;
use super::{grants, statements};
use crate::block::LARGEST_ANSWER;
use crate::replica::Replica;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a statement of ours may take.
const STEP: Duration = Duration::from_secs(10);
/// So many statements stay prepared on a connection.
const PREPARED: usize = 64;
/// A row longer than this is not even read.
const LONGEST_ROW: usize = LARGEST_ANSWER + (1 << 20);
/// What the head of a packet and the statement's own fields take beside the block.
const BESIDE_THE_BLOCK: usize = 1024;

/// Which make of server, where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Make {
    MariaDb,
    MySql,
}

/// A connection whose session is set up.
pub(super) struct Session {
    connection: Conn,
    make: Make,
    account: String,
    /// The collation of the connection, and of the block's texts.
    pub(super) collation: String,
    longest_packet: usize,
    /// What the server was told last.
    time: Option<Duration>,
}

impl Session {
    /// Connects and sets the session up. An unknown collation is refused with one of [`is_no_collation`]'s codes.
    pub(super) async fn connect(replica: &Replica, collation: Option<&str>) -> Result<Session, Failure> {
        let mut connection = connection(replica).await?;
        let set_up = [statements::SESSION.to_owned(), statements::READ_COMMITTED.to_owned()];
        for statement in set_up {
            within(STEP, connection.query_drop(statement)).await.map_err(Failure::of_connecting)?;
        }
        within(STEP, connection.query_drop(statements::set_names(collation))).await?;
        let server = within(STEP, connection.query_first(statements::SERVER)).await;
        let server: Option<(String, String, usize, String)> = server.map_err(Failure::of_connecting)?;
        let (version, account, longest_packet, collation) =
            server.ok_or_else(|| Failure::Away("the server does not say what it is".to_owned()))?;
        let make = make_of(&version).map_err(Failure::Away)?;
        Ok(Session { connection, make, account, collation, longest_packet, time: None })
    }

    /// The number by which the server knows the connection.
    pub(super) fn id(&self) -> u32 {
        self.connection.id()
    }

    /// Refuses an account that can do more than read; the inner error says what to do.
    pub(super) async fn check_rights(&mut self, schema: &str) -> Result<Result<(), String>, Failure> {
        let grants: Vec<String> = within(STEP, self.connection.query(statements::GRANTS)).await?;
        Ok(grants::check(&grants, &self.account, schema))
    }

    /// Runs a statement of `open.mysql.sql`.
    pub(super) async fn prepare_data(&mut self, statement: &str, limit: Duration) -> Result<(), Failure> {
        self.limit_time(limit).await?;
        let done = async {
            // Prepared, so that it is one statement for the server too.
            let prepared = self.connection.prep(statement).await?;
            self.connection.exec_drop(&prepared, ()).await?;
            self.connection.close(prepared).await
        };
        match timeout(limit + STEP, done).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(Failure::TooSlow),
        }
    }

    /// From now on the session may only read.
    pub(super) async fn read_only(&mut self) -> Result<(), Failure> {
        within(STEP, self.connection.query_drop(statements::READ_ONLY)).await
    }

    /// Prepares the query, or takes it from the last [`PREPARED`] ones.
    pub(super) async fn prepare(&mut self, query: &str) -> Result<Statement, Failure> {
        within(STEP, self.connection.prep(query)).await
    }

    /// Has the server end what takes longer.
    pub(super) async fn limit_time(&mut self, time: Duration) -> Result<(), Failure> {
        if self.time != Some(time) {
            within(STEP, self.connection.query_drop(statements::limit_time(self.make, time))).await?;
            self.time = Some(time);
        }
        Ok(())
    }

    /// Whether a block fits into one packet; the error says what to do.
    pub(super) fn takes(&self, block: &[u8]) -> Result<(), String> {
        let most = self.longest_packet.saturating_sub(BESIDE_THE_BLOCK);
        if block.len() <= most {
            return Ok(());
        }
        Err(format!(
            "it takes {} bytes, and the server's max_allowed_packet is {}; set a smaller block in plugin.toml, or raise that",
            block.len(),
            self.longest_packet
        ))
    }

    /// Runs the query with `values` for its parameters, and has `take` look at each row as it comes. Without a limit of its
    /// own: whoever waits for it has one.
    pub(super) async fn ask<F: From<Failure>>(
        &mut self,
        query: &Statement,
        values: Vec<Value>,
        mut take: impl FnMut(&Row) -> Result<(), F>,
    ) -> Result<(), F> {
        let mut rows = self.connection.exec_iter(query, values).await.map_err(Failure::from)?;
        while let Some(row) = rows.next().await.map_err(Failure::from)? {
            take(&row)?;
        }
        Ok(())
    }
}

/// A connection with all rights to a private server.
pub(super) struct Administrator(Conn);

impl Administrator {
    pub(super) async fn connect(server: &Replica) -> Result<Administrator, Failure> {
        Ok(Administrator(connection(server).await?))
    }

    /// Runs a statement.
    pub(super) async fn run(&mut self, statement: &str, values: Vec<Value>) -> Result<(), Failure> {
        match values.is_empty() {
            true => within(STEP, self.0.query_drop(statement)).await,
            false => within(STEP, self.0.exec_drop(statement, values)).await,
        }
    }
}

/// Ends what the connection `id` does on the server, through a connection of its own.
pub(super) async fn kill(replica: &Replica, id: u32) -> Result<(), Failure> {
    let mut connection = connection(replica).await?;
    within(STEP, connection.query_drop(statements::kill(id))).await?;
    // It is done; that nobody says goodbye is no harm.
    drop(within(CONNECT, connection.disconnect()).await);
    Ok(())
}

async fn connection(replica: &Replica) -> Result<Conn, Failure> {
    let opts = OptsBuilder::from_opts(replica.opts().clone())
        .max_allowed_packet(Some(LONGEST_ROW))
        .stmt_cache_size(Some(PREPARED));
    within(CONNECT, Conn::new(opts)).await.map_err(Failure::of_connecting)
}

/// Waits for the server, but not for ever.
async fn within<T>(limit: Duration, answer: impl Future<Output = mysql_async::Result<T>>) -> Result<T, Failure> {
    match timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::Away(format!("no answer within {} s", limit.as_secs()))),
    }
}

/// Whether the server does not know the collation, or not for UTF-8.
pub(super) fn is_no_collation(code: u16) -> bool {
    matches!(code, 1253 | 1273)
}

/// The make of a server by its version; the error says which versions are needed.
fn make_of(version: &str) -> Result<Make, String> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (make, least) = match version.contains("MariaDB") {
        true => (Make::MariaDb, (10, 6, 0)),
        false => (Make::MySql, (8, 0, 19)),
    };
    match found >= least {
        true => Ok(make),
        false => Err(format!("the server is {version}, which is too old: MariaDB 10.6 or MySQL 8.0.19 are needed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_version_and_an_old_one_refused() {
        assert_eq!(make_of("10.11.19-MariaDB-0+deb12u1"), Ok(Make::MariaDb));
        assert_eq!(make_of("9.7.4-2"), Ok(Make::MySql));
        for old in ["10.5.23-MariaDB", "5.7.44-log", "8.0.4", "unknown"] {
            assert!(make_of(old).is_err_and(|why| why.contains("too old")), "{old}");
        }
    }
}
