//! Where a worker's replica of the company's data is, and how it is shown without its password.
//!
//! Who makes it current is `worker/replica`'s business; whether its account may only read, [`crate::sql`]'s.

use std::fmt;

use mysql_async::{Opts, OptsBuilder};

/// The schema that temporary tables of plugins live in. Nobody needs a right to write anywhere else.
pub const SCRATCH_SCHEMA: &str = "nightshift_scratch";

/// The address of a replica: `mysql://user@host:port/schema`, or with a Unix socket
/// `mysql://user@localhost/schema?socket=/run/mysqld/mysqld.sock`.
#[derive(Clone)]
pub struct Replica(Opts);

/// Why a text is no address of a replica. It never repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// It cannot be read.
    #[error("it is no address of a replica: write one like \"mysql://reader@127.0.0.1:3306/company\"")]
    Unreadable,
    /// It names no schema.
    #[error(
        "it names no schema: end it with the one that has the data tables, as in \"mysql://reader@127.0.0.1/company\""
    )]
    NoSchema,
}

impl Replica {
    /// Reads an address. Options behind a `?` are those of the `mysql_async` crate.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(address: &str) -> Result<Replica, ReplicaError> {
        let opts = Opts::from_url(address).map_err(|_| ReplicaError::Unreadable)?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(ReplicaError::NoSchema);
        }
        // Through the named host and port, unless a socket is named: a loopback address would be exchanged for one.
        let named = opts.socket().is_some();
        Ok(Replica(OptsBuilder::from_opts(opts).prefer_socket(named).into()))
    }

    /// The same address with a password.
    #[must_use]
    pub fn with_password(&self, password: &str) -> Replica {
        Replica(OptsBuilder::from_opts(self.0.clone()).pass(Some(password)).into())
    }

    /// The same server, as another account without a password and with another schema.
    pub(crate) fn as_account(&self, user: &str, schema: &str) -> Replica {
        let opts = OptsBuilder::from_opts(self.0.clone()).user(Some(user)).pass(None::<&str>).db_name(Some(schema));
        Replica(opts.into())
    }

    /// The schema that has the data tables.
    pub fn schema(&self) -> &str {
        self.0.db_name().unwrap_or_default()
    }

    /// Whom the server knows us as.
    pub(crate) fn user(&self) -> &str {
        self.0.user().unwrap_or_default()
    }

    /// Its password, empty where there is none.
    pub(crate) fn password(&self) -> &str {
        self.0.pass().unwrap_or_default()
    }

    /// The server's socket, where it is reached by one.
    pub(crate) fn socket(&self) -> Option<&str> {
        self.0.socket()
    }

    /// The server's name or address.
    pub(crate) fn host(&self) -> &str {
        self.0.ip_or_hostname()
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.0.tcp_port()
    }

    /// How connections to it are made.
    pub fn opts(&self) -> &Opts {
        &self.0
    }
}

/// Without user and password.
impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.socket() {
            Some(socket) => write!(f, "mysql://localhost/{}?socket={socket}", self.schema()),
            None => write!(f, "mysql://{}:{}/{}", self.host(), self.port(), self.schema()),
        }
    }
}

/// As it is shown: nothing secret.
impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_shown_without_user_and_password() {
        let replica = Replica::parse("mysql://reader@db.example.org:3307/company").expect("an address");
        let replica = replica.with_password("s3cret");
        assert_eq!(format!("{replica} {replica:?}"), "mysql://db.example.org:3307/company ".repeat(2).trim_end());
        let local = Replica::parse("mysql://reader@localhost/company?socket=/run/db.sock").expect("an address");
        assert_eq!(local.to_string(), "mysql://localhost/company?socket=/run/db.sock");
    }

    #[test]
    fn what_is_no_address_of_a_replica_is_refused_without_repeating_it() {
        for (text, error) in [
            ("s3cret", ReplicaError::Unreadable),
            ("postgres://reader:s3cret@db/company", ReplicaError::Unreadable),
            ("mysql://reader:s3cret@db", ReplicaError::NoSchema),
        ] {
            let found = Replica::parse(text).expect_err(text);
            assert!(found == error && !found.to_string().contains("s3cret"), "{found}");
        }
    }
}
