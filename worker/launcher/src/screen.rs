//! What `status` and `doctor` print, for people and as JSON.

use std::io::{self, Write};

use nightshift_contract::exit::Exit;
use nightshift_contract::layout::StateDir;

use crate::{clock, lock, status, stop_file};

/// Prints the status. Nothing is changed, and no lock is needed.
///
/// # Errors
/// When the status cannot be read or printed.
pub fn status(state: &StateDir, json: bool) -> io::Result<Exit> {
    let running = lock::holder_now(state);
    let stop_file = stop_file::reason(state);
    let status = status::read(state)?;
    if json {
        print(&serde_json::to_string_pretty(&serde_json::json!({
            "version": 1,
            "running": running,
            "stop_file": stop_file,
            "status": status,
        }))?)?;
    } else {
        match &status {
            Some(status) => print(&status::screen(status, running, stop_file.as_deref(), clock::now()))?,
            None => print("no cycle has run here yet; run one with: nightshift-worker run\n")?,
        }
    }
    Ok(if status.is_some() { Exit::Done } else { Exit::NotFound })
}

/// Prints to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}
