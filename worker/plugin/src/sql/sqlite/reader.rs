//! Data tables in SQLite for plugins that are no queries themselves: what they ask may read and nothing else.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use nightshift_manifest::plugin::PluginManifest;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::errors::{is_interrupted, message};
use super::guard::{Author, Guard};
use super::instance::{connect, sqlite};
use super::tables;
use crate::clock::Alarm;
use crate::data::{Queries, QueryError};
use crate::field::Field;
use crate::{Data, OpenError};

/// So many statements stay prepared.
const PREPARED: usize = 64;

/// The tables of one plugin, in memory.
pub(crate) struct SqliteReader {
    connection: Connection,
    guard: Guard,
}

impl SqliteReader {
    /// Loads the tables that `manifest` names, for the plugin in `folder` of the release in `tree`.
    pub(crate) fn open(
        folder: &Path,
        tree: &Path,
        manifest: &PluginManifest,
        data: Data,
        alarm: &Arc<Alarm>,
    ) -> Result<SqliteReader, OpenError> {
        let failed = |source| OpenError::Sqlite { plugin: manifest.name.clone(), source };
        let mut connection = connect(alarm).map_err(failed)?;
        let guard = Guard::before(&mut connection).map_err(failed)?;
        for table in &manifest.tables {
            tables::load(&connection, table, folder, tree, data)?;
        }
        connection.set_prepared_statement_cache_capacity(PREPARED);
        guard.expect(Author::Query);
        Ok(SqliteReader { connection, guard })
    }

    fn explain(&self, error: &rusqlite::Error) -> QueryError {
        match self.guard.denied() {
            _ if is_interrupted(error) => QueryError::BrokenOff,
            Some(denied) => QueryError::Failed(format!("not allowed: {denied}; a query may only read")),
            None => QueryError::Failed(message(error)),
        }
    }
}

impl Queries for SqliteReader {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Field<'_>],
        row: &mut dyn FnMut(&[Field<'_>]) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        self.guard.expect(Author::Query);
        let explain = |error: rusqlite::Error| self.explain(&error);
        let mut statement = self.connection.prepare_cached(sql).map_err(explain)?;
        if statement.parameter_count() != parameters.len() {
            return Err(QueryError::parameters(statement.parameter_count(), parameters.len()));
        }
        let columns = statement.column_count();
        let mut rows = statement
            .query(rusqlite::params_from_iter(parameters.iter().map(|parameter| sqlite(*parameter))))
            .map_err(explain)?;
        while let Some(found) = rows.next().map_err(explain)? {
            let mut fields = Vec::with_capacity(columns);
            for column in 0..columns {
                fields.push(field(found.get_ref(column).map_err(explain)?).map_err(|what| {
                    QueryError::Failed(format!("column {} holds {what}; CAST it AS TEXT, or leave it out", column + 1))
                })?);
            }
            if row(&fields).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A value as plugins take it; the error says what it is instead.
fn field(value: ValueRef<'_>) -> Result<Field<'_>, &'static str> {
    match value {
        ValueRef::Null => Ok(Field::Null),
        ValueRef::Integer(number) => Ok(Field::Integer(number)),
        ValueRef::Real(number) => Ok(Field::Real(number)),
        ValueRef::Text(text) => std::str::from_utf8(text).map(Field::Text).map_err(|_| "text that is not UTF-8"),
        ValueRef::Blob(_) => Err("a blob"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(alarm: &Arc<Alarm>) -> SqliteReader {
        let tree = tempfile::tempdir().expect("a folder");
        let folder = tree.path().join("plugins/p");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::create_dir(tree.path().join("data")).expect("a folder");
        std::fs::write(tree.path().join("data/people.csv"), "id,name\n1,Anna\n2,Bert\n3,\n").expect("a table");
        let manifest = "runtime = \"wasm\"\n[input]\nname = \"text\"\n[output]\nhits = \"integer\"\n\
                        [data]\nsource = \"repo\"\ntables = [\"people\"]\n";
        let manifest = PluginManifest::parse("p", manifest).expect("well formed");
        SqliteReader::open(&folder, tree.path(), &manifest, Data::Release, alarm).expect("opens")
    }

    fn ask(reader: &mut SqliteReader, sql: &str, parameters: &[Field<'_>]) -> Result<Vec<String>, String> {
        let mut rows = Vec::new();
        let mut note = |row: &[Field<'_>]| {
            rows.push(format!("{row:?}"));
            ControlFlow::Continue(())
        };
        reader.query(sql, parameters, &mut note).map_err(|error| error.to_string())?;
        Ok(rows)
    }

    #[test]
    fn rows_come_one_by_one_until_nobody_wants_them() {
        let mut reader = reader(&Arc::new(Alarm::new()));
        let rows = ask(&mut reader, "SELECT id, name, 1.5, NULL, 7 FROM people WHERE name = ?", &[Field::Text("Anna")]);
        assert_eq!(rows, Ok(vec!["[Text(\"1\"), Text(\"Anna\"), Real(1.5), Null, Integer(7)]".to_owned()]));
        let mut seen = 0;
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
        let mut three = |_: &[Field<'_>]| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        reader.query(endless, &[], &mut three).expect("broken off by the one who asks");
        assert_eq!(seen, 3);
    }

    #[test]
    fn a_query_may_only_read_and_says_what_is_wrong_with_it() {
        let mut reader = reader(&Arc::new(Alarm::new()));
        for (sql, why) in [
            ("DELETE FROM people", "not allowed: changing people; a query may only read"),
            ("CREATE TEMP TABLE t (x)", "not allowed"),
            ("ATTACH 'x.db' AS x", "not allowed: attaching a database"),
            ("PRAGMA user_version = 3", "not allowed: pragma user_version"),
            ("SELECT load_extension('x')", "not allowed: function load_extension"),
            ("SELECT x FROM people", "no such column: x"),
            ("SELECT name FROM people WHERE id = ?", "it has 1 parameters, and the plugin gave 0"),
            ("SELECT CAST(x'ff' AS TEXT)", "column 1 holds text that is not UTF-8"),
            ("SELECT 1, x'00'", "column 2 holds a blob"),
        ] {
            let error = ask(&mut reader, sql, &[]).expect_err(sql);
            assert!(error.contains(why), "{sql}: {error}");
        }
        assert_eq!(ask(&mut reader, "SELECT count(*) FROM people", &[]), Ok(vec!["[Integer(3)]".to_owned()]));
    }

    #[test]
    fn a_query_ends_when_the_alarm_rings() {
        let alarm = Arc::new(Alarm::new());
        let mut reader = reader(&alarm);
        alarm.stop();
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let error = reader.query(endless, &[], &mut |_| ControlFlow::Continue(())).expect_err("it never ends");
        assert_eq!(error, QueryError::BrokenOff);
    }
}
