//! The server that data come from, asked over the network with the account that replicates: the primary, or a replica of it
//! that was named for that ([`super::stand_in`]).

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, Row, ServerError, SslOpts};
use nightshift_wire::{Replication, ReplicationTls};
use tokio::time::timeout;

use crate::facts::{Complaint, primary_name};
use crate::make::{Make, Version};
use crate::server::SCRATCH;
use crate::verdict::ACCOUNT;

/// How long it may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// What is known of a donor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DonorFacts {
    /// Its make and version; `None` when it is too old.
    pub version: Option<Version>,
    /// What it is, as in [`nightshift_wire::DataPosition::primary`].
    pub primary: String,
    /// What it has now, as in [`nightshift_wire::DataPosition::gtid`].
    pub position: String,
    /// What its own binary log holds last of each server, whatever its format; on MySQL all that it has.
    pub logged: String,
    /// It writes what can be followed.
    pub has_binlog: bool,
    /// Its transactions have numbers.
    pub has_gtids: bool,
    /// It can be cloned, and the account may.
    pub clones: bool,
    /// The schemas that the account sees, without the server's own.
    pub schemas: Vec<String>,
    /// Those of them that hold job tables.
    pub job_schemas: Vec<String>,
    /// The heartbeat's table is there and can be read.
    pub has_heartbeat: bool,
}

/// The donor cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum DonorError {
    /// It does not let the account in, or not at what is asked.
    #[error("{who} refused the copying account {user} at {address}: {said}")]
    Refused {
        /// The primary or the donor.
        who: &'static str,
        /// Its host and port.
        address: String,
        /// The account.
        user: String,
        /// Its words.
        said: String,
    },
    /// It does not answer, or not as a server does.
    #[error("asking {who} at {address} as {user}")]
    Away {
        /// The primary or the donor.
        who: &'static str,
        /// Its host and port.
        address: String,
        /// The account.
        user: String,
        /// Why not.
        #[source]
        source: Box<Error>,
    },
}

impl DonorError {
    /// What a person can do about it, where that is known.
    pub fn cure(&self) -> Option<&'static str> {
        match self {
            DonorError::Refused { .. } => Some(ACCOUNT),
            DonorError::Away { .. } => None,
        }
    }

    fn of(who: &'static str, from: &Replication, error: Error) -> DonorError {
        let (address, user) = (address(from), from.user.clone());
        match error {
            Error::Server(ServerError { code, message, .. })
                if Complaint::of(u32::from(code), &message) == Complaint::Credentials =>
            {
                DonorError::Refused { who, address, user, said: format!("{message} ({code})") }
            }
            // MySQL asks accounts that it does not know for a proof of any kind, so that nobody learns which there are.
            Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
                let said = format!("it does not know it, or wants a proof by {name}, which is not to be had here");
                DonorError::Refused { who, address, user, said }
            }
            source => DonorError::Away { who, address, user, source: Box::new(source) },
        }
    }
}

/// Asks the primary what it is.
///
/// # Errors
/// When it does not answer, or not to this account.
pub async fn look(from: &Replication) -> Result<DonorFacts, DonorError> {
    asked(from, "the primary", ask(from)).await
}

/// Asks a replica that stands in for the primary the same.
pub(super) async fn look_at_stand_in(source: &Replication) -> Result<DonorFacts, DonorError> {
    asked(source, "the donor", ask(source)).await
}

/// What a replica's data have to have been copied up to, and the tables it has to have, of these schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Transactions that the primary no longer has in its binary logs, as in [`nightshift_wire::DataPosition::gtid`].
    pub(super) purged: String,
    /// Each as `schema.table`.
    pub(super) tables: BTreeSet<String>,
}

/// Asks the primary what somebody who stands in for it has to have.
pub(super) async fn look_at_wanted(from: &Replication, make: Make, schemas: &[String]) -> Result<Wanted, DonorError> {
    asked(from, "the primary", wanted(from, make, schemas)).await
}

/// How many bytes some schemas take there, about.
pub(super) async fn look_at_size(source: &Replication, schemas: &[String]) -> Result<u64, DonorError> {
    let size = async {
        let mut connection = Conn::new(opts(source)).await?;
        let mut bytes = 0_u64;
        for schema in schemas {
            let found: Option<u64> = connection.exec_first(include_str!("size.sql"), (schema,)).await?;
            bytes = bytes.saturating_add(found.unwrap_or(0));
        }
        connection.disconnect().await?;
        Ok(bytes)
    };
    asked(source, "the donor", size).await
}

/// The tables of some schemas there, each as `schema.table`.
pub(super) async fn look_at_tables(source: &Replication, schemas: &[String]) -> Result<BTreeSet<String>, DonorError> {
    let tables = async { tables(&mut Conn::new(opts(source)).await?, schemas).await };
    asked(source, "the donor", tables).await
}

async fn asked<T>(
    from: &Replication,
    who: &'static str,
    answer: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T, DonorError> {
    let failed = |error| DonorError::of(who, from, error);
    let late = |_| failed(io::Error::from(io::ErrorKind::TimedOut).into());
    timeout(ANSWERS_WITHIN, answer).await.map_err(late)?.map_err(failed)
}

async fn wanted(from: &Replication, make: Make, schemas: &[String]) -> mysql_async::Result<Wanted> {
    let mut connection = Conn::new(opts(from)).await?;
    let purged: String = match make {
        Make::MySql => one(&mut connection, include_str!("mysql/purged.sql")).await?,
        Make::MariaDb => {
            // What stands before the first log that is left.
            let logs: Vec<Row> = connection.query(include_str!("mariadb/logs.sql")).await?;
            let first: String = logs.first().and_then(|log| log.get(0)).unwrap_or_default();
            let purged = connection.exec_first(include_str!("mariadb/purged.sql"), (first,)).await?;
            purged.flatten().unwrap_or_default()
        }
    };
    let tables = tables(&mut connection, schemas).await?;
    connection.disconnect().await?;
    Ok(Wanted { purged: purged.replace('\n', ""), tables })
}

async fn tables(connection: &mut Conn, schemas: &[String]) -> mysql_async::Result<BTreeSet<String>> {
    let mut tables = BTreeSet::new();
    for schema in schemas {
        let found: Vec<(String, String)> = connection.exec(include_str!("tables.sql"), (schema,)).await?;
        tables.extend(found.into_iter().map(|(table, _)| format!("{schema}.{table}")));
    }
    Ok(tables)
}

/// Host and port, as people read them.
pub(super) fn address(from: &Replication) -> String {
    format!("{}:{}", from.host, from.port)
}

async fn ask(from: &Replication) -> mysql_async::Result<DonorFacts> {
    let mut connection = Conn::new(opts(from)).await?;
    let said: String = one(&mut connection, include_str!("version.sql")).await?;
    let version = Version::parse(&said);
    let make = version.map_or(Make::MySql, |version| version.make);
    let (primary, position, logged, has_binlog, has_gtids, clones) = match make {
        Make::MariaDb => {
            let (id, position, logged, binlog): (u32, String, String, bool) =
                one(&mut connection, include_str!("mariadb/donor.sql")).await?;
            (primary_name(make, &id.to_string()), position, logged, binlog, true, false)
        }
        Make::MySql => {
            let (uuid, position, binlog, gtids, plugin): (String, String, bool, String, bool) =
                one(&mut connection, include_str!("mysql/donor.sql")).await?;
            let grants: Vec<String> = connection.query(include_str!("grants.sql")).await?;
            let may_clone = grants.iter().any(|grant| grant.contains("BACKUP_ADMIN"));
            // A set of many servers' transactions comes on several lines.
            let position = position.replace('\n', "");
            (primary_name(make, &uuid), position.clone(), position, binlog, gtids == "ON", plugin && may_clone)
        }
    };
    let schemas = connection.query(include_str!("schemas.sql").replace("{scratch}", SCRATCH)).await?;
    let job_schemas = connection.query(include_str!("job_schemas.sql")).await?;
    let has_heartbeat = match from.heartbeat.as_deref().and_then(|table| table.split_once('.')) {
        None => false,
        Some(names) => connection.exec_first::<u64, _, _>(include_str!("has_table.sql"), names).await?.is_some(),
    };
    connection.disconnect().await?;
    Ok(DonorFacts {
        version,
        primary,
        position,
        logged,
        has_binlog,
        has_gtids,
        clones,
        schemas,
        job_schemas,
        has_heartbeat,
    })
}

async fn one<T: FromRow + Send + 'static>(connection: &mut Conn, query: &str) -> mysql_async::Result<T> {
    let row = connection.query_first(query).await?;
    row.ok_or_else(|| Error::Io(io::Error::from(io::ErrorKind::UnexpectedEof).into()))
}

/// How a server is reached over the network, by its certificate where that is to be known.
pub(super) fn opts(from: &Replication) -> Opts {
    let tls = match &from.tls {
        ReplicationTls::Off => None,
        ReplicationTls::Encrypt => {
            Some(SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true))
        }
        ReplicationTls::Verify { ca } => {
            let authority = ca.clone().into_bytes().into();
            Some(SslOpts::default().with_root_certs(vec![authority]).with_disable_built_in_roots(true))
        }
    };
    OptsBuilder::default()
        .ip_or_hostname(&from.host)
        .tcp_port(from.port)
        .user(Some(&from.user))
        .pass(Some(&from.password))
        .prefer_socket(false)
        .ssl_opts(tls)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Replication {
        Replication {
            host: "db1".to_owned(),
            port: 3306,
            user: "copy".to_owned(),
            password: "s3cret".to_owned(),
            tls: ReplicationTls::Off,
            schemas: Vec::new(),
            primary: None,
            heartbeat: None,
            now: None,
            donor: None,
        }
    }

    fn said(code: u16, message: &str) -> DonorError {
        let error = ServerError { code, message: message.to_owned(), state: "28000".to_owned() };
        DonorError::of("the primary", &way(), Error::Server(error))
    }

    #[test]
    fn an_account_that_is_refused_is_named_once_with_where_to_set_it_right() {
        let refused = said(1045, "Access denied for user 'copy'@'10.0.0.7' (using password: YES)");
        assert_eq!(
            refused.to_string(),
            "the primary refused the copying account copy at db1:3306: Access denied for user 'copy'@'10.0.0.7' (using \
             password: YES) (1045)"
        );
        assert!(std::error::Error::source(&refused).is_none(), "it was said");
        assert!(refused.cure().is_some_and(|cure| cure.contains("[replication] of jobserver.toml")), "{refused:?}");
        let unknown = Error::Driver(DriverError::UnknownAuthPlugin { name: "sha256_password".to_owned() });
        assert!(DonorError::of("the primary", &way(), unknown).cure().is_some());
    }

    #[test]
    fn a_primary_that_is_away_says_nothing_against_the_account() {
        let away = DonorError::of("the primary", &way(), io::Error::from(io::ErrorKind::TimedOut).into());
        assert_eq!((away.cure(), away.to_string().as_str()), (None, "asking the primary at db1:3306 as copy"));
        assert_eq!(said(1053, "Server shutdown in progress").cure(), None);
    }
}
