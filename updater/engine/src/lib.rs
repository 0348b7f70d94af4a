//! Looks at the central repository, fetches, verifies, stages and switches releases.
//!
//! What is believed is decided in `updater/manifest`; here is what that takes: git, files and clocks. One [`Engine`]
//! owns one state folder. Whoever looks, syncs or verifies a slot takes that folder's lock first and opens the engine under
//! it, so that what the engine remembers is what the disk says. Opening and asking alone only read and need no lock.
//!
//! 1. [`Engine::look`]: one connection, one list of refs; the control branch is fetched when it moved, and its tree is
//!    read. The stop flag is in the answer.
//! 2. [`Engine::sync`]: tags above the floor are fetched, verified and read in version order; the highest good one
//!    that nothing holds back is staged into a slot and switched in. The order of its writes is in `sync.rs`.
//!    A worker tries a release before it believes in it: `update.rs`.
//! 3. [`Engine::go_back`]: one step back to the last good slot, when the release in force is denied or sent back.
//! 4. [`Engine::verify_slot`]: the files of the slot in force are hashed against the signed tree before they are used.
//!
//! [`binaries`] fetches the programs that a release names. [`review`] judges releases for the people who make them, with nothing fetched, staged or remembered.

mod address;
mod back;
pub mod binaries;
pub mod clock;
mod git;
mod journal;
mod look;
mod on_disk;
mod release;
mod review;
mod slot;
mod state;
pub mod steps;
mod swap;
mod sync;
mod update;

use std::collections::BTreeSet;
use std::ffi::OsString;

use nightshift_contract::layout::StateDir;
use nightshift_manifest::select::RemoteTag;
use nightshift_manifest::signers::Signers;
use nightshift_manifest::trust::{InForce, Trust};

pub use address::{AddressError, check_address};
pub use back::{BackError, WentBack};
pub use git::{GitError, NetworkLimits};
pub use look::{Look, LookError, LookRecord};
pub use nightshift_manifest::held::{Held, HeldBy, Promotion, Verified};
pub use nightshift_manifest::offline::Moment;
pub use nightshift_manifest::refusal::{Refusal, Rule};
pub use nightshift_manifest::stop::StopFlag;
pub use nightshift_manifest::trial::{Event, Fault, FaultKind, Journal};
pub use release::{Release, ReleaseError};
pub use review::{Believed, Review, Reviewed, review};
pub use slot::SlotError;
pub use state::StateError;
pub use sync::{FREE, Hold, Sync, SyncError, Unfetched};
pub use update::{Check, Checked, Means, cycle_ended};

/// Where releases come from, and whose signature is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The central repository: `file:///…` or `git://…`.
    pub url: String,
    /// The branch that holds the stop flag.
    pub control_branch: String,
    /// Whether a plain connection beyond this machine is accepted.
    pub allow_plain: bool,
    /// The pinned signers, believed until a verified release brings others.
    pub signers: Signers,
}

/// Keeps one state folder current.
#[derive(Debug)]
pub struct Engine {
    source: Source,
    state: StateDir,
    trust: Trust,
    /// The update under way.
    journal: Journal,
    /// How releases are tried; without it they are taken at once.
    means: Option<Means>,
    /// The tags of the last look that releases were chosen from.
    seen: Vec<RemoteTag>,
    last_look: Option<LookRecord>,
    /// Slots, by name, that something still reads although they may be in force no more.
    in_use: BTreeSet<OsString>,
    watches_default_branch: bool,
}

/// Why an engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The repository's address is not one to connect to.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// What was remembered cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Engine {
    /// Reads what the state folder remembers. Nothing is created or changed, so this needs no lock.
    pub fn open(source: Source, state: StateDir) -> Result<Self, OpenError> {
        check_address(&source.url, source.allow_plain)?;
        let mut trust = state::read_trust(&state)?;
        trust.pin(&source.signers);
        let (last_look, journal) = (state::read_look(&state), journal::read(&state)?);
        let watches_default_branch = false;
        let (means, seen, in_use) = (None, Vec::new(), BTreeSet::new());
        Ok(Self { source, state, trust, journal, means, seen, last_look, in_use, watches_default_branch })
    }

    /// The release in force; it may be on trial.
    pub fn in_force(&self) -> Option<Release> {
        self.now_in_force().map(|release| Release::new(release, &self.state))
    }

    fn now_in_force(&self) -> Option<&InForce> {
        self.journal.in_force(self.trust.in_force.as_ref())
    }

    /// The last look that counted, by this or an earlier process.
    pub fn last_look(&self) -> Option<&LookRecord> {
        self.last_look.as_ref()
    }

    /// Keeps the slots of these releases, whatever comes into force: something still reads their files. They replace the
    /// ones named before.
    pub fn keep<'r>(&mut self, in_use: impl IntoIterator<Item = &'r Release>) {
        self.in_use = in_use.into_iter().filter_map(|release| Some(release.slot.file_name()?.to_owned())).collect();
    }

    /// Where releases come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is remembered about releases.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }
}

/// The ref of a tag.
fn ref_of(tag: &str) -> String {
    format!("refs/tags/{tag}")
}

/// The tags among a repository's refs.
fn tags_of(refs: &[git::RemoteRef]) -> Vec<RemoteTag> {
    let tag = |found: &git::RemoteRef| {
        let name = found.name.strip_prefix("refs/tags/")?.to_owned();
        Some(RemoteTag { name, id: found.id.to_string() })
    };
    refs.iter().filter_map(tag).collect()
}
