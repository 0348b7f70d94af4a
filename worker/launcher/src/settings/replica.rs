//! `[replica]` of `worker.toml`: where the worker's local copy of the company's MySQL or MariaDB is.
//!
//! Only what can be seen without asking it; whether its account may only read is the plugins' runtime's business.

use std::path::{Path, PathBuf};

use nightshift_manifest::file_error::FileError;
use serde::Deserialize;
use toml::Spanned;

use super::At;

/// The table as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplicaTable {
    url: Spanned<String>,
    password_file: Option<Spanned<String>>,
}

/// A local replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaAt {
    /// Its address, without a password: `mysql://reader@127.0.0.1:3306/company`.
    pub address: String,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
}

/// Checks the table.
///
/// # Errors
/// The line, what is wrong, and what to write instead.
pub(super) fn read(table: &ReplicaTable, at: At<'_>) -> Result<ReplicaAt, FileError> {
    let url = table.url.get_ref();
    let refused = |problem: &str| Err(at(table.url.span(), format!("url: {problem}")));
    let rest = url.strip_prefix("mysql://").unwrap_or_default();
    let (server, schema) = rest.split_once('/').unwrap_or_default();
    if server.is_empty() || schema.split('?').next().unwrap_or_default().is_empty() {
        return refused(
            "write user, server and schema as in \"mysql://reader@127.0.0.1:3306/company\", or with a socket \
             \"mysql://reader@localhost/company?socket=/run/mysqld/mysqld.sock\"",
        );
    }
    if has_password(url) {
        return refused(
            "a password does not belong into an address; write it into a file and name that as password_file",
        );
    }
    let password_file = table.password_file.as_ref();
    if let Some(file) = password_file.filter(|file| !Path::new(file.get_ref()).is_absolute()) {
        let problem = "password_file depends on where a cycle is started; write it from the root on".to_owned();
        return Err(at(file.span(), problem));
    }
    Ok(ReplicaAt { address: url.clone(), password_file: password_file.map(|file| PathBuf::from(file.get_ref())) })
}

/// Whether a `mysql://` address holds a password.
pub(super) fn has_password(address: &str) -> bool {
    let rest = address.strip_prefix("mysql://").unwrap_or(address);
    let user = rest.split('/').next().unwrap_or_default().rsplit_once('@');
    user.is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_toml(text: &str) -> Result<ReplicaAt, FileError> {
        let table: ReplicaTable = nightshift_manifest::file_error::read_toml("worker.toml", text)?;
        read(&table, &|span, problem| FileError::at("worker.toml", text, span.start, problem))
    }

    #[test]
    fn a_replica_is_an_address_and_perhaps_a_file_with_a_password() {
        let found =
            read_toml("url = \"mysql://reader@127.0.0.1:3306/company\"\npassword_file = \"/etc/x\"").expect("good");
        assert_eq!(found.address, "mysql://reader@127.0.0.1:3306/company");
        assert_eq!(found.password_file.as_deref(), Some(Path::new("/etc/x")));
        assert!(read_toml("url = \"mysql://reader@localhost/company?socket=/run/db.sock\"").is_ok());
    }

    #[test]
    fn a_replica_that_cannot_be_is_refused_with_its_line_and_never_shows_a_password() {
        for (text, says) in [
            ("url = \"http://10.0.0.5/company\"", "line 1: url: write user, server and schema"),
            ("url = \"mysql://reader@127.0.0.1\"", "line 1: url: write user"),
            ("url = \"mysql://reader@127.0.0.1/?socket=/x\"", "line 1: url: write user"),
            ("url = \"mysql://reader:s3cret@127.0.0.1/company\"", "line 1: url: a password does not belong"),
            ("url = \"mysql://reader@127.0.0.1/company\"\npassword_file = \"x\"", "line 2: password_file depends"),
            ("url = \"mysql://reader@127.0.0.1/company\"\ncolour = 1", "line 2: unknown field `colour`"),
        ] {
            let error = read_toml(text).expect_err(text).to_string();
            assert!(error.contains(says) && !error.contains("s3cret"), "{error}");
        }
    }
}
