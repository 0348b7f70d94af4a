//! Where things stand in a worker's state folder. Every path of it is made here and nowhere else.
//!
//! ```text
//! STATE/
//!   lock           kernel lock of the one launcher of this machine; says who holds it
//!   progress       when the launcher last got somewhere (milliseconds since this machine started)
//!   STOP           local stop file; its content is the reason
//!   identity.json  who this worker is (0600)
//!   credential.json  what this worker proves itself by to a job server that asks for it (0600)
//!   status.json    what the last or running cycle found, step by step
//!   look.json      what the last look at the repository saw, and when
//!   stops.json     the stops that the job server told of last
//!   trust.a.json   version floor, release in force, keys, denied and seen tags
//!   trust.b.json   the same again: one of the two may be damaged
//!   repairs.json   how often what was damaged was made good
//!   lookout/       a small clone to look for stops with while that one is in use
//!   repo.git/      clone of the central repository: a cache, thrown away when damaged
//!   trial.json     how far the update under way is, and what was found bad
//!   boot.state     which launcher boot becomes, and how often it was tried
//!   boot.starts    how often in a row the last good one was started and came to nothing
//!   downloads/     programs that are being fetched
//!   slots/         one immutable folder per staged release: `tree/`, and `bin/` where it brings programs
//!   in-force       symbolic link to the slot in force, switched by rename
//!   core/          the core's own: its lock, one folder per attempt; `started`, the core last started, `mark`, what is in
//!                  its environment and its descendants', and `family`, those there were lately; `failed/`, some records
//!                  of the last job that came to nothing, for each plugin
//!   replica/       the worker's own database server (0700); what is in it says worker/replica/src/server/place.rs
//!   cache/wasm/    compiled modules of plugins (0700): thrown away at will
//!   log/           rotated by day
//! ```

use std::path::{Path, PathBuf};

/// The folder used when `worker.toml` names none.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/nightshift";
/// The configuration read when `--config` is not given.
pub const DEFAULT_CONFIG: &str = "/etc/nightshift/worker.toml";
/// Name of the boot program.
pub const BOOT: &str = "nightshift-worker";
/// Name of the launcher program, which stands beside boot.
pub const LAUNCHER: &str = "nightshift-launcher";
/// Name of the core program, which stands beside the launcher.
pub const CORE: &str = "nightshift-core";

/// How the folders of running plugin programs begin, in the folder for temporary files. The number of the process that made
/// them follows, and a dash: whoever sees that process end removes what it left.
pub const PLUGIN_PLACE: &str = "nightshift-plugin-";

/// A worker's state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// A state folder at `root`; nothing is created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.0
    }
    /// The launcher's lock file.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
    /// The launcher's progress mark.
    pub fn progress(&self) -> PathBuf {
        self.0.join("progress")
    }
    /// The local stop file.
    pub fn stop(&self) -> PathBuf {
        self.0.join("STOP")
    }
    /// The worker's identity.
    pub fn identity(&self) -> PathBuf {
        self.0.join("identity.json")
    }
    /// The worker's credential.
    pub fn credential(&self) -> PathBuf {
        self.0.join("credential.json")
    }
    /// The status file.
    pub fn status(&self) -> PathBuf {
        self.0.join("status.json")
    }
    /// What the engine persists about looks.
    pub fn look(&self) -> PathBuf {
        self.0.join("look.json")
    }
    /// The stops that the job server told of last.
    pub fn heard_stops(&self) -> PathBuf {
        self.0.join("stops.json")
    }
    /// What the engine persists about trust, in two copies.
    pub fn trust(&self) -> [PathBuf; 2] {
        ["trust.a.json", "trust.b.json"].map(|name| self.0.join(name))
    }
    /// How often damage was made good.
    pub fn repairs(&self) -> PathBuf {
        self.0.join("repairs.json")
    }
    /// How far the update under way is.
    pub fn trial(&self) -> PathBuf {
        self.0.join("trial.json")
    }
    /// Which launcher boot becomes.
    pub fn boot_state(&self) -> PathBuf {
        self.0.join("boot.state")
    }
    /// How often in a row the last good launcher was started and came to nothing.
    pub fn boot_starts(&self) -> PathBuf {
        self.0.join("boot.starts")
    }
    /// Programs that are being fetched.
    pub fn downloads(&self) -> PathBuf {
        self.0.join("downloads")
    }
    /// What the job server said about rings.
    pub fn rollout(&self) -> PathBuf {
        self.0.join("rollout.json")
    }
    /// The clone of the central repository.
    pub fn clone_dir(&self) -> PathBuf {
        self.0.join("repo.git")
    }
    /// The state folder of looks beside a visit.
    pub fn lookout(&self) -> PathBuf {
        self.0.join("lookout")
    }
    /// The folder of slots.
    pub fn slots(&self) -> PathBuf {
        self.0.join("slots")
    }
    /// A program of a slot, whether it is there or not.
    pub fn slot_program(&self, slot: &str, program: &str) -> PathBuf {
        self.slots().join(slot).join("bin").join(program)
    }
    /// The link to the slot in force.
    pub fn in_force(&self) -> PathBuf {
        self.0.join("in-force")
    }
    /// The core's folder.
    pub fn core(&self) -> PathBuf {
        self.0.join("core")
    }
    /// The core's lock file.
    pub fn core_lock(&self) -> PathBuf {
        self.core().join("lock")
    }
    /// Who the core is that a launcher started last, as [`crate::holder::Holder`] writes it.
    pub fn core_started(&self) -> PathBuf {
        self.core().join("started")
    }
    /// The mark in the environment of the core that a launcher started last.
    pub fn core_mark(&self) -> PathBuf {
        self.core().join("mark")
    }
    /// The core's descendants as they were noted last, by number and start.
    pub fn core_family(&self) -> PathBuf {
        self.core().join("family")
    }
    /// The folder of the attempts the core holds, one folder each.
    pub fn attempts(&self) -> PathBuf {
        self.core().join("attempts")
    }
    /// The worker's own database server.
    pub fn replica(&self) -> PathBuf {
        self.0.join("replica")
    }
    /// The folder of compiled modules.
    pub fn compiled_modules(&self) -> PathBuf {
        self.0.join("cache/wasm")
    }
    /// Some records of the last job of a plugin that came to nothing.
    pub fn failed_records(&self, plugin: &str) -> PathBuf {
        self.core().join("failed").join(format!("{plugin}.json"))
    }
    /// The folder of log files.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}
