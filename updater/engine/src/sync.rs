//! Brings the highest good release into force.
//!
//! The order, and what a kill or power cut in between leaves behind:
//! 1. tags above the floor that are not here are fetched (the clone is a cache); one that the repository cannot give is
//!    named and left out;
//! 2. each is judged, lowest version first; a key set it brings judges the next one. Which tags were verified and the keys
//!    in force are noted in `trust.json` at once, so that nothing below can undo a revocation;
//! 3. the highest good one that no gate holds back ([`Engine::sync`]'s `hold`) is staged: built beside, hashed against the signed tree, synced, moved to its place
//!    (before: at most a leftover `.staging-` folder, removed by the next sync);
//! 4. `trust.json` is replaced: **this is the switch**, floor and release in force in one rename. On a worker it is
//!    tried first, and the switch is `trial.json`: see `update.rs`;
//! 5. the link `in-force` is pointed at the slot (a stale link is repointed by the next sync);
//! 6. slots older than the one before are removed, unless something still reads them ([`Engine::keep`]).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ObjectType, Oid};
use nightshift_manifest::content::{self, Content};
use nightshift_manifest::held::{self, Held, HeldBy, Promotion, Verified};
use nightshift_manifest::refusal::{Refusal, Rule};
use nightshift_manifest::select::{self, Candidate};
use nightshift_manifest::signers::{Signers, SignersError};
use nightshift_manifest::tag::{self, TagRefusal, VerifiedTag};
use nightshift_manifest::tree::{self, TreeError};
use nightshift_manifest::trial::IllegalMove;
use nightshift_manifest::trust::{InForce, Trust};
use nightshift_manifest::version::ReleaseVersion;

use crate::git::{self, CloneDamage, GitError, LocalClone};
use crate::look::{Look, tree_of_commit};
use crate::release::Release;
use crate::slot::{self, Programs, SlotError, StagedFile};
use crate::state::{self, StateError};
use crate::steps::{self, Step};
use crate::{Engine, clock, ref_of, swap};

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sync {
    /// Another release is in force than before.
    pub switched: bool,
    /// Tags that stand in the repository and are refused, highest version first.
    pub refused: Vec<Refusal>,
    /// Good releases above the one that is in force now, and what holds them back, highest version first.
    pub held: Vec<Held>,
    /// Tags that stand in the repository and cannot be fetched, lowest version first. The repository is at fault.
    pub unfetched: Vec<Unfetched>,
    /// What else a person may want to know.
    pub notes: Vec<String>,
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
        "reading the keys in force from trust.json: they are not understood, and no others are believed instead; pin the \
         keys that may sign releases anew"
    )]
    Keys(#[from] SignersError),
}

impl SyncError {
    /// Whether the repository could not be reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            SyncError::Git(GitError::Unreachable { .. })
                | SyncError::Slot(SlotError::Git(GitError::Unreachable { .. }))
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

/// A tag that may come into force.
pub(crate) struct Good {
    pub(crate) release: InForce,
    pub(crate) content: Content,
    pub(crate) files: Vec<StagedFile>,
}

impl Good {
    /// This release as gates judge it.
    fn verified<'r>(&'r self, promotions: &'r [Promotion]) -> Verified<'r> {
        Verified {
            version: self.release.version,
            tag_id: &self.release.tag_id,
            commit: &self.release.commit,
            signer: &self.release.signer,
            content: &self.content,
            promotions,
        }
    }
}

/// What holds a good release back; `None` when nothing does.
pub type Hold<'h> = &'h dyn Fn(&Verified<'_>) -> Option<Held>;

/// No gate at all: the highest good release is taken.
pub const FREE: Hold<'static> = &|_| None;

/// What the candidates came to.
struct Judged {
    /// Lowest version first.
    good: Vec<Good>,
    refused: Vec<Refusal>,
    unfetched: Vec<Unfetched>,
    notes: Vec<String>,
    /// The memory with what was believed.
    trust: Trust,
}

impl Engine {
    /// Brings the highest good release among the tags that `look` saw and that `hold` lets pass into force. Call it when
    /// there is no stop flag.
    pub fn sync(&mut self, look: &Look, hold: Hold<'_>) -> Result<Sync, SyncError> {
        let mut sync = Sync::default();
        let before = self.now_in_force().map(|release| release.tag_id.clone());
        self.seen.clone_from(&look.tags);
        self.ask_last_good()?;
        let candidates = select::plan(&look.tags, &self.trust).judge;
        if !candidates.is_empty() {
            git::discard_when_scattered(&self.state);
            let (state, url) = (self.state.clone(), self.source.url.clone());
            let release = git::with_clone(&state, &url, |clone| {
                sync = Sync::default();
                self.judge_and_stage(clone, &candidates, hold, &mut sync)
            })?;
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
        sync.refused.retain(|refusal| plan.judge.iter().any(|candidate| candidate.version.tag() == refusal.tag));
        sync.refused.extend(plan.refused);
        sync.refused.sort_by_key(|refusal| Reverse(ReleaseVersion::parse_tag(&refusal.tag).ok()));
        if let Some(release) = self.trust.in_force.as_ref().filter(|_| plan.in_force_gone) {
            sync.notes.push(format!("the repository no longer has {}; it stays in force", release.version.tag()));
        }
        Ok(sync)
    }

    /// Hashes the files of a slot against the signed tree; a slot that is damaged or gone is staged again, once.
    /// Needs the state folder's lock, like a sync.
    pub fn verify_slot(&self, release: &Release) -> Result<(), SlotError> {
        if slot::is_good(&release.slot, &release.tree_id) && self.has_its_programs(release) {
            return Ok(());
        }
        tracing::warn!("the slot {} is damaged: staging it again", release.slot.display());
        let in_force = InForce {
            version: release.version,
            tag_id: release.tag_id.clone(),
            commit: release.commit.clone(),
            tree: release.tree_id.clone(),
            signer: release.signer.clone(),
            slot: slot::name(release.version, &release.tag_id),
        };
        let damaged = || SlotError::Damaged { path: release.slot.clone() };
        let root = Oid::from_str(&in_force.tree).map_err(|_| damaged())?;
        git::with_clone(&self.state, &self.source.url, |clone| {
            if !clone.has(root) {
                clone.connect()?.fetch(&[ref_of(&release.tag)])?;
            }
            let (paths, files) = walk(clone, root)?.map_err(|_| damaged())?;
            let manifests = read_manifests(clone, &files)?.map_err(|_| damaged())?;
            let content = Content::parse(&paths, &manifests).map_err(|_| damaged())?;
            let wanted = self.wanted(content.binaries.as_ref()).map_err(|_| damaged())?;
            let fetch = |bin: &Path| self.fetch_programs(&content.settings.binaries_from, &wanted, bin);
            slot::stage(&self.state, clone, &in_force, &files, &Programs { wanted: &wanted, fetch: &fetch })
        })
    }

    /// Whether the programs of a slot whose files are good are those that its release names.
    fn has_its_programs(&self, release: &Release) -> bool {
        let wanted =
            release.binaries().map_err(|error| error.to_string()).and_then(|named| self.wanted(named.as_ref()));
        wanted.is_ok_and(|wanted| slot::has_programs(&release.slot, &wanted))
    }

    /// Judges the candidates and stages the one to take. What else was found goes into `sync`.
    fn judge_and_stage(
        &mut self,
        clone: &LocalClone,
        candidates: &[Candidate],
        hold: Hold<'_>,
        sync: &mut Sync,
    ) -> Result<Option<InForce>, SyncError> {
        let faults = fetch_missing(clone, candidates)?;
        let judged = judge_all(clone, candidates, &faults, &self.trust)?;
        if judged.trust != self.trust {
            state::write_trust(&self.state, &judged.trust)?;
            self.trust = judged.trust;
        }
        let there: BTreeSet<String> = judged.good.iter().map(|good| good.release.tag_id.clone()).collect();
        let gates = |good: &Good| {
            let verified = good.verified(&[]);
            self.held_by_trial(&verified).or_else(|| hold(&verified))
        };
        let (chosen, held) = held::choose(judged.good, gates);
        (sync.refused, sync.unfetched, sync.notes, sync.held) = (judged.refused, judged.unfetched, judged.notes, held);
        let Some(good) = chosen else { return Ok(None) };
        if !self.has_room_for(good.release.version, &good.release.tag_id, |id| there.contains(id)) {
            return Ok(None);
        }
        let wanted = match self.wanted(good.content.binaries.as_ref()) {
            Ok(wanted) => wanted,
            Err(why) => {
                sync.held.push(good.verified(&[]).held(HeldBy::Download, why));
                return Ok(None);
            }
        };
        let fetch = |bin: &Path| self.fetch_programs(&good.content.settings.binaries_from, &wanted, bin);
        let programs = Programs { wanted: &wanted, fetch: &fetch };
        match slot::stage(&self.state, clone, &good.release, &good.files, &programs) {
            Err(SlotError::Programs(error)) => {
                sync.held.push(good.verified(&[]).held(HeldBy::Download, chain(&error)));
                Ok(None)
            }
            staged => Ok(staged.map(|()| Some(good.release))?),
        }
    }

    fn switch(&mut self, release: InForce, look: &Look) -> Result<(), SyncError> {
        tracing::info!("{} comes into force, signed by {}", release.version.tag(), release.signer);
        let mut trust = self.trust.clone();
        trust.take(release, &look.tags);
        state::write_trust(&self.state, &trust)?;
        self.trust = trust;
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

/// An error with everything behind it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// Why tags could not be fetched.
type Faults = BTreeMap<ReleaseVersion, GitError>;

/// How long tags are fetched one by one, once one of them failed again.
const ONE_BY_ONE: Duration = Duration::from_secs(120);

/// Fetches the tags that are not here, in one go; when that fails, one by one, so that a tag nobody can fetch does not
/// keep the good ones out. Fails when the repository cannot be reached at all, and when the clone may be at fault: the
/// caller then tries a fresh one. Tags that a fresh one could not take either are noted and tried by themselves.
fn fetch_missing(clone: &LocalClone, candidates: &[Candidate]) -> Result<Faults, GitError> {
    let noted = clone.unfetchable();
    let (mut fresh, mut hopeless) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match Oid::from_str(&candidate.id) {
            Ok(id) if clone.has(id) => {}
            Ok(id) if noted.contains(&id) => hopeless.push((candidate, id)),
            Ok(id) => fresh.push((candidate, id)),
            Err(_) => {}
        }
    }
    if !fresh.is_empty() {
        let refs: Vec<String> = fresh.iter().map(|(candidate, _)| ref_of(&candidate.version.tag())).collect();
        match clone.connect()?.fetch(&refs) {
            Ok(()) => fresh.clear(),
            Err(error) if error.is_clone_damage() => return Err(error),
            Err(_) => {}
        }
    }
    let mut faults = Faults::new();
    let mut unfetchable = BTreeSet::new();
    let begun = clock::moment().since_boot_ms;
    for (candidate, id) in fresh.into_iter().chain(hopeless) {
        // A repository that cannot be reached any more is no fault of a tag.
        let fetched = clone.connect()?.fetch(&[ref_of(&candidate.version.tag())]);
        let spent = Duration::from_millis(clock::moment().since_boot_ms.saturating_sub(begun));
        let Err(error) = fetched else { continue };
        if error.is_clone_damage() && !noted.contains(&id) {
            return Err(error);
        }
        // One that falls silent at every tag must not cost a timeout for each of a thousand.
        if spent >= ONE_BY_ONE {
            return Err(error);
        }
        unfetchable.insert(id);
        faults.insert(candidate.version, error);
    }
    if unfetchable != noted {
        clone.note_unfetchable(&unfetchable);
    }
    Ok(faults)
}

/// Judges the candidates in version order, each by the keys in force before it.
fn judge_all(
    clone: &LocalClone,
    candidates: &[Candidate],
    faults: &Faults,
    trust: &Trust,
) -> Result<Judged, SyncError> {
    let mut judged = Judged {
        good: Vec::new(),
        refused: Vec::new(),
        unfetched: Vec::new(),
        notes: Vec::new(),
        trust: trust.clone(),
    };
    for candidate in candidates {
        let tag = candidate.version.tag();
        if let Some(error) = faults.get(&candidate.version) {
            let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            judged.unfetched.push(Unfetched { tag, why });
            continue;
        }
        let id = match Oid::from_str(&candidate.id) {
            Ok(id) if clone.has(id) => id,
            _ => {
                judged.notes.push(format!("{tag} changed while it was fetched; the next look decides"));
                continue;
            }
        };
        let keys = judged.trust.keys_for(&tag, &candidate.id)?;
        match judge(clone, id, candidate, &keys)? {
            Ok(Judgement { signers, outcome }) => {
                judged.trust.believe(candidate.version, &candidate.id, &keys, signers.as_ref());
                match outcome {
                    Ok(good) => judged.good.push(good),
                    Err(refusal) => judged.refused.push(refusal),
                }
            }
            Err(refusal) => judged.refused.push(refusal),
        }
    }
    Ok(judged)
}

/// A tag whose signature is good: its key set counts, whatever becomes of the rest of it.
pub(crate) struct Judgement {
    pub(crate) signers: Option<Signers>,
    pub(crate) outcome: Result<Good, Refusal>,
}

/// Judges a tag whose objects are here, by the keys in force before it.
pub(crate) fn judge(
    clone: &LocalClone,
    id: Oid,
    candidate: &Candidate,
    keys: &Signers,
) -> Result<Result<Judgement, Refusal>, GitError> {
    let tag_name = candidate.version.tag();
    let refuse = |rule, signer, found, advice| refuse(candidate, rule, signer, found, advice);
    let (kind, size) = clone.size(id)?;
    if kind != ObjectType::Tag {
        let advice = "make a signed tag: nightshift release cut, or git tag -s with gpg.format=ssh";
        return Ok(Err(refuse(
            Rule::Annotated,
            None,
            "it is a lightweight tag, which cannot be signed".into(),
            advice,
        )));
    }
    if size > tag::MAX_TAG_BYTES as u64 {
        return Ok(Err(TagRefusal::TOO_LARGE.of(&tag_name, &candidate.id)));
    }
    let (_, raw) = clone.read(id)?;
    let verified = match tag::verify(&raw, &tag_name, keys) {
        Ok(verified) => verified,
        Err(refusal) => return Ok(Err(refusal.of(&tag_name, &candidate.id))),
    };
    let signer = Some(verified.signer.as_str());
    let Some(root) = root_of(clone, &verified)? else {
        let malformed = TagRefusal::Malformed("it does not name a commit");
        return Ok(Err(malformed.of(&tag_name, &candidate.id)));
    };

    let advice = "correct it and cut a release under a higher version";
    let (paths, files) = match walk(clone, root)? {
        Ok(walked) => walked,
        Err(error) => return Ok(Err(refuse(Rule::Tree, signer, error.to_string(), advice))),
    };
    let manifests = match read_manifests(clone, &files)? {
        Ok(manifests) => manifests,
        Err(error) => return Ok(Err(refuse(Rule::Tree, signer, error.to_string(), advice))),
    };
    let signers = match content::signers(&manifests) {
        Ok(signers) => signers,
        Err(error) => return Ok(Err(refuse(Rule::Keys, signer, error.to_string(), advice))),
    };
    let outcome = match Content::parse(&paths, &manifests) {
        Err(error) => Err(refuse(Rule::Content, signer, error.to_string(), advice)),
        Ok(content) => Ok(Good {
            release: InForce {
                version: candidate.version,
                tag_id: candidate.id.clone(),
                commit: verified.commit.clone(),
                tree: root.to_string(),
                signer: verified.signer.clone(),
                slot: slot::name(candidate.version, &candidate.id),
            },
            content,
            files,
        }),
    };
    Ok(Ok(Judgement { signers, outcome }))
}

fn refuse(candidate: &Candidate, rule: Rule, signer: Option<&str>, found: String, advice: &str) -> Refusal {
    Refusal {
        tag: candidate.version.tag(),
        tag_id: candidate.id.clone(),
        rule,
        signer: signer.map(str::to_owned),
        found,
        advice: advice.to_owned(),
    }
}

fn root_of(clone: &LocalClone, tag: &VerifiedTag) -> Result<Option<Oid>, GitError> {
    match Oid::from_str(&tag.commit) {
        Ok(commit) => tree_of_commit(clone, commit),
        Err(_) => Ok(None),
    }
}

type Walked = Result<(BTreeSet<String>, Vec<StagedFile>), TreeError>;

/// All files under a tree, checked. Stops early at a tree without measure.
fn walk(clone: &LocalClone, root: Oid) -> Result<Walked, GitError> {
    let mut entries: Vec<tree::Entry> = Vec::new();
    let mut ids = Vec::new();
    let mut folders = vec![(Vec::new(), root)];
    while let Some((folder, id)) = folders.pop() {
        let (kind, size) = clone.size(id)?;
        if let Err(error) = tree::check_folder(&folder, size) {
            return Ok(Err(error));
        }
        let (_, raw) = clone.read(id)?;
        let Some(children) = tree::parse(&raw).filter(|_| kind == ObjectType::Tree) else {
            return Ok(Err(TreeError::new(&folder, "is not a folder as git writes it")));
        };
        for child in children {
            let path = if folder.is_empty() { child.name.to_vec() } else { [&folder, &b"/"[..], child.name].concat() };
            let Ok(id) = Oid::from_bytes(&child.id) else { continue };
            let size = match child.mode {
                tree::MODE_FILE | tree::MODE_PROGRAM => match clone.size(id)? {
                    (ObjectType::Blob, size) => size,
                    _ => return Ok(Err(TreeError::new(&path, "says that it is a file and is none"))),
                },
                tree::MODE_FOLDER => {
                    folders.push((path.clone(), id));
                    0
                }
                _ => 0,
            };
            entries.push(tree::Entry { path, mode: child.mode, size });
            ids.push(id);
        }
        if entries.len() > tree::MAX_ENTRIES {
            break;
        }
    }
    if let Err(error) = tree::check_entries(&entries) {
        return Ok(Err(error));
    }
    let files: Vec<StagedFile> = entries
        .into_iter()
        .zip(ids)
        .filter(|(entry, _)| entry.mode != tree::MODE_FOLDER)
        .map(|(entry, id)| StagedFile {
            path: String::from_utf8_lossy(&entry.path).into_owned(),
            program: entry.mode == tree::MODE_PROGRAM,
            size: entry.size,
            id,
        })
        .collect();
    Ok(Ok((files.iter().map(|file| file.path.clone()).collect(), files)))
}

type Manifests = Result<BTreeMap<String, Vec<u8>>, TreeError>;

fn read_manifests(clone: &LocalClone, files: &[StagedFile]) -> Result<Manifests, GitError> {
    let mut manifests = BTreeMap::new();
    for file in files.iter().filter(|file| content::is_manifest(&file.path)) {
        if clone.size(file.id)?.1 > content::MAX_MANIFEST_BYTES {
            let problem = format!("is larger than {} KiB", content::MAX_MANIFEST_BYTES >> 10);
            return Ok(Err(TreeError::new(file.path.as_bytes(), problem)));
        }
        manifests.insert(file.path.clone(), clone.read(file.id)?.1);
    }
    Ok(Ok(manifests))
}
