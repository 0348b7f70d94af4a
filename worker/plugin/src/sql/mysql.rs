//! The `sql` runtime on MariaDB and MySQL, for data on the worker's replica; and the same tables for plugins that are no queries
//! themselves: modules ask through [`reader`], programs connect by themselves once [`reach`] has looked at the account.
//!
//! An instance is a connection of its own:
//! 1. Connect; what sessions differ in (collation, SQL mode, lengths) is set ([`session`]). Whoever judges the position of
//!    the data reads it here, before anything is read from a table.
//! 2. The account must not be able to write ([`grants`]).
//! 3. `open.mysql.sql`, where there is one, fills temporary tables in the schema `nightshift_scratch`, statement by statement,
//!    each on data as they are when it begins. From then on the session is read only for the server too.
//! 4. The query is prepared by the server with the block in front of it: `records` is a common table expression over a
//!    list in JSON ([`statements`]), for MySQL cannot open a temporary table twice in one query. Being behind a WITH
//!    it can be nothing but one SELECT; [`script`] refuses, before, what reads no data but blocks, waits or writes.
//! 5. Each block is one execution: a read-only transaction with a view of its own, never older than step 1.
//!
//! A run that takes too long, or is stopped, is killed on the server through a second connection. A connection that is
//! lost is made again once, from step 1 on; then the data are away, which is no fault of the plugin. An instance opens also
//! while the replica is away, and looks again at each block.

mod cell;
mod failure;
mod grants;
mod instance;
mod private;
mod reach;
mod reader;
mod script;
mod session;
mod statements;
mod stop;

pub(crate) use instance::ReplicaPlugin;
pub(crate) use reach::{look, of_opening, replica_for};
pub(crate) use reader::ReplicaReader;
