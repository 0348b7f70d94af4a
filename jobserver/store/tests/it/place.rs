//! Where a store under test lives, so that a test can close it and open it again as a restarted server would.

use std::path::PathBuf;

use async_trait::async_trait;
use nightshift_store::{Store, sqlite::SqliteStore};

/// A place for one store; what was stored outlives the `Box<dyn Store>`.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// Opens the store; the one opened before must have been dropped.
    async fn open(&self) -> Box<dyn Store>;
}

/// A fresh folder with a SQLite store.
pub(crate) struct SqlitePlace {
    folder: tempfile::TempDir,
}

impl SqlitePlace {
    pub(crate) fn fresh() -> SqlitePlace {
        SqlitePlace { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("nightshift.sqlite")
    }
}

#[async_trait]
impl Place for SqlitePlace {
    async fn open(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(&self.database()).expect("open the store"))
    }
}
