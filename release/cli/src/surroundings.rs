//! What `main` read about the person and the machine: environment, terminal, folders. Commands get it as a value.

use std::path::{Path, PathBuf};

use nightshift_contract::exit::Exit;
use nightshift_plugin::Host;

use crate::config::Config;
use crate::credentials::Credentials;
use crate::git::Git;
use crate::output::Screen;
use crate::refusal::refusal;

/// Everything a command may know about where it runs.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Where output goes, and how.
    pub(crate) screen: Screen,
    /// The machine as plugins find it; this program locks theirs in.
    pub(crate) host: Host,
    /// The person's configuration folder, `$XDG_CONFIG_HOME/nightshift`.
    pub(crate) config_dir: PathBuf,
    /// What the person configured.
    pub(crate) config: Config,
    /// The person's tokens.
    pub(crate) credentials: Credentials,
    /// The folder the command was started in.
    pub(crate) current_dir: PathBuf,
    /// The operating system's name for the person; stands in where git knows none.
    pub(crate) user: String,
    /// Questions can be asked: standard input and standard error are a terminal.
    pub(crate) can_ask: bool,
}

impl Surroundings {
    /// `path` as the person meant it.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.current_dir.join(path)
    }

    /// Has a person say yes to what would happen, a sentence without its end. `yes`: it was said already.
    ///
    /// # Errors
    /// Nobody said yes, or nobody is there to say it; nothing was changed so far.
    pub(crate) fn confirm(&self, would_happen: &str, yes: bool) -> anyhow::Result<()> {
        if yes {
            return Ok(());
        }
        if !self.can_ask {
            return Err(refusal(Exit::Usage, format!("{would_happen}; nothing was changed, say --yes to do it")));
        }
        match self.screen.ask(&format!("{would_happen}. Go on?"))? {
            true => Ok(()),
            false => Err(refusal(Exit::Failed, "nothing was changed")),
        }
    }

    /// The person's git, working in `dir`.
    pub(crate) fn git(&self, dir: &Path) -> Git {
        Git::new(dir, &self.user)
    }
}
