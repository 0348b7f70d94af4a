//! A release in force, read from its slot.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use nightshift_contract::layout::StateDir;
use nightshift_manifest::SETTINGS_FILE;
use nightshift_manifest::binaries::{BINARIES_FILE, Binaries, Program};
use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{PLUGIN_FILE, PluginManifest};
use nightshift_manifest::sampled::{self, Sampled};
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::trust::InForce;
use nightshift_manifest::version::ReleaseVersion;

use crate::slot;

/// A release whose tag was verified and whose files were staged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: ReleaseVersion,
    /// Its tag, `vX.Y.Z`.
    pub tag: String,
    /// Id of the signed tag object, 40 hex digits.
    pub tag_id: String,
    /// Id of the commit it names, 40 hex digits.
    pub commit: String,
    /// Id of the commit's tree, which the slot's files must hash to.
    pub tree_id: String,
    /// Who signed it.
    pub signer: String,
    /// Its slot, an absolute path.
    pub slot: PathBuf,
}

/// Why a staged release cannot be read. It was read before it was staged, so this is the disk's fault.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A file or folder of the slot cannot be read.
    #[error("reading {path}: the slot is damaged; the next cycle stages it again")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of the slot does not say what it must.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Release {
    pub(crate) fn new(release: &InForce, state: &StateDir) -> Self {
        let slot = state.slots().join(&release.slot);
        Self {
            version: release.version,
            tag: release.version.tag(),
            tag_id: release.tag_id.clone(),
            commit: release.commit.clone(),
            tree_id: release.tree.clone(),
            signer: release.signer.clone(),
            slot: std::path::absolute(&slot).unwrap_or(slot),
        }
    }

    /// The folder of its files.
    pub fn tree(&self) -> PathBuf {
        self.slot.join("tree")
    }

    /// A program that it brings; `None` when the installed one is used.
    pub fn program(&self, program: Program) -> Option<PathBuf> {
        Some(self.slot.join("bin").join(program.file_name())).filter(|path| path.is_file())
    }

    /// The grid's settings.
    pub fn settings(&self) -> Result<GridSettings, ReleaseError> {
        Ok(GridSettings::parse(&self.read(SETTINGS_FILE)?, SETTINGS_FILE)?)
    }

    /// The programs it names; `None` when it names none.
    pub fn binaries(&self) -> Result<Option<Binaries>, ReleaseError> {
        if !self.tree().join(BINARIES_FILE).exists() {
            return Ok(None);
        }
        Ok(Some(Binaries::parse(&self.read(BINARIES_FILE)?, BINARIES_FILE)?))
    }

    /// The plugins, by name.
    pub fn plugins(&self) -> Result<Vec<PluginManifest>, ReleaseError> {
        let folder = self.tree().join("plugins");
        let unreadable = |source| ReleaseError::Unreadable { path: folder.clone(), source };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            if entry.path().join(PLUGIN_FILE).exists() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort_unstable();
        names.iter().map(|name| Ok(PluginManifest::parse(name, &self.read(&PluginManifest::path_of(name))?)?)).collect()
    }

    /// How fast its plugins did their own samples when it was cut, as its signed tag says; empty when that says nothing.
    pub fn sampled(&self) -> BTreeMap<String, Sampled> {
        let tag = std::fs::read(self.slot.join(slot::TAG)).unwrap_or_default();
        sampled::read(&String::from_utf8_lossy(&tag))
    }

    fn read(&self, file: &str) -> Result<String, ReleaseError> {
        let path = self.tree().join(file);
        std::fs::read_to_string(&path).map_err(|source| ReleaseError::Unreadable { path, source })
    }
}
