//! Brings the highest good release into force.
//!
//! The order, and what a kill or power cut in between leaves behind:
//! 1. tags above the floor that are not here are fetched (the clone is a cache); one that the repository cannot give is
//!    named and left out;
//! 2. each is judged, lowest version first; a key set it brings judges the next one. Which tags were verified and the keys
//!    in force are noted in the trust state at once, so that nothing below can undo a revocation;
//! 3. the highest good one that no gate holds back ([`Engine::sync`]'s `hold`) is staged: built beside, hashed against the signed tree, synced, moved to its place
//!    (before: at most a leftover `.staging-` folder, removed by the next sync);
//! 4. the trust state is written: **this is the switch**, floor and release in force in one rename. On a worker it is
//!    tried first, and the switch is `trial.json`: see `update.rs`;
//! 5. the link `in-force` is pointed at the slot (a stale link is repointed by the next sync);
//! 6. slots older than the one before are removed, unless something still reads them ([`Engine::keep`]).

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use git2::Oid;
use nightshift_manifest::binaries::Wanted;
use nightshift_manifest::causes::in_one_line;
use nightshift_manifest::content::Content;
use nightshift_manifest::held::{self, Held, HeldBy, Promotion, Verified};
use nightshift_manifest::refusal::Refusal;
use nightshift_manifest::select;
use nightshift_manifest::signers::SignersError;
use nightshift_manifest::trial::IllegalMove;
use nightshift_manifest::trust::InForce;
use nightshift_manifest::version::ReleaseVersion;

use crate::fetch::{fetch_missing, fetch_votes};
use crate::git::{self, CloneDamage, GitError};
use crate::judge::{Good, judge_all};
use crate::look::Look;
use crate::release::Release;
use crate::repairs::Repair;
use crate::slot::{self, Programs, SlotError};
use crate::state::StateError;
use crate::steps::{self, Step};
use crate::walk::{read_manifests, walk};
use crate::{Engine, ref_of, swap, trust_state};

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sync {
    /// Another release is in force than before.
    pub switched: bool,
    /// Every good release above the one that was in force before, lowest version first: also those that a higher one stands
    /// in for.
    pub good: Vec<Offered>,
    /// Tags that stand in the repository and are refused, highest version first.
    pub refused: Vec<Refusal>,
    /// Good releases above the one that is in force now, and what holds them back, highest version first.
    pub held: Vec<Held>,
    /// Tags that stand in the repository and cannot be fetched, lowest version first. The repository is at fault.
    pub unfetched: Vec<Unfetched>,
    /// Rings that were opened early for releases above the one in force, by signed tags that are believed.
    pub promotions: Vec<Promotion>,
    /// Why nothing new may come in, when that is so.
    pub safe_mode: Option<String>,
    /// What else a person may want to know.
    pub notes: Vec<String>,
}

/// A good release, and what it says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its tag.
    pub tag: String,
    /// Id of the signed tag object.
    pub tag_id: String,
    /// Its `nightshift.toml`, word by word.
    pub settings: String,
}

/// A tag that the repository lists and cannot give. Nothing is known about it, and so it is no refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfetched {
    /// The tag.
    pub tag: String,
    /// What git says.
    pub why: String,
}

impl Unfetched {
    /// What a person can do about such tags.
    pub const ADVICE: &str = "`git fsck --full` in the central repository says what is broken: mend it, or delete the \
                              tag and cut the release again under a higher version";
}

impl fmt::Display for Unfetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be fetched, and so is left out ({})", self.tag, self.why)
    }
}

/// Why a sync could not be done. The release in force stays.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The repository or the local clone failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The slot could not be staged.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The memory of releases or the link to the slot in force could not be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal of the update does not allow what was about to be done.
    #[error(transparent)]
    Move(#[from] IllegalMove),
    /// The keys in force, as noted, are not understood.
    #[error(
        "reading the keys in force from the trust state: they are not understood, and no others are believed instead; pin the \
         keys that may sign releases anew"
    )]
    Keys(#[from] SignersError),
}

impl SyncError {
    /// Whether the repository could not be reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            SyncError::Git(error) | SyncError::Slot(SlotError::Git(error)) if error.is_theirs()
        )
    }
}

impl CloneDamage for SyncError {
    fn is_clone_damage(&self) -> bool {
        match self {
            SyncError::Git(error) => error.is_clone_damage(),
            SyncError::Slot(error) => error.is_clone_damage(),
            SyncError::State(_) | SyncError::Move(_) | SyncError::Keys(_) => false,
        }
    }
}

/// What holds a good release back; `None` when nothing does.
pub type Hold<'h> = &'h dyn Fn(&Verified<'_>) -> Option<Held>;

/// No gate at all: the highest good release is taken.
pub const FREE: Hold<'static> = &|_| None;

impl Engine {
    /// Brings the highest good release among the tags that `look` saw and that `hold` lets pass into force. Call it when
    /// there is no stop flag. In safe mode nothing comes in.
    pub fn sync(&mut self, look: &Look, hold: Hold<'_>) -> Result<Sync, SyncError> {
        if let Some(why) = &self.safe_mode {
            return Ok(Sync { safe_mode: Some(why.clone()), ..Sync::default() });
        }
        trust_state::repair(&self.state, &self.trust, &mut self.copies, &self.repairs)?;
        let mut sync = Sync::default();
        let before = self.now_in_force().map(|release| release.tag_id.clone());
        self.seen.clone_from(&look.tags);
        self.ask_last_good()?;
        let plan = select::plan(&look.tags, &self.trust);
        // What moved is told by what was remembered before; in the end the new objects are.
        let moved = plan.moved.clone();
        if !plan.judge.is_empty() {
            git::discard_when_scattered(&self.state);
            let release = self.judge_and_stage(&plan, hold, &mut sync)?;
            self.send_back(&sync.held)?;
            match release {
                Some(release) if self.means.is_some() => drop(self.try_release(release)?),
                Some(release) => self.switch(release, look)?,
                None => {}
            }
        }
        self.settle()?;
        self.sweep();
        sync.switched = self.now_in_force().map(|release| release.tag_id.as_str()) != before.as_deref();

        // Once more, by what is in force now: a release that was taken closes the books on everything below it.
        let plan = select::plan(&look.tags, &self.trust);
        sync.refused.retain(|refusal| plan.is_open(&refusal.tag));
        sync.refused.extend(plan.refused);
        sync.refused.sort_by_key(|refusal| Reverse(ReleaseVersion::parse_tag(&refusal.tag).ok()));
        sync.promotions.retain(|promotion| plan.judge.iter().any(|candidate| candidate.version == promotion.version));
        if let Some(release) = self.trust.in_force.as_ref().filter(|_| plan.in_force_gone) {
            sync.notes.push(format!("the repository no longer has {}; it stays in force", release.version.tag()));
        }
        if let Some(names) = listed(&plan.gone) {
            sync.notes.push(format!("the repository no longer has {names}"));
        }
        if let Some(names) = listed(&moved) {
            sync.notes.push(format!("moved to another object since it was verified, and judged anew: {names}"));
        }
        Ok(sync)
    }

    /// Hashes the files of a slot against the signed tree, and its programs against the digests in there that are for
    /// `target`. Only looks: what is damaged stays so.
    pub fn check_slot(&self, release: &Release, target: &str) -> Result<(), SlotError> {
        let wanted = || release.binaries().ok()?.unwrap_or_default().for_target(target).ok();
        let is_good = slot::is_good(&release.slot, &release.tree_id)
            && wanted().is_some_and(|wanted| slot::has_programs(&release.slot, &wanted));
        is_good.then_some(()).ok_or_else(|| SlotError::NotAsSigned { path: release.slot.clone() })
    }

    /// Hashes the files of a slot against the signed tree; a slot that is damaged or gone is staged again, once. An engine
    /// without means fetches no programs, and stages no slot that needs some. Needs the state folder's lock, like a sync.
    pub fn verify_slot(&self, release: &Release) -> Result<(), SlotError> {
        if slot::is_good(&release.slot, &release.tree_id) && self.has_its_programs(release) {
            return Ok(());
        }
        tracing::warn!("the slot {} is damaged: staging it again", release.slot.display());
        let known = self.now_in_force().cloned().into_iter().chain(slot::record(&release.slot));
        let judged_by = known.filter(|known| known.tag_id == release.tag_id).map(|known| known.judged_by).next();
        let in_force = InForce {
            version: release.version,
            tag_id: release.tag_id.clone(),
            commit: release.commit.clone(),
            tree: release.tree_id.clone(),
            signer: release.signer.clone(),
            judged_by: judged_by.unwrap_or_default(),
            slot: slot::name(release.version, &release.tag_id),
        };
        let damaged = || SlotError::Damaged { path: release.slot.clone() };
        let id = |text: &str| Oid::from_str(text).map_err(|_| damaged());
        let root = id(&in_force.tree)?;
        let proof = [id(&in_force.tag_id)?, id(&in_force.commit)?, root];
        git::with_clone(self.origin(), |clone| {
            if !proof.iter().all(|id| clone.has(*id)) {
                clone.connected(|connection| connection.fetch(&[ref_of(&release.tag)]))?;
            }
            let (paths, files) = walk(clone, root)?.map_err(|_| damaged())?;
            let manifests = read_manifests(clone, &files)?.map_err(|_| damaged())?;
            let content = Content::parse(&paths, &manifests).map_err(|_| damaged())?;
            if self.means.is_none() && content.binaries.is_some() {
                return Err(SlotError::NotAsSigned { path: release.slot.clone() });
            }
            let wanted = self.wanted(content.binaries.as_ref()).map_err(|_| damaged())?;
            let fetch = |bin: &Path| self.fetch_programs(&content.settings.binaries_from, &wanted, bin);
            slot::stage(&self.state, clone, &in_force, &files, &Programs { wanted: &wanted, fetch: &fetch })
        })?;
        self.repairs.count(Repair::Slot);
        Ok(())
    }

    /// Whether the programs of a slot whose files are good are those that its release names; whoever has no means does not know
    /// which those are.
    fn has_its_programs(&self, release: &Release) -> bool {
        if self.means.is_none() {
            return true;
        }
        let wanted =
            release.binaries().map_err(|error| error.to_string()).and_then(|named| self.wanted(named.as_ref()));
        wanted.is_ok_and(|wanted| slot::has_programs(&release.slot, &wanted))
    }

    /// Judges the candidates and stages the one to take. What else was found goes into `sync`.
    fn judge_and_stage(
        &mut self,
        plan: &select::Plan,
        hold: Hold<'_>,
        sync: &mut Sync,
    ) -> Result<Option<InForce>, SyncError> {
        let (judged, votes_missing) = git::with_clone(self.origin(), |clone| {
            let faults = fetch_missing(clone, &plan.judge)?;
            let votes_missing = fetch_votes(clone, &plan.votes)?;
            Ok::<_, SyncError>((judge_all(clone, plan, &faults, &self.trust)?, votes_missing))
        })?;
        if judged.trust != self.trust {
            self.remember(judged.trust)?;
        }
        sync.promotions = judged.good.iter().flat_map(|good| good.promotions.clone()).collect();
        let offered = |good: &Good| Offered {
            tag: good.release.version.tag(),
            tag_id: good.release.tag_id.clone(),
            settings: good.content.settings_text.clone(),
        };
        sync.good = judged.good.iter().filter(|good| good.held.is_none()).map(offered).collect();
        let there: BTreeSet<String> = judged.good.iter().map(|good| good.release.tag_id.clone()).collect();
        let gates = |good: &Good| {
            let verified = good.verified();
            good.held.clone().or_else(|| self.held_by_trial(&verified)).or_else(|| hold(&verified))
        };
        let (chosen, held) = held::choose(judged.good, gates);
        (sync.refused, sync.unfetched, sync.notes, sync.held) = (judged.refused, judged.unfetched, judged.notes, held);
        if votes_missing > 0 {
            sync.notes.push(format!("{votes_missing} approvals or promotions cannot be fetched and count for nothing"));
        }
        let Some(good) = chosen else { return Ok(None) };
        if !self.has_room_for(good.release.version, &good.release.tag_id, |id| there.contains(id)) {
            return Ok(None);
        }
        let wanted = match self.wanted(good.content.binaries.as_ref()) {
            Ok(wanted) => wanted,
            Err(why) => {
                sync.held.push(good.verified().held(HeldBy::Download, why));
                return Ok(None);
            }
        };
        match self.stage(&good, &wanted) {
            Err(SlotError::Programs(error)) => {
                sync.held.push(good.verified().held(HeldBy::Download, in_one_line(&error)));
                Ok(None)
            }
            staged => Ok(staged.map(|()| Some(good.release))?),
        }
    }

    /// Stages a release with the programs it brings for this machine.
    fn stage(&self, good: &Good, wanted: &Wanted) -> Result<(), SlotError> {
        let fetch = |bin: &Path| self.fetch_programs(&good.content.settings.binaries_from, wanted, bin);
        let programs = Programs { wanted, fetch: &fetch };
        git::with_clone(self.origin(), |clone| {
            if !Oid::from_str(&good.release.tree).is_ok_and(|root| clone.has(root)) {
                clone.connected(|connection| connection.fetch(&[ref_of(&good.release.version.tag())]))?;
            }
            slot::stage(&self.state, clone, &good.release, &good.files, &programs)
        })
    }

    fn switch(&mut self, release: InForce, look: &Look) -> Result<(), SyncError> {
        tracing::info!("{} comes into force, signed by {}", release.version.tag(), release.signer);
        let mut trust = self.trust.clone();
        trust.take(release, &look.tags);
        self.remember(trust)?;
        steps::done(Step::Committed);
        Ok(())
    }

    /// Removes the slots that nobody needs any more, also those that an earlier process was killed before removing.
    pub(crate) fn sweep(&self) {
        let trusted = [
            self.trust.in_force.as_ref().map(|release| release.slot.as_str()),
            self.trust.previous_slot.as_deref(),
            self.journal.trial.as_ref().map(|trial| trial.release.slot.as_str()),
        ];
        let trusted = trusted.into_iter().flatten().map(OsStr::new);
        slot::sweep(&self.state, &trusted.chain(self.in_use.iter().map(OsString::as_os_str)).collect::<Vec<_>>());
        steps::done(Step::Swept);
    }

    pub(crate) fn point_at_slot_in_force(&self) -> Result<(), SyncError> {
        let link = self.state.in_force();
        let Some(release) = self.now_in_force() else {
            // The first release of all came to nothing.
            return match std::fs::remove_file(&link) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::writing(link)(error).into()),
                _ => Ok(()),
            };
        };
        let target: PathBuf = [Path::new("slots"), Path::new(&release.slot)].iter().collect();
        if std::fs::read_link(&link).is_ok_and(|present| present == target) {
            return Ok(());
        }
        swap::repoint(&link, &target).map_err(StateError::writing(link))?;
        steps::done(Step::Linked);
        Ok(())
    }
}

/// Some names for people, the rest counted; `None` when there are none.
fn listed(names: &[String]) -> Option<String> {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        _ if names.is_empty() => None,
        0 => Some(shown),
        more => Some(format!("{shown} and {more} more")),
    }
}
