//! What a program is locked into, as it is handed to the process that does it. Nothing in it is secret: others can read
//! arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::limits::Limits;

/// A cell, and what becomes of the process that locked itself into it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// What to do inside.
    pub(crate) purpose: Purpose,
    /// The program that has the sandbox's entry.
    pub(crate) launcher: PathBuf,
    /// The folder the program is started in.
    pub(crate) folder: PathBuf,
    /// Files and folders it may read and run, beside the system's.
    pub(crate) readable: Vec<Shown>,
    /// The one folder it may write to; empty inside bubblewrap, where it is `/tmp`.
    pub(crate) scratch: PathBuf,
    /// What it may reach by sockets.
    pub(crate) network: Network,
    /// How much it may take.
    pub(crate) limits: Limits,
    /// Bubblewrap, where it is still to be gone through.
    pub(crate) bubblewrap: Option<PathBuf>,
    /// The user to become, where the process started as root.
    pub(crate) user: Option<u32>,
    /// The process is in namespaces of its own.
    pub(crate) is_inside: bool,
    /// As on a machine without landlock.
    pub(crate) without_landlock: bool,
}

/// A file or folder, and where a program sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// Where it is.
    pub(crate) from: PathBuf,
    /// Where it is seen; somewhere else only in a view of its own.
    pub(crate) at: PathBuf,
}

impl Shown {
    /// Seen where it is.
    pub(crate) fn there(path: PathBuf) -> Shown {
        Shown { at: path.clone(), from: path }
    }
}

/// What the process does once it is locked in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Purpose {
    /// Says on standard output what it is locked in by, and ends.
    #[default]
    Report,
    /// Becomes a program.
    Run {
        /// The program; a name without a slash is looked for where programs are.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// What a program may reach by sockets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Network {
    /// Nothing.
    #[default]
    None,
    /// The replica by its socket file.
    Socket(PathBuf),
    /// The replica by this port of TCP.
    Port(u16),
    /// Everything, as plugin.toml declares.
    All,
}

impl Network {
    /// Whether the program stays in the machine's network.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Network::Port(_) | Network::All)
    }
}

impl Cell {
    /// The cell as one argument.
    pub(crate) fn to_argument(&self) -> OsString {
        // Paths that are not UTF-8 have no JSON; such a program cannot be started and says so.
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Reads such an argument.
    ///
    /// # Errors
    /// When it is no cell.
    pub(crate) fn from_argument(argument: &std::ffi::OsStr) -> Result<Cell, String> {
        let text = argument.to_str().ok_or("the cell is not UTF-8")?;
        serde_json::from_str(text).map_err(|error| format!("reading the cell: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_as_it_was_written() {
        let cell = Cell {
            purpose: Purpose::Run { program: "./count".into(), arguments: vec!["a b".into(), "ä".into()] },
            network: Network::Socket("/run/x.sock".into()),
            user: Some(7),
            ..Cell::default()
        };
        assert_eq!(Cell::from_argument(&cell.to_argument()), Ok(cell));
        assert!(Cell::from_argument("{}".as_ref()).is_err());
    }
}
