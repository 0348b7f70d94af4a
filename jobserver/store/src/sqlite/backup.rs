//! A copy of the whole database, taken while its job server works.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{private, sql};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[error("copying the database {} to {}", from.display(), to.display())]
pub struct CopyError {
    from: PathBuf,
    to: PathBuf,
    source: CopyFault,
}

#[derive(Debug, thiserror::Error)]
enum CopyFault {
    #[error(transparent)]
    Made(#[from] std::io::Error),
    #[error(transparent)]
    Copied(#[from] rusqlite::Error),
}

/// Copies what is committed in the database at `from` into a new one at `to`, as it stands at one instant. Writers go on
/// meanwhile. The copy is not synced. Blocks.
///
/// # Errors
/// When the one cannot be read or the other not be written.
pub fn copy(from: &Path, to: &Path) -> Result<(), CopyError> {
    let copy = || -> Result<(), CopyFault> {
        // SQLite fills a file that is empty; one that it makes itself others may read.
        private::make(to)?;
        // Not to be made where there is none. A log beside it can be read by those only who might write to it.
        let connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        super::connection::prepare_to_copy(&connection)?;
        connection.execute(sql::COPY_WHOLE, [to.to_string_lossy()])?;
        Ok(())
    };
    copy().map_err(|source| CopyError { from: from.to_owned(), to: to.to_owned(), source })
}
