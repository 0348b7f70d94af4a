//! An open plugin on SQLite: its database, its query, and the way of a block through them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::PluginManifest;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::cell::cell;
use super::errors::{in_file, is_interrupted, message};
use super::guard::{Author, Guard};
use super::{statements, tables};
use crate::block::{self, Answers, LARGEST_ANSWER};
use crate::clock::Alarm;
use crate::field::{Field, TypedRecord};
use crate::isolate::Fault;
use crate::outcome::Outcomes;
use crate::sql::answer::AnswerShape;
use crate::sql::{OPEN_LIMIT, RunFault, read};
use crate::{Block, BlockError, Data, OpenError, Plugin, Results, Stopper, memory};

const OPEN_FILE: &str = "open.sqlite.sql";
pub(crate) const QUERY_FILE: &str = "query.sqlite.sql";
/// No value is longer than this, in bytes; a runaway concatenation ends here and not with the machine's memory.
const LONGEST_VALUE: i32 = 64 << 20;
/// SQLite looks at the alarm after so many steps of its virtual machine: about a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 50_000;
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

    /// One run of the query: an outcome for each of `records`, in order. They take away from `room`, in bytes of text.
    fn run(&self, records: &[TypedRecord<'_>], time: Duration, room: &mut usize) -> Result<Outcomes, Fault> {
        let plugin = || self.manifest.name.clone();
        self.fill(records).map_err(|source| Fault::OfBlock(BlockError::Sqlite { plugin: plugin(), source }))?;
        self.guard.expect(Author::Query);
        self.alarm.set(time);
        let outcomes = self.ask(records, room);
        self.alarm.off();
        outcomes.map_err(|fault| match fault {
            RunFault::Query(error) if is_interrupted(&error) && self.alarm.is_stopped() => {
                Fault::OfBlock(BlockError::Stopped { plugin: plugin() })
            }
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
            for (index, field) in record.fields.iter().enumerate() {
                insert.raw_bind_parameter(index + 2, sqlite(*field))?;
            }
            insert.raw_execute()?;
        }
        drop(insert);
        transaction.commit()
    }

    /// Runs the query and sorts its rows by record.
    fn ask(&self, records: &[TypedRecord<'_>], room: &mut usize) -> Result<Outcomes, RunFault<rusqlite::Error>> {
        let mut answers = Answers::to(records, 0);
        let mut query = self.connection.prepare_cached(&self.query)?;
        let mut rows = query.query([])?;
        let mut size = 0;
        while let Some(row) = rows.next()? {
            let id = self.shape.record_id(|index| cell(row, index))?.map_err(RunFault::ForeignRow)?;
            let asked = answers.asked(id).ok_or_else(|| RunFault::ForeignRow(id.to_string()))?;
            let output = &self.manifest.output;
            size += answers.note(asked, |text| self.shape.outcome(text, output, |index| cell(row, index)))?;
            if size > *room {
                return Err(RunFault::TooMuch);
            }
        }
        *room -= size;
        Ok(answers.into_outcomes())
    }
}

impl Plugin for SqlPlugin {
    fn stopper(&self) -> Stopper {
        let alarm = Arc::clone(&self.alarm);
        Arc::new(move || alarm.stop())
    }

    fn work(&mut self, block: Block<'_>) -> Result<Results, BlockError> {
        self.alarm.forget_stop();
        block::process(&self.manifest, block, |records, time, room| self.run(records, time, room))
    }
}

impl From<rusqlite::Error> for RunFault<rusqlite::Error> {
    fn from(error: rusqlite::Error) -> Self {
        RunFault::Query(error)
    }
}

/// An empty database in memory, whose statements end when `alarm` rings.
pub(super) fn connect(alarm: &Arc<Alarm>) -> rusqlite::Result<Connection> {
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

/// A field as SQLite takes it.
pub(super) fn sqlite(field: Field<'_>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match field {
        Field::Null => ValueRef::Null,
        Field::Text(text) => ValueRef::Text(text.as_bytes()),
        Field::Integer(number) => ValueRef::Integer(number),
        Field::Real(number) => ValueRef::Real(number),
    })
}
