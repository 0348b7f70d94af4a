//! The local stop file. That it is there stops the worker, whatever it is; its content is the reason.
#![allow(clippy::disallowed_methods, reason = "the stop file is renamed here, once it is whole")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use nightshift_contract::exit::Exit;

use crate::Failure;

/// Makes the stop file, durably: a power cut does not start the worker again. A full disk or something odd of that name
/// costs at most the reason: the error then says that the worker is stopped all the same.
pub(crate) fn write(file: &Path, reason: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let write = || {
        // Nothing is written through a link or into a pipe of that name; it stops by being there.
        if fs::symlink_metadata(file).is_ok_and(|present| !present.is_file()) {
            return Err(io::Error::other("something else of that name is there"));
        }
        fs::create_dir_all(folder)?;
        // A new file, which takes the other's place: whatever becomes of that name meanwhile, root writes into no file of others.
        let beside = folder.join(".STOP.new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut open = File::create_new(&beside)?;
        let noted = writeln!(open, "{reason}").and_then(|()| open.sync_all());
        fs::rename(&beside, file)?;
        noted
    };
    let written = write();
    let is_there = fs::symlink_metadata(file).is_ok();
    match written.and_then(|()| File::open(folder)?.sync_all()) {
        Err(error) if is_there => Err(Failure {
            exit: Exit::Failed,
            message: format!(
                "this worker is stopped, but the reason is not noted: writing {}: {error}",
                file.display()
            ),
        }),
        done => done.map_err(failed("writing", file)),
    }
}

/// Removes the stop file; whether it was there. An empty folder of that name is removed as well.
pub(crate) fn remove(file: &Path) -> Result<bool, Failure> {
    let is_folder = fs::symlink_metadata(file).is_ok_and(|present| present.is_dir());
    match if is_folder { fs::remove_dir(file) } else { fs::remove_file(file) } {
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
