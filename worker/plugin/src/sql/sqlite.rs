//! The `sql` runtime on SQLite, for data that travel in the release; and the same tables for plugins that are no queries
//! themselves ([`reader`]).
//!
//! An instance is an in-memory database of its own:
//! 1. The data tables are loaded from their CSV files, every column as text.
//! 2. `open.sqlite.sql`, where there is one, prepares temporary tables and indexes ([`guard`] allows nothing else).
//! 3. Each block fills the temporary table `records` (`record_id` and the input columns, typed), then
//!    `query.sqlite.sql` runs, which may only read. It returns `record_id`, the output columns and perhaps `error`.

mod cell;
mod errors;
mod guard;
mod instance;
mod reader;
mod statements;
mod tables;

pub(crate) use instance::{QUERY_FILE, SqlPlugin};
pub(crate) use reader::SqliteReader;
