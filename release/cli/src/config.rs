//! The person's configuration, `$XDG_CONFIG_HOME/nightshift/config.toml`: read here, made by `nightshift init`.

use std::path::{Path, PathBuf};

use nightshift_contract::exit::Exit;
use serde::Deserialize;

use crate::refusal::{OrRefuse, refusal};

/// The job server that is asked when nothing names another.
pub(crate) const DEFAULT_JOBSERVER: &str = "http://127.0.0.1:7070";

/// What a person may write into `config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    jobserver: Option<String>,
    repository: Option<String>,
    control_branch: Option<String>,
    signing_key: Option<PathBuf>,
    recovery_key: Option<PathBuf>,
}

/// What the commands believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// The job server's base URL.
    pub(crate) jobserver: String,
    /// The same when it was written and is not the default.
    pub(crate) jobserver_named: Option<String>,
    /// The central repository's URL, for commands started outside a clone of it.
    pub(crate) repository: Option<String>,
    /// The control branch of that repository.
    pub(crate) control_branch: String,
    /// The private key that signs releases.
    pub(crate) signing_key: PathBuf,
    /// Where `init` puts the private recovery key.
    pub(crate) recovery_key: PathBuf,
    /// The file exists.
    pub(crate) written: bool,
}

/// Where the configuration stands in the person's configuration folder.
pub(crate) fn path(config_dir: &Path) -> PathBuf {
    config_dir.join("config.toml")
}

/// Reads `config.toml`; an absent one is an empty one.
pub(crate) fn read(config_dir: &Path) -> anyhow::Result<Config> {
    let path = path(config_dir);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).or_refuse(Exit::Usage, || format!("reading {}", path.display())),
    };
    let mut config = parse(text.as_deref().unwrap_or_default(), config_dir)
        .map_err(|error| refusal(Exit::Usage, format!("reading {}: {error}", path.display())))?;
    config.written = text.is_some();
    Ok(config)
}

fn parse(text: &str, config_dir: &Path) -> Result<Config, toml::de::Error> {
    let file: ConfigFile = toml::from_str(text)?;
    Ok(Config {
        jobserver_named: file.jobserver.clone().filter(|url| url != DEFAULT_JOBSERVER),
        jobserver: file.jobserver.unwrap_or_else(|| DEFAULT_JOBSERVER.to_owned()),
        repository: file.repository,
        control_branch: file.control_branch.unwrap_or_else(|| "control".to_owned()),
        // A relative path is meant from the file it stands in.
        signing_key: config_dir.join(file.signing_key.unwrap_or_else(|| "signing_key".into())),
        recovery_key: config_dir.join(file.recovery_key.unwrap_or_else(|| "recovery_key".into())),
        written: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default() {
        let config = parse("", Path::new("/home/ada/.config/nightshift")).expect("config");
        assert_eq!(config.jobserver, DEFAULT_JOBSERVER);
        assert_eq!(config.control_branch, "control");
        assert_eq!(config.signing_key, Path::new("/home/ada/.config/nightshift/signing_key"));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let error = parse("jobserver = \"http://a\"\njobsrver = \"http://b\"\n", Path::new("/c")).expect_err("unknown");
        assert!(error.to_string().contains("unknown field `jobsrver`"), "{error}");
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
