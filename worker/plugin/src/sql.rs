//! The `sql` runtime on SQLite: a plugin is a query over the block and the data tables.
//!
//! An instance is an in-memory database of its own:
//! 1. The data tables are loaded from their CSV files, every column as text.
//! 2. `open.sqlite.sql`, where there is one, prepares temporary tables and indexes ([`guard`] allows nothing else).
//! 3. Each block fills the temporary table `records` (`record_id` and the input columns, typed), then
//!    `query.sqlite.sql` runs, which may only read. It returns `record_id`, the output columns and perhaps `error`.
//!
//! A query that fails or takes too long is tried again on halves of the block, down to the record at fault
//! ([`crate::isolate`]): one poisonous record costs its own result and no other.

mod answer;
mod errors;
mod guard;
mod instance;
mod reader;
mod statements;
mod tables;

pub(crate) use instance::SqlPlugin;
pub(crate) use reader::SqliteReader;
