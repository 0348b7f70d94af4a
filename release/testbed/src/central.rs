//! A central repository in a folder, as a release manager, an admin or an attacker would change it.
//!
//! Everything is done to the bare repository itself, without a working copy, a network or the machine's git
//! configuration. Releases are cut from a set of files kept in memory ([`Central::put`], [`Central::cut`]); forged
//! tags are in [`forgery`], serving it over `git://` in [`daemon`], over `https://` in [`https`], over `ssh://` in [`ssh`].

pub mod daemon;
pub mod forgery;
pub mod https;
pub mod ssh;
mod votes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use git2::{ObjectType, Oid, Repository};
use nightshift_manifest::signers;
use nightshift_manifest::tag::{self, TagFields};
use nightshift_manifest::tree::{self, RawEntry};
use nightshift_manifest::version::ReleaseVersion;
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, PrivateKey};

use crate::grid;
pub use daemon::Daemon;
pub use forgery::Forgery;
pub use https::Https;
pub use ssh::Ssh;

/// The control branch's name.
pub const CONTROL: &str = "control";
/// The name beside the signing key.
pub const SIGNER: &str = "release.manager@example.com";

/// A bare central repository with a control branch and a key that may sign releases.
pub struct Central {
    folder: PathBuf,
    repository: Repository,
    key: PrivateKey,
    files: BTreeMap<String, File>,
    commits: i64,
}

/// A file of the next release.
#[derive(Clone)]
struct File {
    mode: u32,
    blob: Oid,
}

impl Central {
    /// Creates the repository in `folder`, which must not exist or be empty. The next release holds settings that say
    /// nothing and the signer's key.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(folder: &Path) -> Result<Central> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let repository = Repository::init_bare(&folder).context("creating the central repository")?;
        let key = new_key()?;
        let mut central = Central { folder, repository, key, files: BTreeMap::new(), commits: 0 };
        central.put_control(&[])?;
        central.put("nightshift.toml", "")?;
        let line = central.signer_line();
        central.put("keys/allowed_signers", &line)?;
        Ok(central)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its address on this machine.
    pub fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// What a grid has to know about it; `url` is [`Central::url`] or a [`Daemon`]'s.
    pub fn at(&self, url: &str) -> grid::Repository {
        let signers = vec![self.signer_line()];
        grid::Repository { url: url.to_owned(), control_branch: CONTROL.to_owned(), signers }
    }

    /// The key that signs its releases.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Signs the releases from now on with another key; gives back the one before.
    pub fn sign_with(&mut self, key: PrivateKey) -> PrivateKey {
        std::mem::replace(&mut self.key, key)
    }

    /// The line of `allowed_signers` for the signing key.
    pub fn signer_line(&self) -> String {
        signers::line(SIGNER, self.key.public_key())
    }

    /// Puts a file into the next release.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn put(&mut self, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
        self.put_with_mode(path, content, tree::MODE_FILE)
    }

    /// Puts an entry of any mode into the next release: a symbolic link is `0o120000`, a submodule `0o160000`.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn put_with_mode(&mut self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let blob = self.repository.odb()?.write(ObjectType::Blob, content.as_ref())?;
        self.files.insert(path.to_owned(), File { mode, blob });
        Ok(())
    }

    /// Puts all files below a folder of this machine into the next release, below `path` (empty for the root).
    ///
    /// # Errors
    /// When a file cannot be read or the repository not be written.
    pub fn put_folder(&mut self, path: &str, folder: &Path) -> Result<()> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("file names are UTF-8")?;
            let inside = if path.is_empty() { name } else { format!("{path}/{name}") };
            match entry.file_type()?.is_dir() {
                true => self.put_folder(&inside, &entry.path())?,
                false => self.put(&inside, std::fs::read(entry.path())?)?,
            }
        }
        Ok(())
    }

    /// Leaves a file out of the next release.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// Commits the files and pushes the signed tag of `version` (`1.5.0`), moving it if it is there. Gives back the
    /// tag object's id.
    ///
    /// # Errors
    /// When the version is none or the repository cannot be written.
    pub fn cut(&mut self, version: &str) -> Result<Oid> {
        let commit = self.commit()?;
        self.cut_commit(version, commit)
    }

    /// Pushes the signed tag of `version` on a commit that is already there.
    ///
    /// # Errors
    /// When the version is none or the repository cannot be written.
    pub fn cut_commit(&self, version: &str, commit: Oid) -> Result<Oid> {
        let tag = version.parse::<ReleaseVersion>()?.tag();
        let fields = self.tag_fields(&tag, commit)?;
        self.push_tag(&tag, &tag::signed(&fields, &self.key)?)
    }

    /// Commits the files to branch `main` and gives back the commit.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn commit(&mut self) -> Result<Oid> {
        let files = self.files.iter().map(|(path, file)| (path.as_str(), file.clone())).collect();
        let tree = self.write_tree(&files)?;
        self.commit_tree("refs/heads/main", tree)
    }

    /// Commits a tree as it is, however odd, to a branch.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn commit_tree(&mut self, branch: &str, tree: Oid) -> Result<Oid> {
        let parent = self.repository.refname_to_id(branch).ok();
        let who = self.who();
        let parent = parent.map(|id| format!("parent {id}\n")).unwrap_or_default();
        let raw = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\nchange {}\n", self.commits);
        let commit = self.repository.odb()?.write(ObjectType::Commit, raw.as_bytes())?;
        self.commits += 1;
        self.repository.reference(branch, commit, true, "testbed")?;
        Ok(commit)
    }

    /// Writes any object.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn write_object(&self, kind: ObjectType, raw: &[u8]) -> Result<Oid> {
        Ok(self.repository.odb()?.write(kind, raw)?)
    }

    /// Reads any object.
    ///
    /// # Errors
    /// When it is not there.
    pub fn read_object(&self, id: Oid) -> Result<Vec<u8>> {
        Ok(self.repository.odb()?.read(id)?.data().to_vec())
    }

    /// Takes the object of a file's content away, as a broken disk does: where it was, and what mends it.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn lose(&self, content: &[u8]) -> Result<(PathBuf, Vec<u8>)> {
        let id = Oid::hash_object(ObjectType::Blob, content)?.to_string();
        let path = self.folder().join("objects").join(&id[..2]).join(&id[2..]);
        let held = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        fs::remove_file(&path)?;
        Ok((path, held))
    }

    /// Points a ref at an object, as a push would.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn push_ref(&self, name: &str, id: Oid) -> Result<()> {
        self.repository.reference(name, id, true, "testbed")?;
        Ok(())
    }

    /// Deletes a ref, as a push would.
    ///
    /// # Errors
    /// When it is not there.
    pub fn delete_ref(&self, name: &str) -> Result<()> {
        self.repository.find_reference(name).with_context(|| format!("finding {name}"))?.delete()?;
        Ok(())
    }

    /// The id of a tag's object.
    ///
    /// # Errors
    /// When there is no such tag.
    pub fn tag_id(&self, tag: &str) -> Result<String> {
        Ok(self.repository.refname_to_id(&format!("refs/tags/{tag}"))?.to_string())
    }

    /// Deletes a tag.
    ///
    /// # Errors
    /// When it is not there.
    pub fn delete_tag(&self, tag: &str) -> Result<()> {
        self.delete_ref(&format!("refs/tags/{tag}"))
    }

    /// Commits a stop flag with this content to the control branch.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn stop(&mut self, content: &str) -> Result<()> {
        self.put_control(&[("STOP", content)])
    }

    /// Removes the stop flag from the control branch.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn start(&mut self) -> Result<()> {
        self.put_control(&[])
    }

    /// Replaces the files of the control branch. A file that says what the branch is for is always there.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn put_control(&mut self, files: &[(&str, &str)]) -> Result<()> {
        let about = ("README", "A file named STOP here stops the grid.\n");
        let mut entries = BTreeMap::new();
        for (path, content) in files.iter().chain([&about]) {
            let blob = self.repository.odb()?.write(ObjectType::Blob, content.as_bytes())?;
            entries.insert(*path, File { mode: tree::MODE_FILE, blob });
        }
        let tree = self.write_tree(&entries)?;
        self.commit_tree(&format!("refs/heads/{CONTROL}"), tree)?;
        Ok(())
    }

    /// Serves it over `git://` on a free port of loopback; `None` where git has no daemon.
    ///
    /// # Errors
    /// When the daemon does not come up.
    pub fn daemon(&self) -> Result<Option<Daemon>> {
        Daemon::start(&self.folder)
    }

    /// Serves it over `https://` on a free port of loopback, with a certificate for `name`; to those who know `login`, when
    /// there is one (`user:password` in base64). `None` where git has no http-backend.
    ///
    /// # Errors
    /// When the server does not come up.
    pub fn https(&self, name: &str, login: Option<&str>) -> Result<Option<Https>> {
        Https::start(&self.folder, name, login)
    }

    /// Serves it over `ssh://` on a free port of loopback, with what that needs in `area`. `None` where there is no sshd
    /// that this user can start.
    ///
    /// # Errors
    /// When the server does not come up.
    pub fn ssh(&self, area: &Path) -> Result<Option<Ssh>> {
        Ssh::start(&self.folder, area)
    }

    /// The fields of a tag on a commit.
    fn tag_fields(&self, tag: &str, commit: Oid) -> Result<TagFields> {
        let time = jiff::Timestamp::from_second(self.seconds())?;
        let tagger = format!("Release Manager <{SIGNER}>");
        Ok(TagFields {
            name: tag.to_owned(),
            commit: commit.to_string(),
            tagger,
            time,
            message: format!("Release {tag}"),
        })
    }

    fn push_tag(&self, tag: &str, raw: &[u8]) -> Result<Oid> {
        let id = self.write_object(ObjectType::Tag, raw)?;
        self.push_ref(&format!("refs/tags/{tag}"), id)?;
        Ok(id)
    }

    /// Writes the folders that these paths make up. Git's own checks do not apply, so hostile names pass.
    fn write_tree(&self, files: &BTreeMap<&str, File>) -> Result<Oid> {
        let mut folders: BTreeMap<&str, BTreeMap<&str, File>> = BTreeMap::new();
        let mut entries: Vec<(String, File)> = Vec::new();
        for (path, file) in files {
            match path.split_once('/') {
                Some((folder, rest)) => {
                    folders.entry(folder).or_default().insert(rest, file.clone());
                }
                None => entries.push(((*path).to_owned(), file.clone())),
            }
        }
        for (name, files) in &folders {
            entries.push(((*name).to_owned(), File { mode: tree::MODE_FOLDER, blob: self.write_tree(files)? }));
        }
        let entries = entries.iter().map(|(name, file)| {
            Ok(RawEntry { mode: file.mode, name: name.as_bytes(), id: file.blob.as_bytes().try_into()? })
        });
        let raw = tree::encode(entries.collect::<Result<_>>()?);
        self.write_object(ObjectType::Tree, &raw)
    }

    /// Author, committer and tagger: a name and a moment of its own for each commit.
    fn who(&self) -> String {
        format!("Release Manager <{SIGNER}> {} +0000", self.seconds())
    }

    fn seconds(&self) -> i64 {
        1_772_000_000 + self.commits
    }
}

/// A signing key of its own.
///
/// # Errors
/// When the machine has no randomness.
pub fn new_key() -> Result<PrivateKey> {
    PrivateKey::random(&mut OsRng, Algorithm::Ed25519).context("making a signing key")
}
