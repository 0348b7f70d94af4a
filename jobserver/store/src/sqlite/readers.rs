//! Connections that only read, beside the writer: a reader sees the last commit and never waits for one.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::{connection, failure::Failure};

/// So many reads run at the same time; more wait for their turn.
const READERS: usize = 4;

/// Reading connections, opened when needed and used again.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Readers of the database at `path`, which exists.
    pub(super) fn new(path: PathBuf) -> Readers {
        Readers { path, idle: Arc::default(), turns: Arc::new(Semaphore::new(READERS)) }
    }

    /// Runs a read, all of it on one snapshot, where it may block.
    pub(super) async fn call<T, F>(&self, read: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let readers = self.clone();
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Failure::Ended)?;
        let read = move || {
            let _turn = turn;
            let mut connection = readers.take()?;
            let outcome = connection.transaction().map_err(Failure::from).and_then(|snapshot| read(&snapshot));
            readers.give_back(connection);
            outcome
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| Failure::Ended)?
    }

    fn take(&self) -> Result<Connection, Failure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(&self.path, flags)?;
                connection::prepare_to_read(&connection)?;
                Ok(connection)
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
