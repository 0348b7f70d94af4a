//! Doing what SQL can do about a replica. Restarts, identities and rebuilds are done by whoever runs the server.

use std::time::Duration;

use super::Action;
use crate::facts::Absence;
use crate::make::Make;
use crate::watch::Watch;

/// Statements of one action, for MariaDB and MySQL, with semicolons between them.
const START_THREADS: [&str; 2] = [include_str!("mariadb/start_threads.sql"), include_str!("mysql/start_threads.sql")];
const SET_TIMEOUTS: [&str; 2] = [include_str!("mariadb/set_timeouts.sql"), include_str!("mysql/set_timeouts.sql")];
const SET_READ_ONLY: [&str; 2] = [include_str!("mariadb/set_read_only.sql"), include_str!("mysql/set_read_only.sql")];
const FETCH_AGAIN: [&str; 2] = [include_str!("mariadb/fetch_again.sql"), include_str!("mysql/fetch_again.sql")];
/// Stopping a thread that waits for a silent primary may take so long.
const LIMIT: Duration = Duration::from_secs(60);

impl Watch {
    /// Does it, when it can be done by SQL; the account needs the right to administer replication.
    ///
    /// # Errors
    /// Why the server does not do it.
    pub async fn act(&mut self, action: Action) -> Result<(), Absence> {
        let statements = match action {
            Action::StartThreads => START_THREADS,
            Action::SetTimeouts => SET_TIMEOUTS,
            Action::SetReadOnly => SET_READ_ONLY,
            Action::FetchAgain => FETCH_AGAIN,
            Action::Nothing
            | Action::Wait
            | Action::RestartServer
            | Action::NewIdentity
            | Action::Rebuild
            | Action::TellPerson => return Ok(()),
        };
        let done = async |connection: &mut crate::facts::Connection| {
            let [mariadb, mysql] = statements;
            let text = if connection.version.make == Make::MariaDb { mariadb } else { mysql };
            for statement in statements_of(text) {
                connection.rows_within(LIMIT, "a step of healing", &statement).await?;
            }
            Ok(())
        };
        self.looker.on_a_connection(done).await
    }
}

/// The statements of a file, without its comments.
fn statements_of(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    let text = lines.collect::<Vec<_>>().join(" ");
    text.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned).collect()
}
