//! The local stop file. That it is there stops the worker; its content is the reason.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use nightshift_contract::exit::Exit;

use crate::Failure;

/// Writes the stop file, durably: a power cut does not start the worker again.
pub(crate) fn write(file: &Path, reason: &str) -> Result<(), Failure> {
    let write = || {
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut open = File::create(file)?;
        writeln!(open, "{reason}")?;
        open.sync_all()?;
        File::open(folder)?.sync_all()
    };
    write().map_err(failed("writing", file))
}

/// Removes the stop file; whether it was there.
pub(crate) fn remove(file: &Path) -> Result<bool, Failure> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("removing", file)(error)),
    }
}

fn failed<'a>(doing: &'a str, file: &'a Path) -> impl FnOnce(io::Error) -> Failure + 'a {
    move |error| {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => Exit::NotAllowed,
            _ => Exit::Failed,
        };
        Failure { exit, message: format!("{doing} {}: {error}; be the user the worker runs as", file.display()) }
    }
}
