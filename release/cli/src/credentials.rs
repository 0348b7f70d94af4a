//! The tokens of this person, `$XDG_CONFIG_HOME/nightshift/credentials.toml`: kept by `nightshift login`, read by whatever
//! asks a job server. Only its owner may read the file.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nightshift_client::{Access, Pin};
use nightshift_contract::exit::Exit;
use serde::{Deserialize, Serialize};

use crate::refusal::{OrRefuse, refusal};
use crate::swap;

/// What is kept.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// The server of the last login, which is asked when nothing names another.
    pub(crate) last: Option<String>,
    /// By the server's URL.
    #[serde(default)]
    servers: BTreeMap<String, Server>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    ca: Option<String>,
    /// Empty where nobody is asked for one.
    token: String,
}

/// The token is not shown.
impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("ca", &self.ca).finish_non_exhaustive()
    }
}

fn path(config_dir: &Path) -> PathBuf {
    config_dir.join("credentials.toml")
}

/// A URL as it is kept: without the slash at its end.
fn plain(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// Reads the file; an absent one is an empty one. One that others may read is refused: its tokens may be known.
pub(crate) fn read(config_dir: &Path) -> anyhow::Result<Credentials> {
    let path = path(config_dir);
    let doing = || format!("reading {}", path.display());
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Credentials::default()),
        Err(error) => return Err(error).or_refuse(Exit::Usage, doing),
    };
    let mode = fs::metadata(&path).or_refuse(Exit::Usage, doing)?.permissions().mode();
    if mode & 0o077 != 0 {
        let text = format!("{}: others may read it; revoke its tokens, then chmod 600 it", doing());
        return Err(refusal(Exit::Usage, text));
    }
    toml::from_str(&text).or_refuse(Exit::Usage, doing)
}

impl Credentials {
    /// How to get in at a server; with no token when there was no login there.
    pub(crate) fn access(&self, url: &str) -> anyhow::Result<Access> {
        let Some(server) = self.servers.get(plain(url)) else { return Ok(Access::default()) };
        let pin = server.ca.as_deref().map(str::parse::<Pin>).transpose();
        let pin = pin.or_refuse(Exit::Usage, || format!("reading the credentials for {url}; log in again"))?;
        let token = Some(server.token.clone()).filter(|token| !token.is_empty());
        Ok(Access { pin, token, machine: None })
    }

    /// The same, which from now on ask this server when nothing names another.
    #[must_use]
    pub(crate) fn asking(mut self, url: &str) -> Credentials {
        self.last = Some(plain(url).to_owned());
        self
    }

    /// Keeps what gets in at a server.
    pub(crate) fn keep(&mut self, url: &str, access: &Access, config_dir: &Path) -> anyhow::Result<PathBuf> {
        let server =
            Server { ca: access.pin.map(|pin| pin.to_string()), token: access.token.clone().unwrap_or_default() };
        self.servers.insert(plain(url).to_owned(), server);
        let path = path(config_dir);
        let doing = || format!("writing {}", path.display());
        fs::create_dir_all(config_dir).with_context(doing)?;
        let text = format!("# Tokens are secret. Written by `nightshift login`.\n{}", toml::to_string(self)?);
        let beside = path.with_extension("toml.new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let mut file = file.with_context(doing)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(doing)?;
        swap::replace_file(&beside, &path)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access { pin: Some(Pin::of(b"ca")), token: Some("ns_owner_1".to_owned()), machine: None }
    }

    #[test]
    fn what_a_login_keeps_is_found_again_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let mut credentials = read(folder.path()).expect("none yet").asking("https://jobs:7070/");
        let path = credentials.keep("https://jobs:7070/", &access(), folder.path()).expect("kept");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let again = read(folder.path()).expect("readable");
        assert_eq!(again, credentials);
        assert_eq!(again.last.as_deref(), Some("https://jobs:7070"));
        let found = again.access("https://jobs:7070").expect("good");
        assert_eq!((found.pin, found.token), (access().pin, access().token));
        assert_eq!(again.access("https://other:7070").expect("none").token, None);
        assert!(!format!("{again:?}").contains("ns_owner_1"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = Credentials::default().keep("https://jobs:7070", &access(), folder.path()).expect("kept");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        let error = read(folder.path()).expect_err("its tokens may be known").to_string();
        assert!(error.contains("others may read it"), "{error}");
    }
}
