//! Where the programs under test stand: in the folder cargo builds into, which this executable is in as well.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The folder of the built programs.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

impl Programs {
    /// The programs built together with this executable: in its folder, or above `deps` for a test.
    ///
    /// # Errors
    /// When they are not there.
    pub fn beside_this_one() -> Result<Programs> {
        let me = std::env::current_exe().context("finding this executable")?;
        let found = me.ancestors().skip(1).take(2).find(|folder| folder.join("nightshift-worker").is_file());
        match found {
            Some(folder) => Programs::in_folder(folder),
            None => bail!(
                "nightshift-worker is not built beside {}: run `cargo build --workspace --all-targets --locked`",
                me.display()
            ),
        }
    }

    /// The programs in `folder`.
    ///
    /// # Errors
    /// When one of them is missing.
    pub fn in_folder(folder: &Path) -> Result<Programs> {
        let programs = Programs(folder.to_owned());
        for name in ["nightshift-worker", "nightshift-launcher", "nightshift-core", "nightshift-jobserver"] {
            let path = programs.path(name);
            if !path.is_file() {
                bail!("{} is not built: run `cargo build --workspace --all-targets --locked`", path.display());
            }
        }
        Ok(programs)
    }

    /// The path of a program.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
