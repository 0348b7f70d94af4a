//! A release's tree as a whole: its settings, its plugins and the programs it names, complete and readable.
//!
//! Looked at before a release is taken, so that a release manager's slip leaves the old release in force. Whether
//! plugins give the right results is for their samples (`nightshift plugin test`).

use std::collections::{BTreeMap, BTreeSet};

use crate::binaries::{BINARIES_FILE, Binaries};
use crate::file_error::FileError;
use crate::plugin::{PLUGIN_FILE, PluginManifest};
use crate::revoked::{Revoked, RevokedError};
use crate::settings::GridSettings;
use crate::signers::{Signers, SignersError};
use crate::{REVOKED_FILE, SETTINGS_FILE, SIGNERS_FILE};

/// A file that [`Content::parse`] reads may be this large.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// What a release is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The grid's settings.
    pub settings: GridSettings,
    /// `nightshift.toml`, word by word.
    pub settings_text: String,
    /// The plugins, by name.
    pub plugins: Vec<PluginManifest>,
    /// The programs it brings; `None` means the installed ones.
    pub binaries: Option<Binaries>,
}

/// Whether the bytes of the file at `path` have to be among those given to [`Content::parse`], [`signers`] and
/// [`revoked`].
pub fn is_manifest(path: &str) -> bool {
    matches!(path, SETTINGS_FILE | SIGNERS_FILE | REVOKED_FILE | BINARIES_FILE)
        || plugin_of(path).is_some_and(|(_, file)| file == PLUGIN_FILE)
}

/// The key set a release brings; `None` when it brings none and the one in force stays.
pub fn signers(manifests: &BTreeMap<String, Vec<u8>>) -> Result<Option<Signers>, SignersError> {
    manifests.get(SIGNERS_FILE).map(|bytes| Signers::parse(&String::from_utf8_lossy(bytes))).transpose()
}

/// The keys a release revokes.
pub fn revoked(manifests: &BTreeMap<String, Vec<u8>>) -> Result<Revoked, RevokedError> {
    let text = manifests.get(REVOKED_FILE).map(|bytes| String::from_utf8_lossy(bytes));
    Revoked::parse(&text.unwrap_or_default())
}

impl Content {
    /// Reads a release: `paths` are all its files, `manifests` the content of those that [`is_manifest`] names.
    pub fn parse(paths: &BTreeSet<String>, manifests: &BTreeMap<String, Vec<u8>>) -> Result<Self, FileError> {
        let settings_text = match manifests.get(SETTINGS_FILE) {
            Some(bytes) => utf8(SETTINGS_FILE, bytes)?.to_owned(),
            None => {
                let problem = "it is missing: is the tag on the right commit? An empty file is enough";
                return Err(FileError::whole(SETTINGS_FILE, problem));
            }
        };
        let settings = GridSettings::parse(&settings_text, SETTINGS_FILE)?;
        let names: BTreeSet<&str> = paths.iter().filter_map(|path| Some(plugin_of(path)?.0)).collect();
        let mut plugins = Vec::new();
        for name in names {
            let file = PluginManifest::path_of(name);
            let bytes = manifests
                .get(&file)
                .ok_or_else(|| FileError::whole(&file, "it is missing: a folder under plugins/ is a plugin"))?;
            let plugin = PluginManifest::parse(name, utf8(&file, bytes)?)?;
            if let Some(missing) = plugin.needed_files().into_iter().find(|needed| !paths.contains(needed)) {
                return Err(FileError::whole(&file, format!("it needs {missing}, which is not in the release")));
            }
            plugins.push(plugin);
        }
        let binaries = manifests
            .get(BINARIES_FILE)
            .map(|bytes| Binaries::parse(utf8(BINARIES_FILE, bytes)?, BINARIES_FILE))
            .transpose()?;
        Ok(Self { settings, settings_text, plugins, binaries })
    }
}

/// The plugin's name and the path inside its folder.
fn plugin_of(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("plugins/")?.split_once('/')
}

fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, FileError> {
    str::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        FileError::at(file, &good, good.len(), "it is not UTF-8: save it as UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLUGIN: &str = "runtime = \"sql\"\n[input]\nname = \"text\"\n[output]\nhits = \"integer\"\n\
                          [data]\nsource = \"repo\"\ntables = [\"people\"]\n";

    fn parse(files: &[(&str, &str)]) -> Result<Content, FileError> {
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let manifests = files
            .iter()
            .filter(|(path, _)| is_manifest(path))
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        Content::parse(&paths, &manifests)
    }

    const WHOLE: [(&str, &str); 5] = [
        ("nightshift.toml", ""),
        ("plugins/README.md", "what plugins are"),
        ("plugins/name-count/plugin.toml", PLUGIN),
        ("plugins/name-count/query.sqlite.sql", "select 1"),
        ("data/people.csv", "id\n"),
    ];

    #[test]
    fn a_whole_release_is_read() {
        let content = parse(&WHOLE).expect("whole");
        assert_eq!(content.plugins.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["name-count"]);
    }

    #[test]
    fn a_release_without_settings_is_refused() {
        assert!(parse(&WHOLE[1..]).expect_err("incomplete").to_string().starts_with("nightshift.toml: it is missing"));
    }

    #[test]
    fn a_release_that_names_its_programs_badly_is_refused() {
        let with = |text| parse(&[&WHOLE[..], &[("release.toml", text)]].concat());
        assert_eq!(parse(&WHOLE).expect("whole").binaries, None);
        assert!(with("[[binary]]\nname = \"boot\"\n").expect_err("bad").to_string().starts_with("release.toml"));
        assert!(with("").expect_err("empty").to_string().contains("names no program"));
    }

    #[test]
    fn a_plugin_without_its_files_is_refused() {
        for (left_out, why) in
            [(2, "it is missing"), (3, "it needs plugins/name-count/query.sqlite.sql"), (4, "it needs data/people.csv")]
        {
            let mut files = WHOLE.to_vec();
            files.remove(left_out);
            let message = parse(&files).expect_err("incomplete").to_string();
            assert!(message.starts_with("plugins/name-count/plugin.toml: ") && message.contains(why), "{message}");
        }
    }

    #[test]
    fn a_file_that_is_not_utf8_is_named_with_its_line() {
        let paths = BTreeSet::from(["nightshift.toml".to_owned()]);
        let manifests = BTreeMap::from([("nightshift.toml".to_owned(), b"[jobs]\n# \xff\n".to_vec())]);
        let message = Content::parse(&paths, &manifests).expect_err("not UTF-8").to_string();
        assert!(message.starts_with("nightshift.toml, line 2: it is not UTF-8"), "{message}");
    }

    #[test]
    fn a_release_may_bring_a_key_set() {
        let manifests = BTreeMap::from([("keys/allowed_signers".to_owned(), b"ann cert-authority x".to_vec())]);
        signers(&manifests).expect_err("fails closed");
        assert_eq!(signers(&BTreeMap::new()), Ok(None));
    }
}
