//! What goes wrong with a statement, sorted by who is at fault: the statement, its slowness, or the server being away.

use mysql_async::{DriverError, Error, ServerError};

use nightshift_manifest::file_error::FileError;

/// Why a statement brought nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server does not take it.
    Refused { code: u16, message: String },
    /// The server ended it because it took too long.
    TooSlow,
    /// A row is longer than any answer may be.
    TooLong,
    /// The server is away, silent, or gives no connection.
    Away(String),
}

/// The server takes no more connections, closes this one, or somebody else ended the query; and replication won a
/// conflict. Trying again helps against all of them.
const AWAY: [u16; 20] = [
    1040, 1053, 1077, 1079, 1080, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213, 1226, 1317, 1927, 3169,
    4031,
];
const TOO_SLOW: [u16; 2] = [1969, 3024];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Server(ServerError { code, .. }) if TOO_SLOW.contains(&code) => Failure::TooSlow,
            Error::Server(ServerError { code, message, .. }) if AWAY.contains(&code) => Failure::Away(message),
            Error::Server(ServerError { code, message, .. }) => Failure::Refused { code, message },
            Error::Driver(DriverError::PacketTooLarge) => Failure::TooLong,
            Error::Driver(DriverError::MixedParams) => {
                let message = "it has parameters with names beside question marks: write question marks".to_owned();
                Failure::Refused { code: 0, message }
            }
            Error::Driver(DriverError::ConnectionClosed) => Failure::Away("the connection is closed".to_owned()),
            other => Failure::Away(other.to_string()),
        }
    }
}

impl Failure {
    /// The failure as one of making a connection: whatever it is, nobody gets at the data.
    pub(super) fn of_connecting(self) -> Failure {
        Failure::Away(self.in_words())
    }

    /// The server's own words, with what to do about the commonest of them.
    pub(super) fn in_words(&self) -> String {
        match self {
            Failure::Refused { code: 1137, message } => {
                format!(
                    "{message}; MySQL opens a temporary table once in a query: make a second copy in open.mysql.sql"
                )
            }
            Failure::Refused { code: 1146, message } => format!("{message}; the replica has no such table"),
            Failure::Refused { code: 1267 | 1270 | 1271, message } => {
                format!("{message}; name the collation of the table's column as collation of [data] in plugin.toml")
            }
            Failure::Refused { message, .. } => message.clone(),
            Failure::TooSlow => "it takes too long".to_owned(),
            Failure::TooLong => "it returned more for a record than a result holds".to_owned(),
            Failure::Away(why) => why.clone(),
        }
    }

    /// The failure as one of `file`. Servers name the line at the end of their message; the statement begins `lines_before`
    /// lines further down.
    pub(super) fn in_file(&self, file: &str, lines_before: usize) -> FileError {
        let words = self.in_words();
        let line = match self {
            Failure::Refused { code: 1064, message } => {
                message.rsplit_once(" at line ").and_then(|(_, line)| line.parse::<usize>().ok())
            }
            _ => None,
        };
        FileError { line: line.map(|line| line + lines_before), ..FileError::whole(file, words) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: u16, message: &str) -> Failure {
        Failure::from(Error::Server(ServerError { code, message: message.to_owned(), state: String::new() }))
    }

    #[test]
    fn a_failure_is_the_statements_or_the_servers() {
        assert!(matches!(server(3024, ""), Failure::TooSlow) && matches!(server(1969, ""), Failure::TooSlow));
        for code in [1053, 1317, 1927] {
            assert!(matches!(server(code, ""), Failure::Away(_)), "{code}");
        }
        assert!(matches!(server(1142, "denied"), Failure::Refused { code: 1142, .. }));
        let closed = Failure::from(Error::Driver(DriverError::ConnectionClosed));
        assert!(matches!(closed, Failure::Away(_)));
    }

    #[test]
    fn a_mistake_in_sql_is_reported_with_its_file_and_line() {
        let error = server(1064, "You have an error near 'FORM records' at line 3").in_file("plugins/p/q.sql", 0);
        assert!(error.to_string().starts_with("plugins/p/q.sql, line 3: You have an error near 'FORM"), "{error}");
        let error = server(1146, "Table 'company.x' doesn't exist").in_file("plugins/p/q.sql", 0);
        assert_eq!(
            error.to_string(),
            "plugins/p/q.sql: Table 'company.x' doesn't exist; the replica has no such table"
        );
    }
}
