//! What a plugin's SQL may do, decided by SQLite's authorizer while a statement is prepared.
//!
//! `open.sqlite.sql` may read everything and change the temporary schema; `query.sqlite.sql` may only read. Neither
//! reaches files, other databases, pragmas, transactions or extensions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Whose statements are being prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// This crate.
    Runtime,
    /// The plugin's `open.sqlite.sql`.
    OpenScript,
    /// The plugin's `query.sqlite.sql`.
    Query,
}

/// Watches over a connection.
#[derive(Debug, Clone)]
pub(super) struct Guard(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    author: Author,
    denied: Option<String>,
}

impl Guard {
    /// Stands in front of `connection`; until told otherwise, statements are this crate's own.
    pub(super) fn before(connection: &mut Connection) -> rusqlite::Result<Guard> {
        let guard = Guard(Arc::new(Mutex::new(State { author: Author::Runtime, denied: None })));
        let watching = guard.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            let mut state = watching.state();
            if is_allowed(state.author, &context) {
                return Authorization::Allow;
            }
            state.denied = Some(describe(&context.action));
            Authorization::Deny
        }))?;
        Ok(guard)
    }

    /// From now on, statements are `author`'s.
    pub(super) fn expect(&self, author: Author) {
        let mut state = self.state();
        state.author = author;
        state.denied = None;
    }

    /// What was denied since the author was last named.
    pub(super) fn denied(&self) -> Option<String> {
        self.state().denied.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `author` may do this.
fn is_allowed(author: Author, context: &AuthContext<'_>) -> bool {
    use AuthAction::*;
    let temporary = context.database_name == Some("temp");
    match (author, &context.action) {
        (Author::Runtime, _) | (_, Select | Read { .. } | Recursive) => true,
        (_, Function { function_name }) => !function_name.eq_ignore_ascii_case("load_extension"),
        (
            Author::OpenScript,
            CreateTempTable { .. }
            | CreateTempIndex { .. }
            | CreateTempView { .. }
            | DropTempTable { .. }
            | DropTempIndex { .. }
            | DropTempView { .. },
        ) => true,
        // ANALYZE makes a table of its own, which SQLite does not call temporary even where it is.
        (
            Author::OpenScript,
            Insert { .. } | Update { .. } | Delete { .. } | Analyze { .. } | Reindex { .. } | CreateTable { .. },
        ) => temporary,
        (Author::OpenScript, AlterTable { database_name, .. }) => *database_name == "temp",
        _ => false,
    }
}

fn describe(action: &AuthAction<'_>) -> String {
    use AuthAction::*;
    match action {
        CreateTable { table_name } => format!("creating table {table_name}, which is not temporary"),
        Insert { table_name: "sqlite_master" }
        | Update { table_name: "sqlite_master", .. }
        | Delete { table_name: "sqlite_master" } => "creating or dropping what is not temporary".to_owned(),
        Insert { table_name } | Update { table_name, .. } | Delete { table_name } => format!("changing {table_name}"),
        Pragma { pragma_name, .. } => format!("pragma {pragma_name}"),
        Attach { .. } => "attaching a database".to_owned(),
        Transaction { .. } | Savepoint { .. } => "a transaction of its own".to_owned(),
        Function { function_name } => format!("function {function_name}"),
        CreateVtable { module_name, .. } => format!("creating a virtual table of {module_name}"),
        other => format!("{other:?}"),
    }
}
