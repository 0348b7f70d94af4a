//! Opens every plugin of a release, and says of each one that does not open why.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nightshift_manifest::plugin::{PLUGIN_FILE, PluginManifest};
use nightshift_plugin::{Data, Host, Plugin};

use crate::causes::with_causes;

/// The plugins of a release.
#[derive(Default)]
pub(crate) struct Opened {
    /// Those that are ready, by name.
    pub(crate) ready: BTreeMap<String, Ready>,
    /// Those that are not, by name, with the reason.
    pub(crate) left_out: BTreeMap<String, String>,
}

/// A plugin that is ready.
pub(crate) struct Ready {
    pub(crate) manifest: PluginManifest,
    pub(crate) plugin: Box<dyn Plugin>,
}

/// Opens the plugins of the release whose slot is `slot`; `begins` hears the name of each before it is opened.
///
/// # Errors
/// When the release's plugins cannot even be listed.
pub(crate) fn open_all(slot: &Path, host: &Host, begins: impl Fn(&str)) -> Result<Opened, String> {
    let tree = slot.join("tree");
    let folder = tree.join("plugins");
    let unreadable = |error| format!("listing the plugins in {}: {error}", folder.display());
    let mut opened = Opened::default();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.path().join(PLUGIN_FILE).is_file() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        begins(&name);
        match open(&tree, &entry.path(), &name, host) {
            Ok(ready) => drop(opened.ready.insert(name, ready)),
            Err(reason) => drop(opened.left_out.insert(name, reason)),
        }
    }
    Ok(opened)
}

/// Opens one plugin of the release whose slot is `slot`.
pub(crate) fn open_one(slot: &Path, name: &str, host: &Host) -> Result<Ready, String> {
    let tree = slot.join("tree");
    open(&tree, &tree.join("plugins").join(name), name, host)
}

/// Opens the plugin in `folder`, which belongs to the release's tree.
pub(crate) fn open(tree: &Path, folder: &Path, name: &str, host: &Host) -> Result<Ready, String> {
    let text = fs::read_to_string(folder.join(PLUGIN_FILE))
        .map_err(|error| format!("reading {}: {error}", PluginManifest::path_of(name)))?;
    let manifest = PluginManifest::parse(name, &text).map_err(|error| with_causes(&error))?;
    let plugin = nightshift_plugin::open(tree, &manifest, Data::Release, host).map_err(|error| with_causes(&error))?;
    Ok(Ready { manifest, plugin })
}
