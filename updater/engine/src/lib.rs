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
mod fetch;
mod git;
mod journal;
mod judge;
mod look;
mod on_disk;
mod promoted;
mod reach;
mod release;
mod repairs;
mod review;
mod safe_mode;
mod slot;
mod state;
pub mod steps;
mod swap;
mod sync;
mod trust_state;
mod update;
mod walk;

use std::collections::BTreeSet;
use std::ffi::OsString;

use nightshift_contract::layout::StateDir;
use nightshift_manifest::select::RemoteTag;
use nightshift_manifest::signers::{Signer, Signers};
use nightshift_manifest::trust::{Denied, InForce, Trust};

use crate::git::Origin;
use crate::repairs::Repairs;
use crate::trust_state::{Copies, Remembered};
pub use address::{AddressError, check_address, check_pins};
pub use back::{BackError, WentBack};
pub use git::{GitError, NetworkLimits};
pub use look::{Look, LookError, LookRecord};
pub use nightshift_manifest::held::{Held, HeldBy, Promotion, Verified};
pub use nightshift_manifest::offline::Moment;
pub use nightshift_manifest::refusal::{Refusal, Rule};
pub use nightshift_manifest::stop::StopFlag;
pub use nightshift_manifest::trial::{Event, Fault, FaultKind, Journal};
pub use reach::{Access, AccessError, Limit, RepositoryLimits};
pub use release::{Release, ReleaseError};
pub use repairs::{Counts, Repair};
pub use review::{Believed, Review, Reviewed, review};
pub use slot::SlotError;
pub use state::StateError;
pub use sync::{FREE, Hold, Offered, Sync, SyncError, Unfetched};
pub use update::{BreakOff, Check, Checked, Means, Shown, cycle_ended, has_looked, launcher_works};

/// Where releases come from, and whose signature is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The central repository: `file:///…`, `https://…`, `ssh://…` or `git://…`.
    pub url: String,
    /// The branch that holds the stop flag.
    pub control_branch: String,
    /// Whether a plain connection beyond this machine is accepted.
    pub allow_plain: bool,
    /// The pinned signers, believed until a verified release brings others.
    pub signers: Signers,
    /// The pinned recovery key: its releases count whatever the keys in force say.
    pub recovery: Option<Signer>,
    /// Who the repository must prove to be, and what this machine proves itself by.
    pub access: Access,
    /// How much it may send.
    pub limits: RepositoryLimits,
}

impl Source {
    /// A repository that asks for no proof and gives none, with no recovery key.
    pub fn new(url: impl Into<String>, control_branch: impl Into<String>, signers: Signers) -> Self {
        Self {
            url: url.into(),
            control_branch: control_branch.into(),
            allow_plain: false,
            signers,
            recovery: None,
            access: Access::default(),
            limits: RepositoryLimits::default(),
        }
    }
}

/// Keeps one state folder current.
#[derive(Debug)]
pub struct Engine {
    source: Source,
    state: StateDir,
    trust: Trust,
    /// The writes of the trust state so far, and whether one of its copies has to be written again.
    copies: Copies,
    /// Why nothing new may come in: nobody knows any more what was in force.
    safe_mode: Option<String>,
    repairs: Repairs,
    /// The update under way.
    journal: Journal,
    /// Its file has to be written again.
    journal_is_damaged: bool,
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
        check_pins(&source.url, &source.access)?;
        let (mut trust, copies, safe_mode) = match trust_state::read(&state)? {
            Remembered::Nothing => (Trust::default(), Copies::default(), None),
            Remembered::Trust(trust, copies) => (*trust, copies, None),
            Remembered::Lost(why) => {
                let (trust, why) = safe_mode::enter(&state, &source, &why);
                (trust, Copies::default(), Some(why))
            }
        };
        let journal::Found { journal, is_damaged: journal_is_damaged } = match safe_mode {
            None => journal::read(&state, &trust.denied)?,
            // Whether it was on trial is of no account: no other release can take its place.
            Some(_) => journal::Found::default(),
        };
        trust.pin(&source.signers, source.recovery.as_ref());
        let last_look = state::read_look(&state);
        let watches_default_branch = false;
        let (means, seen, repairs, in_use) = (None, Vec::new(), Repairs::default(), BTreeSet::new());
        Ok(Self {
            source,
            state,
            trust,
            copies,
            safe_mode,
            repairs,
            journal,
            journal_is_damaged,
            means,
            seen,
            last_look,
            in_use,
            watches_default_branch,
        })
    }

    /// Why nothing new may come in, when the trust state was lost: the release in force goes on when its slot proves to be
    /// what was signed.
    pub fn safe_mode(&self) -> Option<&str> {
        self.safe_mode.as_deref()
    }

    /// What was found damaged and made good since the last time this was asked, noted in the counts of the state folder.
    pub fn take_repairs(&self) -> Counts {
        let new = self.repairs.take();
        if !new.is_empty() {
            repairs::note(&self.state, &new);
        }
        new
    }

    /// How often each kind of damage was made good since the state folder began.
    pub fn all_repairs(&self) -> Counts {
        repairs::read(&self.state)
    }

    /// Never takes this release again, by the id of its tag object: durable when this returns. Needs the state folder's
    /// lock, like a sync.
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn deny(&mut self, tag_id: &str, denied: Denied) -> Result<(), StateError> {
        let mut trust = self.trust.clone();
        trust.deny(tag_id, denied);
        self.remember(trust)
    }

    /// Makes what is remembered durable, and goes by it. In safe mode nothing is written: a person decides what is
    /// trusted next.
    pub(crate) fn remember(&mut self, trust: Trust) -> Result<(), StateError> {
        if self.safe_mode.is_none() {
            trust_state::write(&self.state, &trust, &mut self.copies)?;
        }
        self.trust = trust;
        Ok(())
    }

    pub(crate) fn origin(&self) -> Origin<'_> {
        let break_off = self.means.as_ref().map(|means| &means.break_off);
        Origin { state: &self.state, source: &self.source, repairs: &self.repairs, break_off }
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

impl Drop for Engine {
    /// Repairs that nobody asked for are counted all the same.
    fn drop(&mut self) {
        self.take_repairs();
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
