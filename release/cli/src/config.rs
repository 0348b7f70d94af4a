//! The person's configuration, `$XDG_CONFIG_HOME/nightshift/config.toml`: read here, made by `nightshift init`, changed by
//! `nightshift context` and `nightshift login` (see [`contexts`](crate::contexts)).
//!
//! Who works with several grids has a context for each: a table of the same keys with a name. The one in use goes before
//! the keys outside of contexts, key by key; but one with a job server of its own does not take the repository of another.

use std::collections::BTreeMap;
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
    /// The context in use.
    context: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, GridKeys>,
    jobserver: Option<String>,
    repository: Option<String>,
    control_branch: Option<String>,
    signing_key: Option<PathBuf>,
    recovery_key: Option<PathBuf>,
}

/// What belongs to one grid.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GridKeys {
    jobserver: Option<String>,
    repository: Option<String>,
    control_branch: Option<String>,
    signing_key: Option<PathBuf>,
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
    /// The context in use.
    pub(crate) context: Option<String>,
    /// The context that was named for this command alone.
    pub(crate) chosen: Option<String>,
    /// Every context with its job server, by name.
    pub(crate) contexts: BTreeMap<String, Option<String>>,
}

/// Which context a command is for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Choice<'a> {
    /// The one that `--context` names.
    pub(crate) name: Option<&'a str>,
    /// It may be one that is not there yet, and the one in use may be gone: the command makes or changes them.
    pub(crate) may_be_new: bool,
}

/// Where the configuration stands in the person's configuration folder.
pub(crate) fn path(config_dir: &Path) -> PathBuf {
    config_dir.join("config.toml")
}

/// Reads `config.toml`; an absent one is an empty one.
pub(crate) fn read(config_dir: &Path, choice: Choice<'_>) -> anyhow::Result<Config> {
    let path = path(config_dir);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).or_refuse(Exit::Usage, || format!("reading {}", path.display())),
    };
    let mut config = parse(text.as_deref().unwrap_or_default(), config_dir, choice)
        .map_err(|error| refusal(Exit::Usage, format!("reading {}: {error}", path.display())))?;
    config.written = text.is_some();
    Ok(config)
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    #[error("there is no context {name}; there {}. Make it with `nightshift login URL --context {name}`", listed(.known))]
    NoContext { name: String, known: Vec<String> },
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "is none".to_owned(),
        [one] => format!("is {one}"),
        _ => format!("are {}", names.join(", ")),
    }
}

fn parse(text: &str, config_dir: &Path, choice: Choice<'_>) -> Result<Config, Unusable> {
    let mut file: ConfigFile = toml::from_str(text)?;
    let contexts: BTreeMap<String, Option<String>> =
        file.contexts.iter().map(|(name, keys)| (name.clone(), keys.jobserver.clone())).collect();
    let context = choice.name.map(str::to_owned).or(file.context);
    let grid = match context.as_ref().map(|name| (name, file.contexts.remove(name))) {
        Some((_, Some(grid))) => grid,
        Some((name, None)) if !choice.may_be_new => {
            return Err(Unusable::NoContext { name: name.clone(), known: contexts.into_keys().collect() });
        }
        _ => GridKeys::default(),
    };
    // A context with a job server of its own is another grid: it has the repository of no other.
    let is_another = grid.jobserver.is_some() && grid.jobserver != file.jobserver;
    let jobserver = grid.jobserver.clone().or(file.jobserver);
    Ok(Config {
        jobserver_named: grid.jobserver.or_else(|| jobserver.clone().filter(|url| url != DEFAULT_JOBSERVER)),
        jobserver: jobserver.unwrap_or_else(|| DEFAULT_JOBSERVER.to_owned()),
        repository: grid.repository.or(file.repository.filter(|_| !is_another)),
        control_branch: grid.control_branch.or(file.control_branch).unwrap_or_else(|| "control".to_owned()),
        // A relative path is meant from the file it stands in.
        signing_key: config_dir.join(grid.signing_key.or(file.signing_key).unwrap_or_else(|| "signing_key".into())),
        recovery_key: config_dir.join(file.recovery_key.unwrap_or_else(|| "recovery_key".into())),
        written: false,
        context,
        chosen: choice.name.map(str::to_owned),
        contexts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "context = \"office\"\njobserver = \"http://a\"\ncontrol_branch = \"ours\"\n\
                       [contexts.office]\njobserver = \"https://office\"\n[contexts.lab]\nsigning_key = \"lab_key\"\n";

    fn named(name: &str) -> Choice<'_> {
        Choice { name: Some(name), may_be_new: false }
    }

    #[test]
    fn everything_has_a_default() {
        let config = parse("", Path::new("/home/ada/.config/nightshift"), Choice::default()).expect("config");
        assert_eq!(config.jobserver, DEFAULT_JOBSERVER);
        assert_eq!(config.control_branch, "control");
        assert_eq!(config.signing_key, Path::new("/home/ada/.config/nightshift/signing_key"));
        assert_eq!((config.context, config.contexts.len()), (None, 0));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let text = "jobserver = \"http://a\"\njobsrver = \"http://b\"\n";
        let error = parse(text, Path::new("/c"), Choice::default()).expect_err("unknown");
        assert!(error.to_string().contains("unknown field `jobsrver`"), "{error}");
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn the_context_in_use_goes_before_the_keys_outside_key_by_key() {
        let in_use = parse(TWO, Path::new("/c"), Choice::default()).expect("config");
        assert_eq!((in_use.jobserver.as_str(), in_use.control_branch.as_str()), ("https://office", "ours"));
        let with_repository = format!("repository = \"git@a\"\n{TWO}");
        let repository_of = |name| parse(&with_repository, Path::new("/c"), named(name)).expect("config").repository;
        assert_eq!((repository_of("office"), repository_of("lab").as_deref()), (None, Some("git@a")));
        let lab = parse(TWO, Path::new("/c"), named("lab")).expect("config");
        assert_eq!((lab.jobserver.as_str(), lab.signing_key.as_path()), ("http://a", Path::new("/c/lab_key")));
        assert_eq!(lab.contexts.into_keys().collect::<Vec<_>>(), ["lab", "office"]);
    }

    #[test]
    fn a_context_that_is_not_there_is_refused_with_those_that_are() {
        let error = parse(TWO, Path::new("/c"), named("offices")).expect_err("unknown").to_string();
        assert_eq!(
            error,
            "there is no context offices; there are lab, office. Make it with `nightshift login URL --context offices`"
        );
        let new = parse(TWO, Path::new("/c"), Choice { may_be_new: true, ..named("offices") }).expect("a login");
        assert_eq!(new.context.as_deref(), Some("offices"));
    }
}
