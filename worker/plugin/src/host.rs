//! What the machine offers plugins, and what it lets them do: the same for all plugins of a process.

use std::path::PathBuf;

/// The machine, as plugins find it.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The folder in which compiled modules are kept from one start to the next; without one they are compiled each time.
    pub cache: Option<PathBuf>,
}
