//! The replica for plugins that are no queries themselves: what they ask may read and nothing else.
//!
//! Each query is a statement of its own on one connection, which stays read only, and sees the data as they are when it begins.
//! It ends when the plugin's alarm rings: the server is told so through a second connection, and has a limit of its own for
//! when nobody is left to tell it. A connection that is lost before a row came is made again once; then the data are away.

use std::cell::Cell as Flag;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Row, Value};
use nightshift_manifest::plugin::PluginManifest;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::cell::cell;
use super::failure::Failure;
use super::session::{Session, kill};
use super::{reach, script};
use crate::OpenError;
use crate::clock::Alarm;
use crate::data::{Queries, QueryError};
use crate::field::Field;
use crate::replica::Replica;
use crate::sql::answer::Cell;

/// How long until a ringing alarm is noticed, and how long the rest of an answer is read that nobody wants.
const LOOK: Duration = Duration::from_millis(20);
/// The server's own limit is at most this.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The way of one plugin to its tables on the replica.
pub(crate) struct ReplicaReader {
    runtime: Runtime,
    replica: Replica,
    manifest: PluginManifest,
    alarm: Arc<Alarm>,
    /// `None` while the replica is away, until the next query.
    session: Option<Session>,
}

/// Why an answer is not read on.
enum Ended {
    Failure(Failure),
    Query(QueryError),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Ended::Failure(failure)
    }
}

impl ReplicaReader {
    /// Connects to `replica`; one that is away is looked for again at the first query.
    pub(crate) fn open(
        replica: Replica,
        manifest: &PluginManifest,
        alarm: &Arc<Alarm>,
    ) -> Result<ReplicaReader, OpenError> {
        let runtime = reach::waiting(manifest)?;
        let session = match runtime.block_on(connect(&replica, manifest)) {
            Err(OpenError::DataAway { .. }) => None,
            connected => Some(connected?),
        };
        Ok(ReplicaReader { runtime, replica, manifest: manifest.clone(), alarm: Arc::clone(alarm), session })
    }

    fn away(&self, failure: &Failure) -> QueryError {
        QueryError::Away { replica: self.replica.to_string(), reason: failure.in_words() }
    }

    fn explained(&self, failure: &Failure) -> QueryError {
        match failure {
            Failure::Away(_) => self.away(failure),
            // The server's limit lies behind the alarm.
            Failure::TooSlow => QueryError::BrokenOff,
            Failure::TooLong => QueryError::Failed("a row is longer than a block's whole answer may be".to_owned()),
            Failure::Refused { .. } => QueryError::Failed(failure.in_words()),
        }
    }

    /// Asks on `session`, and whether that can be used again.
    async fn ask(
        &self,
        session: &mut Session,
        sql: &str,
        values: &[Value],
        row: &mut dyn FnMut(&[Field<'_>]) -> ControlFlow<()>,
    ) -> (Result<(), QueryError>, bool) {
        let failed = |failure: Failure| {
            let usable = !matches!(failure, Failure::Away(_) | Failure::TooLong);
            (Err(self.explained(&failure)), usable)
        };
        if let Err(failure) = session.limit_time(server_limit(self.alarm.left())).await {
            return failed(failure);
        }
        let statement = match session.prepare(sql).await {
            Ok(statement) => statement,
            Err(failure) => return failed(failure),
        };
        let (has, given) = (usize::from(statement.num_params()), values.len());
        if has != given {
            return (Err(QueryError::parameters(has, given)), true);
        }
        let id = session.id();
        let enough = Flag::new(false);
        let ended = {
            let asking = pin!(session.ask(&statement, values.to_vec(), |found| {
                if !enough.get() {
                    let cells = cells(found);
                    let fields = cells.iter().enumerate().map(|(place, cell)| field(place, cell));
                    let fields = fields.collect::<Result<Vec<_>, _>>();
                    let fields = fields.map_err(|why| Ended::Query(QueryError::Failed(why)))?;
                    enough.set(row(&fields).is_break());
                }
                Ok(())
            }));
            tokio::select! {
                done = asking => Some(done),
                () = self.over(&enough) => None,
            }
        };
        match ended {
            Some(Ok(())) => (Ok(()), true),
            Some(Err(Ended::Failure(failure))) => failed(failure),
            // What is still to come is not waited for.
            Some(Err(Ended::Query(why))) => {
                drop(kill(&self.replica, id).await);
                (Err(why), false)
            }
            None => match kill(&self.replica, id).await {
                _ if enough.get() => (Ok(()), false),
                Ok(()) => (Err(QueryError::BrokenOff), false),
                Err(silent) => (Err(self.away(&silent)), false),
            },
        }
    }

    /// Waits until the alarm rings, or nobody wants more of an answer.
    async fn over(&self, enough: &Flag<bool>) {
        while !enough.get() && !self.alarm.rings() {
            sleep(LOOK.min(self.alarm.left())).await;
        }
        if enough.get() {
            // A short rest comes in this time, and the connection stays.
            sleep(LOOK).await;
        }
    }
}

impl Queries for ReplicaReader {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Field<'_>],
        row: &mut dyn FnMut(&[Field<'_>]) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        let sql = script::reading(sql).map_err(|wrong| QueryError::Failed(wrong.problem))?;
        let values: Vec<Value> = parameters.iter().map(|parameter| value(*parameter)).collect();
        let mut fresh = false;
        let came = Flag::new(false);
        let mut noting = |fields: &[Field<'_>]| {
            came.set(true);
            row(fields)
        };
        loop {
            let mut session = match self.session.take() {
                Some(session) => session,
                None => {
                    fresh = true;
                    self.runtime.block_on(connect(&self.replica, &self.manifest)).map_err(of_opening)?
                }
            };
            let (done, usable) = self.runtime.block_on(self.ask(&mut session, sql, &values, &mut noting));
            let away = matches!(done, Err(QueryError::Away { .. }));
            if usable {
                self.session = Some(session);
            }
            if !away || fresh || came.get() || self.alarm.rings() {
                return done;
            }
        }
    }
}

/// A connection that is read only for the server too.
async fn connect(replica: &Replica, manifest: &PluginManifest) -> Result<Session, OpenError> {
    let mut session = reach::connect(replica, manifest).await?;
    match session.read_only().await {
        Ok(()) => Ok(session),
        Err(failure) => Err(reach::away(replica, manifest, &failure)),
    }
}

/// Why a query has no rows when there is no connection for it.
fn of_opening(error: OpenError) -> QueryError {
    match error {
        OpenError::DataAway { replica, reason, .. } => QueryError::Away { replica, reason },
        OpenError::Rights { replica, problem, .. } => QueryError::Away { replica, reason: problem },
        other => QueryError::Failed(other.to_string()),
    }
}

/// The server's own limit for a query with `left` to go: told seldom, so a power of two of seconds.
fn server_limit(left: Duration) -> Duration {
    let seconds = left.min(LONGEST).as_secs() + 1;
    Duration::from_secs(seconds.next_power_of_two())
}

/// A field as a server takes it.
fn value(field: Field<'_>) -> Value {
    match field {
        Field::Null => Value::NULL,
        Field::Text(text) => Value::from(text),
        Field::Integer(number) => Value::from(number),
        Field::Real(number) => Value::from(number),
    }
}

fn cells(row: &Row) -> Vec<Cell<'_>> {
    (0..row.len()).map(|index| cell(row, index)).collect()
}

/// What stands in the column at `place` as plugins take it; the error says what it is instead. A decimal is a whole number
/// where it is one, and otherwise its digits.
fn field<'c>(place: usize, cell: &'c Cell<'_>) -> Result<Field<'c>, String> {
    let column = place + 1;
    match cell {
        Cell::Null => Ok(Field::Null),
        Cell::Integer(number) => Ok(Field::Integer(*number)),
        Cell::Real(number) => Ok(Field::Real(*number)),
        Cell::Decimal { digits, whole } => {
            let number = if *whole { digits.parse().ok() } else { None };
            Ok(number.map_or(Field::Text(digits), Field::Integer))
        }
        Cell::Text(text) => {
            let text = std::str::from_utf8(text);
            text.map(Field::Text).map_err(|_| format!("column {column} holds text that is not UTF-8"))
        }
        Cell::Other(what) => Err(format!("column {column} holds {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_a_whole_number_or_its_digits_and_bytes_are_refused_with_the_cure() {
        let whole = |digits| Cell::Decimal { digits, whole: true };
        assert_eq!(field(0, &whole("-12")), Ok(Field::Integer(-12)));
        assert_eq!(field(0, &whole("99999999999999999999")), Ok(Field::Text("99999999999999999999")));
        assert_eq!(field(0, &Cell::Decimal { digits: "1.50", whole: false }), Ok(Field::Text("1.50")));
        assert_eq!(field(0, &Cell::Text(b"a".as_slice().into())), Ok(Field::Text("a")));
        for (cell, why) in [
            (Cell::Text(b"\xff".as_slice().into()), "column 2 holds text that is not UTF-8"),
            (
                Cell::Other("2 bytes that are no text (HEX them)".to_owned()),
                "column 2 holds 2 bytes that are no text (HEX them)",
            ),
        ] {
            assert_eq!(field(1, &cell), Err(why.to_owned()));
        }
    }

    #[test]
    fn the_servers_own_limit_lies_behind_the_alarm_and_changes_seldom() {
        let of = |millis| server_limit(Duration::from_millis(millis)).as_secs();
        assert_eq!([of(0), of(999), of(1_000), of(2_999), of(3_000), of(60_000)], [1, 1, 2, 4, 4, 64]);
        assert!(server_limit(Duration::MAX) >= LONGEST);
    }
}
