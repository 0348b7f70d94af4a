//! What the machine offers plugins, and what it lets them do: the same for all plugins of a process.

use std::path::PathBuf;

use crate::replica::Replica;
use crate::sandbox::Sandbox;

/// The machine, as plugins find it.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The folder in which compiled modules are kept from one start to the next; without one they are compiled each time.
    pub cache: Option<PathBuf>,
    /// What programs are locked into; without one, none is run.
    pub sandbox: Option<Sandbox>,
    /// Plugins whose programs may run where the machine cannot keep them from the worker's files.
    pub allow_unsandboxed: Vec<String>,
    /// What everything that this process starts is marked with ([`nightshift_kin::MARK`]).
    pub mark: Option<String>,
    /// The replica with the company's data, for plugins with `source = "replica"`; without one they do not open.
    pub replica: Option<Replica>,
    /// A server that nobody else uses, with all rights, for samples that only a MySQL or MariaDB can run.
    pub private_server: Option<Replica>,
}
