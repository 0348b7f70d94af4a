//! An open plugin of the `sql` runtime: its database, its query, and the way of a block through them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{ColumnType, PluginManifest};
use nightshift_wire::{Outcome, Record, RecordResult, Records};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::answer::AnswerShape;
use super::errors::{in_file, is_interrupted, message};
use super::guard::{Author, Guard};
use super::isolate::{Fault, isolate};
use super::{statements, tables};
use crate::clock::Alarm;
use crate::{BlockError, Data, OpenError, Plugin, Stopper, memory};

const OPEN_FILE: &str = "open.sqlite.sql";
const QUERY_FILE: &str = "query.sqlite.sql";
/// How long `open.sqlite.sql` may take.
const OPEN_LIMIT: Duration = Duration::from_secs(5 * 60);
/// No value is longer than this, in bytes; a runaway concatenation ends here and not with the machine's memory.
const LONGEST_VALUE: i32 = 64 << 20;
/// The answers to one block hold no more bytes of text than this: as much as a job server takes for a whole job.
const LARGEST_ANSWER: usize = 64 << 20;
/// SQLite looks at the alarm after so many steps of its virtual machine: about a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 50_000;
/// A part of a block that is tried again gets its share of the block's time, but at least this.
const SHORTEST_RUN: Duration = Duration::from_secs(1);

/// A plugin of the `sql` runtime.
pub(crate) struct SqlPlugin {
    connection: Connection,
    guard: Guard,
    alarm: Arc<Alarm>,
    manifest: PluginManifest,
    insert: String,
    query: String,
    shape: AnswerShape,
}

impl SqlPlugin {
    /// Opens the plugin in `folder` of the release in `tree`.
    pub(crate) fn open(
        folder: &Path,
        tree: &Path,
        manifest: &PluginManifest,
        data: Data,
    ) -> Result<SqlPlugin, OpenError> {
        let sqlite = |source| OpenError::Sqlite { plugin: manifest.name.clone(), source };
        let alarm = Arc::new(Alarm::new());
        let mut connection = connect(&alarm).map_err(sqlite)?;
        let guard = Guard::before(&mut connection).map_err(sqlite)?;
        for table in &manifest.tables {
            tables::load(&connection, table, folder, tree, data)?;
        }
        connection.execute_batch(&statements::create_records(&manifest.input)).map_err(sqlite)?;

        let name_of = |file: &str| format!("plugins/{}/{file}", manifest.name);
        if folder.join(OPEN_FILE).exists() {
            let (file, script) = (name_of(OPEN_FILE), read(folder, OPEN_FILE, &name_of(OPEN_FILE))?);
            guard.expect(Author::OpenScript);
            alarm.set(OPEN_LIMIT);
            let done = connection.execute_batch(&script);
            alarm.off();
            match done {
                Err(error) if is_interrupted(&error) => return Err(OpenError::TooSlow { file, limit: OPEN_LIMIT }),
                done => done.map_err(|error| in_file(&file, &script, &error, guard.denied()))?,
            }
        }

        let (file, query) = (name_of(QUERY_FILE), read(folder, QUERY_FILE, &name_of(QUERY_FILE))?);
        alarm.set(OPEN_LIMIT);
        let shape = check_query(&connection, &guard, &file, &query, manifest);
        alarm.off();
        let shape = shape?;
        let insert = statements::insert_record(&manifest.input);
        Ok(SqlPlugin { connection, guard, alarm, manifest: manifest.clone(), insert, query, shape })
    }

    /// Where each input column stands in the block.
    fn columns_in(&self, block: &Records) -> Result<Vec<(usize, String, ColumnType)>, BlockError> {
        let place = |name: &String| block.columns.iter().position(|column| column == name);
        self.manifest
            .input
            .iter()
            .map(|(name, column_type)| match place(name) {
                Some(index) => Ok((index, name.clone(), *column_type)),
                None => Err(BlockError::MissingColumn { plugin: self.manifest.name.clone(), column: name.clone() }),
            })
            .collect()
    }

    /// One run of the query: an outcome for each of `records`, in order. They take away from `room`, in bytes of text.
    fn run(&self, records: &[TypedRecord<'_>], time: Duration, room: &mut usize) -> Result<Vec<Outcome>, Fault> {
        let plugin = || self.manifest.name.clone();
        self.fill(records).map_err(|source| Fault::OfBlock(BlockError::Sqlite { plugin: plugin(), source }))?;
        self.guard.expect(Author::Query);
        self.alarm.set(time);
        let outcomes = self.ask(records, room);
        self.alarm.off();
        outcomes.map_err(|fault| match fault {
            RunFault::Query(error) if is_interrupted(&error) => {
                Fault::OfRun(format!("the query was not done after {} s", time.as_secs_f32()))
            }
            RunFault::Query(error) => Fault::OfRun(format!("the query failed: {}", message(&error))),
            RunFault::TooMuch => Fault::OfBlock(BlockError::TooMuch { plugin: plugin(), most: LARGEST_ANSWER }),
            RunFault::ForeignRow(found) => Fault::OfBlock(BlockError::ForeignRow { plugin: plugin(), found }),
        })
    }

    /// Puts `records`, and nothing else, into the block's table.
    fn fill(&self, records: &[TypedRecord<'_>]) -> rusqlite::Result<()> {
        self.guard.expect(Author::Runtime);
        let transaction = self.connection.unchecked_transaction()?;
        transaction.prepare_cached(statements::CLEAR)?.execute([])?;
        let mut insert = transaction.prepare_cached(&self.insert)?;
        for record in records {
            insert.raw_bind_parameter(1, record.id)?;
            for (index, value) in record.values.iter().enumerate() {
                insert.raw_bind_parameter(index + 2, ToSqlOutput::Borrowed(*value))?;
            }
            insert.raw_execute()?;
        }
        drop(insert);
        transaction.commit()
    }

    /// Runs the query and sorts its rows by record.
    fn ask(&self, records: &[TypedRecord<'_>], room: &mut usize) -> Result<Vec<Outcome>, RunFault> {
        let places: HashMap<i64, usize> =
            records.iter().enumerate().map(|(place, record)| (record.id, place)).collect();
        let mut answers = vec![Answer::None; records.len()];
        let mut query = self.connection.prepare_cached(&self.query)?;
        let mut rows = query.query([])?;
        let mut size = 0;
        while let Some(row) = rows.next()? {
            let id = self.shape.record_id(row)?.map_err(RunFault::ForeignRow)?;
            let Some(&place) = places.get(&id) else { return Err(RunFault::ForeignRow(id.to_string())) };
            answers[place] = match std::mem::replace(&mut answers[place], Answer::None) {
                Answer::None => {
                    let (outcome, more) = self.shape.outcome(row)?;
                    size += more;
                    if size > *room {
                        return Err(RunFault::TooMuch);
                    }
                    Answer::One(outcome)
                }
                Answer::One(_) => Answer::Many(2),
                Answer::Many(rows) => Answer::Many(rows.saturating_add(1)),
            };
        }
        *room -= size;
        Ok(answers.into_iter().map(Answer::into_outcome).collect())
    }
}

impl Plugin for SqlPlugin {
    fn stopper(&self) -> Stopper {
        let alarm = Arc::clone(&self.alarm);
        Arc::new(move || alarm.stop())
    }

    fn process(&mut self, block: &Records) -> Result<Vec<RecordResult>, BlockError> {
        self.alarm.forget_stop();
        let columns = self.columns_in(block)?;
        let mut seen = HashSet::with_capacity(block.records.len());
        if let Some(record) = block.records.iter().find(|record| !seen.insert(record.id)) {
            return Err(BlockError::RepeatedRecord { record: record.id });
        }

        // Records without the types that [input] declares never reach the query.
        let mut typed: Vec<TypedRecord<'_>> = Vec::with_capacity(block.records.len());
        let mut untyped: HashMap<i64, String> = HashMap::new();
        for record in &block.records {
            match typed_values(record, &columns) {
                Ok(values) => typed.push(TypedRecord { id: record.id, values }),
                Err(problem) => drop(untyped.insert(record.id, problem)),
            }
        }

        let limit = self.manifest.time_per_block;
        let mut room = LARGEST_ANSWER;
        let run = |range: Range<usize>| {
            let share = limit.mul_f64(range.len() as f64 / typed.len() as f64);
            self.run(&typed[range], share.max(SHORTEST_RUN.min(limit)), &mut room)
        };
        let mut outcomes = isolate(&self.manifest.name, typed.len(), run)?.into_iter();
        let results = block.records.iter().map(|record| RecordResult {
            id: record.id,
            outcome: match untyped.remove(&record.id) {
                Some(problem) => Outcome::Error(problem),
                None => outcomes.next().unwrap_or_else(|| Answer::None.into_outcome()),
            },
        });
        Ok(results.collect())
    }
}

/// A record whose values have the types that `[input]` declares.
struct TypedRecord<'a> {
    id: i64,
    values: Vec<ValueRef<'a>>,
}

/// The rows that came back for one record.
#[derive(Clone)]
enum Answer {
    None,
    One(Outcome),
    Many(u32),
}

impl Answer {
    fn into_outcome(self) -> Outcome {
        match self {
            Answer::None => Outcome::Error("the plugin returned no row for this record".to_owned()),
            Answer::One(outcome) => outcome,
            Answer::Many(rows) => Outcome::Error(format!("the plugin returned {rows} rows for this record")),
        }
    }
}

/// Why a run has no answers.
enum RunFault {
    Query(rusqlite::Error),
    ForeignRow(String),
    TooMuch,
}

impl From<rusqlite::Error> for RunFault {
    fn from(error: rusqlite::Error) -> Self {
        RunFault::Query(error)
    }
}

fn connect(alarm: &Arc<Alarm>) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.execute_batch(statements::TEMPORARY_IN_MEMORY)?;
    // The limit is one for the whole process, and this can only lower it.
    connection.pragma_update(None, statements::MEMORY_LIMIT, memory::for_plugins())?;
    // A misspelt column in double quotes is an error and not a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
    let alarm = Arc::clone(alarm);
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || alarm.rings()))?;
    Ok(connection)
}

fn read(folder: &Path, file: &str, name: &str) -> Result<String, OpenError> {
    std::fs::read_to_string(folder.join(file)).map_err(|source| OpenError::Read { file: name.to_owned(), source })
}

/// Checks that the query is one statement that only reads and returns what it must.
fn check_query(
    connection: &Connection,
    guard: &Guard,
    file: &str,
    query: &str,
    manifest: &PluginManifest,
) -> Result<AnswerShape, FileError> {
    guard.expect(Author::Query);
    let statement = connection.prepare_cached(query).map_err(|error| in_file(file, query, &error, guard.denied()))?;
    if statement.column_count() == 0 {
        return Err(FileError::whole(file, "there is no query: write one SELECT"));
    }
    if statement.parameter_count() > 0 {
        return Err(FileError::whole(file, "the query has a parameter; the block is in the table records"));
    }
    AnswerShape::of(file, &statement.column_names().collect::<Vec<_>>(), &manifest.output)
}

/// The values of a record as the query gets them; the error names the column at fault.
fn typed_values<'a>(record: &'a Record, columns: &[(usize, String, ColumnType)]) -> Result<Vec<ValueRef<'a>>, String> {
    columns
        .iter()
        .map(|(index, name, column_type)| {
            let Some(text) = record.values.get(*index) else {
                return Err(format!("the record has no value in column {name}"));
            };
            typed(text, *column_type).ok_or_else(|| {
                format!("column {name} is {:?}, which is not of type {}", excerpt(text), column_type.name())
            })
        })
        .collect()
}

/// An empty field is an empty text, but no number.
fn typed(text: &str, column_type: ColumnType) -> Option<ValueRef<'_>> {
    match column_type {
        ColumnType::Text => Some(ValueRef::Text(text.as_bytes())),
        _ if text.is_empty() => Some(ValueRef::Null),
        ColumnType::Integer => text.parse().ok().map(ValueRef::Integer),
        ColumnType::Real => text.parse().ok().filter(|number: &f64| number.is_finite()).map(ValueRef::Real),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_the_type_its_column_declares() {
        assert_eq!(typed("", ColumnType::Text), Some(ValueRef::Text(b"")));
        assert_eq!(typed("", ColumnType::Integer), Some(ValueRef::Null));
        assert_eq!(typed("-12", ColumnType::Integer), Some(ValueRef::Integer(-12)));
        assert_eq!(typed("1.5", ColumnType::Integer), None);
        assert_eq!(typed("1e3", ColumnType::Real), Some(ValueRef::Real(1000.0)));
        assert_eq!(typed("NaN", ColumnType::Real), None);
    }
}
