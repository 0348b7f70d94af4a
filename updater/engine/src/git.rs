//! Everything that is done with git: one connection at a time, and a local clone that is only a cache.
//!
//! - Nothing is checked out and nothing of the machine's git configuration counts: objects are read raw, by id, and
//!   libgit2 hashes each of them as it reads. No hooks, filters, redirections or includes.
//! - A clone that is damaged (a power cut can do that: libgit2 does not sync what it writes) is thrown away and
//!   fetched again, once; see [`with_clone`].
//! - A failed fetch over the network does not always say whose fault it is. What could not be fetched into a fresh clone
//!   either is noted in the clone ([`LocalClone::unfetchable`]), so that it costs a clone once and not at every cycle.
//!   Repositories that are files are read by [`crate::on_disk`], which knows.
//! - Who the repository must prove to be, and how much it may send, stands in [`crate::reach`].
//! - libgit2 never removes what a killed process leaves: `*.lock` files, and half of a pack for each fetch cut off. The
//!   caller holds the state folder's lock, so whatever lies there before a fetch is stale and removed.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use git2::{Binding, Direction, ErrorClass, ObjectType, Oid, Remote, Repository};
use nightshift_contract::layout::StateDir;

use crate::Source;
use crate::on_disk::{self, Fault, OnDisk};
use crate::reach::{self, Doubt, Limit, Over};
use crate::repairs::{Repair, Repairs};
use crate::update::BreakOff;

/// A clone in more packs than this is thrown away and fetched again: every fetch adds one, and nothing repacks them.
const MAX_PACKS: usize = 50;

/// The file in the clone with the ids of objects that could not be fetched into a fresh one, one a line.
const UNFETCHABLE: &str = "unfetchable";

/// The file in the clone with the ids of objects that broke the bounds of a fetch, one a line: they are not asked for
/// again.
const OVERSIZED: &str = "oversized";

/// Stands in the name of every file that libgit2 has not written to its end.
const HALF_WRITTEN: &str = "_git2_";

/// How long the network may take. They hold for the whole process.
#[derive(Debug, Clone, Copy)]
pub struct NetworkLimits {
    /// To connect.
    pub connect: Duration,
    /// Without a byte from the other side.
    pub silence: Duration,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), silence: Duration::from_secs(30) }
    }
}

/// What went wrong with git.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The central repository does not answer, or not as a repository does.
    #[error(
        "{doing} {url}: no answer that makes sense; check that the repository is up and that its address in the \
         configuration is right"
    )]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// The repository's address.
        url: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// Somebody answers who does not prove to be the repository.
    #[error(
        "connecting to {url}: whoever answers is not the repository that is pinned: {why}; find out who it is, or pin what \
         the repository shows now"
    )]
    Stranger {
        /// The repository's address.
        url: String,
        /// What is wrong with what they show.
        why: &'static str,
    },
    /// The repository sent more than a fetch may bring, or took longer than it may take.
    #[error("fetching from {url} was ended, because {why}; look at what was pushed there last")]
    Unbounded {
        /// The repository's address.
        url: String,
        /// Which bound was broken.
        why: &'static str,
    },
    /// This worker was stopped.
    #[error("fetching from {url} was broken off, because this worker is stopped; a look after the stop goes on")]
    BrokenOff {
        /// The repository's address.
        url: String,
    },
    /// The local clone cannot be read or written, also after it was thrown away and fetched again.
    #[error("{doing} in the local clone {path}: check the disk; the folder may be deleted at any time")]
    Clone {
        /// What was being done.
        doing: &'static str,
        /// The clone's folder.
        path: PathBuf,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
}

impl GitError {
    /// Whether the bound on bytes was broken: it would be again.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, GitError::Unbounded { why: reach::TOO_LARGE, .. })
    }

    /// Whether nobody wanted it any more.
    pub(crate) fn is_broken_off(&self) -> bool {
        matches!(self, GitError::BrokenOff { .. })
    }

    /// Whether the repository could not be reached, or gave what nobody can use.
    pub(crate) fn is_theirs(&self) -> bool {
        matches!(self, GitError::Unreachable { .. } | GitError::Stranger { .. } | GitError::Unbounded { .. })
    }
}

/// Whether throwing the clone away may help against an error.
pub(crate) trait CloneDamage {
    fn is_clone_damage(&self) -> bool;
}

impl CloneDamage for GitError {
    fn is_clone_damage(&self) -> bool {
        matches!(self, GitError::Clone { .. })
    }
}

impl NetworkLimits {
    /// Sets the limits and cuts libgit2 off from the machine's git configuration, for the whole process, before its
    /// first use. The first caller's limits count; [`crate::Engine::open`] sets the default ones.
    pub fn set(self) {
        static ONCE: Once = Once::new();
        let milliseconds = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        ONCE.call_once(|| {
            use git2::{ConfigLevel, opts};
            #[expect(unsafe_code, reason = "libgit2's options are global: set once, before anything else uses them")]
            // SAFETY: `Once` keeps other threads of ours out, and no repository is open yet.
            let done = unsafe {
                [
                    opts::set_server_connect_timeout_in_milliseconds(milliseconds(self.connect)),
                    opts::set_server_timeout_in_milliseconds(milliseconds(self.silence)),
                    opts::set_search_path(ConfigLevel::ProgramData, ""),
                    opts::set_search_path(ConfigLevel::System, ""),
                    opts::set_search_path(ConfigLevel::XDG, ""),
                    opts::set_search_path(ConfigLevel::Global, ""),
                    // A repository on a file share belongs to its admin, not to us. What it holds is signed, and
                    // nothing in it is run.
                    opts::set_verify_owner_validation(false),
                ]
            };
            for error in done.into_iter().filter_map(Result::err) {
                tracing::warn!(%error, "setting libgit2's options");
            }
        });
    }
}

/// A ref as the central repository lists it.
#[derive(Debug, Clone)]
pub(crate) struct RemoteRef {
    pub(crate) name: String,
    pub(crate) id: Oid,
}

/// What a clone is made from, and where.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'e> {
    pub(crate) state: &'e StateDir,
    pub(crate) source: &'e Source,
    pub(crate) repairs: &'e Repairs,
    /// Asked while releases are fetched.
    pub(crate) break_off: Option<&'e BreakOff>,
}

/// The local clone.
pub(crate) struct LocalClone {
    path: PathBuf,
    /// Absent for somebody's own clone, which is only read.
    source: Option<Source>,
    repairs: Repairs,
    break_off: Option<BreakOff>,
    repository: Repository,
    /// Made just now, so nothing in it can be damaged.
    pub(crate) is_fresh: bool,
}

/// A connection to the central repository, after its refs were listed.
pub(crate) struct Connection<'c, 'r> {
    clone: &'c LocalClone,
    source: &'c Source,
    way: Way<'c, 'r>,
    pub(crate) refs: Vec<RemoteRef>,
}

/// How a repository is reached.
enum Way<'c, 'r> {
    Files(OnDisk),
    Network(&'c mut Remote<'r>),
}

/// Runs `work` on the clone; when the clone turns out to be damaged, once more on a new one.
pub(crate) fn with_clone<T, E: From<GitError> + CloneDamage + std::error::Error>(
    origin: Origin<'_>,
    mut work: impl FnMut(&LocalClone) -> Result<T, E>,
) -> Result<T, E> {
    let mut attempt = || work(&LocalClone::open(origin)?);
    match attempt() {
        Err(error) if error.is_clone_damage() => {
            tracing::warn!(%error, "the local clone is damaged: throwing it away and fetching it again");
            origin.repairs.count(Repair::Clone);
            discard(origin.state);
            attempt()
        }
        done => done,
    }
}

/// Throws the clone away when it has become slow.
pub(crate) fn discard_when_scattered(state: &StateDir) {
    let packs = fs::read_dir(state.clone_dir().join("objects/pack")).map_or(0, |folder| {
        folder.flatten().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count()
    });
    if packs > MAX_PACKS {
        discard(state);
    }
}

fn discard(state: &StateDir) {
    let path = state.clone_dir();
    // A file in the clone's place is removed as well.
    if let Err(error) = fs::remove_dir_all(&path).or_else(|error| fs::remove_file(&path).map_err(|_| error)) {
        tracing::warn!(%error, "removing the local clone {}", path.display());
    }
}

impl LocalClone {
    fn open(origin: Origin<'_>) -> Result<Self, GitError> {
        NetworkLimits::default().set();
        let path = origin.state.clone_dir();
        let is_fresh = !path.join("HEAD").exists();
        let opened = match is_fresh {
            true => Repository::init_bare(&path),
            false => Repository::open_bare(&path),
        };
        match opened {
            Ok(repository) => {
                let (source, repairs) = (Some(origin.source.clone()), origin.repairs.clone());
                Ok(Self { path, source, repairs, break_off: origin.break_off.cloned(), repository, is_fresh })
            }
            Err(source) => Err(GitError::Clone { doing: "opening the repository", path, source }),
        }
    }

    /// Somebody's own clone, to read objects from.
    pub(crate) fn at(path: &Path) -> Result<Self, GitError> {
        NetworkLimits::default().set();
        let path = path.to_owned();
        match Repository::open(&path) {
            Ok(repository) => {
                let (source, repairs, break_off) = (None, Repairs::default(), None);
                Ok(Self { path, source, repairs, break_off, repository, is_fresh: false })
            }
            Err(source) => Err(GitError::Clone { doing: "opening the repository", path, source }),
        }
    }

    /// Connects, lists the refs in one go, and does `work` over the connection.
    pub(crate) fn connected<T, E: From<GitError>>(
        &self,
        work: impl FnOnce(&mut Connection<'_, '_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(source) = &self.source else {
            let no_origin = git2::Error::from_str("it is not connected to anything");
            return Err(self.failed("connecting")(no_origin).into());
        };
        let unreachable = |error| unreachable(source, "connecting to", error);
        if let Some(folder) = on_disk::folder(&source.url) {
            let central = OnDisk::open(folder).map_err(unreachable)?;
            let refs = central.refs().map_err(unreachable)?;
            return work(&mut Connection { clone: self, source, way: Way::Files(central), refs });
        }
        let mut remote =
            self.repository.remote_anonymous(&source.url).map_err(self.failed("preparing a connection"))?;
        let doubt = Doubt::default();
        let callbacks = source.access.callbacks(&doubt);
        let connected = remote.connect_auth(Direction::Fetch, Some(callbacks), None);
        let mut network = connected.map_err(|error| stranger(source, &doubt).unwrap_or_else(|| unreachable(error)))?;
        let mut refs = list(network.remote()).map_err(unreachable)?;
        // `refs/tags/v1^{}` is what the tag object `refs/tags/v1` names, not a ref of its own.
        refs.retain(|found| found.name.starts_with("refs/") && !found.name.ends_with("^{}"));
        let way = Way::Network(network.remote());
        work(&mut Connection { clone: self, source, way, refs })
    }

    /// What a tag gets that broke the bound on bytes before.
    pub(crate) fn too_large(&self) -> GitError {
        let url = self.source.as_ref().map(|source| source.url.clone()).unwrap_or_default();
        GitError::Unbounded { url, why: reach::TOO_LARGE }
    }

    /// Whether the object is here.
    pub(crate) fn has(&self, id: Oid) -> bool {
        self.repository.odb().is_ok_and(|objects| objects.exists(id))
    }

    /// The objects that could not be fetched although the clone was fresh: the repository is at fault.
    pub(crate) fn unfetchable(&self) -> BTreeSet<Oid> {
        self.noted(UNFETCHABLE)
    }

    /// Notes the objects that cannot be fetched. A note that is lost costs a clone fetched once more.
    pub(crate) fn note_unfetchable(&self, ids: &BTreeSet<Oid>) {
        self.note(UNFETCHABLE, ids);
    }

    /// The objects that broke the bounds of a fetch, which are not asked for again.
    pub(crate) fn oversized(&self) -> BTreeSet<Oid> {
        self.noted(OVERSIZED)
    }

    /// Notes an object that broke the bounds of a fetch. A note that is lost costs another such fetch.
    pub(crate) fn note_oversized(&self, id: Oid) {
        let mut ids = self.oversized();
        ids.insert(id);
        self.note(OVERSIZED, &ids);
    }

    fn noted(&self, file: &str) -> BTreeSet<Oid> {
        let noted = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        noted.lines().filter_map(|line| Oid::from_str(line).ok()).collect()
    }

    fn note(&self, file: &str, ids: &BTreeSet<Oid>) {
        let path = self.path.join(file);
        let text: String = ids.iter().map(|id| format!("{id}\n")).collect();
        if let Err(error) = fs::write(&path, text) {
            tracing::warn!(%error, "writing {}", path.display());
        }
    }

    /// Reads an object that must be here. Its bytes are hashed on the way.
    pub(crate) fn read(&self, id: Oid) -> Result<(ObjectType, Vec<u8>), GitError> {
        let read = || {
            let objects = self.repository.odb()?;
            let object = objects.read(id)?;
            Ok((object.kind(), object.data().to_vec()))
        };
        read().map_err(self.failed("reading an object"))
    }

    /// Kind and size of an object that must be here.
    pub(crate) fn size(&self, id: Oid) -> Result<(ObjectType, u64), GitError> {
        let header = self.repository.odb().and_then(|objects| objects.read_header(id));
        header.map(|(size, kind)| (kind, size as u64)).map_err(self.failed("reading an object"))
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(git2::Error) -> GitError {
        let path = self.path.clone();
        move |source| GitError::Clone { doing, path, source }
    }
}

impl Connection<'_, '_> {
    /// The branch that the repository itself calls its default one, `refs/heads/NAME`.
    pub(crate) fn default_branch(&self) -> Option<String> {
        match &self.way {
            Way::Files(central) => central.default_branch(),
            Way::Network(remote) => Some(remote.default_branch().ok()?.as_str().ok()?.to_owned()),
        }
    }

    /// Fetches refs of releases into refs of the same name, with everything they name. A ref that is no longer there is
    /// left out. A stop of this worker breaks it off.
    pub(crate) fn fetch(&mut self, refs: &[String]) -> Result<(), GitError> {
        let break_off = self.clone.break_off.clone();
        self.fetch_until(refs, self.source.limits.releases, break_off.as_ref())
    }

    /// The bound of what is fetched to see whether the grid is stopped.
    pub(crate) fn control_limit(&self) -> Limit {
        self.source.limits.control
    }

    /// Fetches refs, within bounds.
    pub(crate) fn fetch_within(&mut self, refs: &[String], limit: Limit) -> Result<(), GitError> {
        self.fetch_until(refs, limit, None)
    }

    fn fetch_until(&mut self, refs: &[String], limit: Limit, break_off: Option<&BreakOff>) -> Result<(), GitError> {
        remove_left_behind(&self.clone.path, &self.clone.repairs);
        let (over, doubt) = (Over::until(break_off.cloned()), Doubt::default());
        let fetched = match &mut self.way {
            Way::Files(central) => central.copy(refs, &self.clone.repository, limit, &over),
            Way::Network(remote) => {
                let refspecs: Vec<String> = refs.iter().map(|name| format!("+{name}:{name}")).collect();
                let mut options = reach::bounded(&self.source.access, limit, &over, &doubt);
                let fetched = remote.fetch(&refspecs, Some(&mut options), None);
                fetched.map_err(|error| fault_of(error, self.clone.is_fresh))
            }
        };
        fetched.map_err(|fault| match (over.why(), fault) {
            (Some(reach::STOPPED), _) => GitError::BrokenOff { url: self.source.url.clone() },
            (Some(why), _) => GitError::Unbounded { url: self.source.url.clone(), why },
            (None, Fault::Here(source)) => self.clone.failed("fetching")(source),
            (None, Fault::There(error)) => {
                let unreachable = || unreachable(self.source, "fetching from", error);
                stranger(self.source, &doubt).unwrap_or_else(unreachable)
            }
        })
    }
}

/// What somebody gets who does not prove to be the repository.
fn stranger(source: &Source, doubt: &Doubt) -> Option<GitError> {
    Some(GitError::Stranger { url: source.url.clone(), why: doubt.why()? })
}

fn unreachable(source: &Source, doing: &'static str, error: git2::Error) -> GitError {
    GitError::Unreachable { doing, url: source.url.clone(), source: error }
}

/// Whose fault it is that a fetch over the network failed.
fn fault_of(error: git2::Error, into_fresh_clone: bool) -> Fault {
    match error.class() {
        ErrorClass::Os | ErrorClass::Filesystem => Fault::Here(error),
        ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssl | ErrorClass::Ssh => Fault::There(error),
        // Nothing in a fresh clone can be damaged.
        _ if into_fresh_clone => Fault::There(error),
        _ => Fault::Here(error),
    }
}

/// The refs of a connected remote. A name may hold any bytes, and one that is not UTF-8 must cost nobody the look: what
/// does not belong there is shown as the replacement character. (git2's own list panics at such a name.)
#[expect(unsafe_code, reason = "git2 offers no way to read a ref's name as bytes")]
fn list(remote: &Remote<'_>) -> Result<Vec<RemoteRef>, git2::Error> {
    let heads = remote.list()?;
    let (mut raw, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: the remote is connected, as `list` above has checked; libgit2 keeps the list, with names that end in a
    // zero byte, until the remote is used again, and it is copied before that.
    let names = unsafe {
        let code = libgit2_sys::git_remote_ls(&mut raw, &mut count, remote.raw());
        if code != 0 || count != heads.len() {
            return Err(git2::Error::last_error(code));
        }
        let raw = if raw.is_null() { &[] } else { std::slice::from_raw_parts(raw, count) };
        raw.iter().map(|head| CStr::from_ptr((**head).name).to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    Ok(names.into_iter().zip(heads).map(|(name, head)| RemoteRef { name, id: head.oid() }).collect())
}

/// Removes locks and half-written packs. Objects that arrived whole stay.
fn remove_left_behind(folder: &Path, repairs: &Repairs) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // The folders of single objects hold nothing else.
            if folder.file_name().is_none_or(|name| name != "objects") || path.ends_with("pack") {
                remove_left_behind(&path, repairs);
            }
        } else if path.extension().is_some_and(|extension| extension == "lock")
            || entry.file_name().to_string_lossy().contains(HALF_WRITTEN)
        {
            tracing::warn!("removing {}, left behind by a killed process", path.display());
            repairs.count(Repair::LeftBehind);
            let _ = fs::remove_file(&path);
        }
    }
}
