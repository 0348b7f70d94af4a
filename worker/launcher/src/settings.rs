//! `worker.toml`: what a person wrote ([`ConfigFile`]) and what the launcher believes ([`Settings`]).
//!
//! Unknown keys are refused by name and line. Only `main` turns the one into the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_client::BadPin;
use nightshift_contract::boot_config;
use nightshift_contract::handoff::HostArgs;
use nightshift_contract::holder::STUCK_AFTER;
use nightshift_contract::layout::{DEFAULT_STATE_DIR, StateDir};
use nightshift_contract::shown::is_shown;
use nightshift_engine::{Access, Source, check_address, check_pins};
use nightshift_manifest::duration;
use nightshift_manifest::file_error::{FileError, read_toml};
use nightshift_manifest::plugin::check_plugin_name;
use nightshift_manifest::signers::{Signer, Signers};
use serde::Deserialize;
use toml::Spanned;

use crate::join::Joining;

mod replica;

use replica::ReplicaTable;
pub use replica::{ReplicaAt, ReplicaServer, ReplicaSettings};

const LOOK_EVERY: Duration = Duration::from_secs(60);
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);
const TRY_AGAIN: Duration = Duration::from_secs(60 * 60);
/// Longer than this nobody waits for a look, a report or a stuck launcher.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Why something of the worker's own must not lie where it does.
const SHOWN: &str = "plugins' programs may read what lies there; put it somewhere else";

/// `worker.toml` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    repository: Spanned<String>,
    control_branch: Option<String>,
    jobserver: Spanned<Vec<Spanned<String>>>,
    signers: Spanned<Vec<String>>,
    recovery: Option<Spanned<String>>,
    repository_ca: Option<String>,
    #[serde(default)]
    repository_host_keys: Vec<String>,
    repository_key_file: Option<Spanned<String>>,
    repository_login: Option<String>,
    state_dir: Option<Spanned<String>>,
    #[serde(default)]
    allow_plain: bool,
    #[serde(default)]
    allow_direct: bool,
    jobserver_ca: Option<Spanned<String>>,
    join_token: Option<String>,
    store_password_file: Option<Spanned<String>>,
    #[serde(default)]
    allow_unsandboxed: Vec<Spanned<String>>,
    look_every: Option<Spanned<String>>,
    report_timeout: Option<Spanned<String>>,
    stuck_after: Option<Spanned<String>>,
    try_again: Option<Spanned<String>>,
    replica: Option<ReplicaTable>,
}

/// What the launcher goes by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The central repository and whose signatures count.
    pub source: Source,
    /// Who hands out jobs.
    pub jobs: JobSource,
    /// How the worker gets in there.
    pub joining: Joining,
    /// Plugins whose programs may run where nothing keeps them from this worker's files.
    pub allow_unsandboxed: Vec<String>,
    /// The local replica of the company's data.
    pub replica: ReplicaSettings,
    /// Where everything is kept.
    pub state: StateDir,
    /// The time between two looks while a core runs.
    pub look_every: Duration,
    /// How long a report may take; it is not worth more.
    pub report_timeout: Duration,
    /// How long a launcher may get nowhere before the next cycle ends it.
    pub stuck_after: Duration,
    /// How long a release that nothing can be said about waits for its next trial.
    pub try_again: Duration,
}

/// Who hands out jobs and takes results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobSource {
    /// Job servers, tried in turn.
    Servers(Vec<String>),
    /// The store itself, without a job server between. Nobody takes reports then.
    Store {
        /// Its address, without a password.
        address: String,
        /// The file with its password.
        password_file: Option<PathBuf>,
    },
}

impl JobSource {
    /// The addresses, as the core is told them.
    pub fn addresses(&self) -> Vec<String> {
        match self {
            JobSource::Servers(urls) => urls.clone(),
            JobSource::Store { address, .. } => vec![address.clone()],
        }
    }

    /// The file with the store's password.
    pub fn password_file(&self) -> Option<&Path> {
        match self {
            JobSource::Servers(_) => None,
            JobSource::Store { password_file, .. } => password_file.as_deref(),
        }
    }
}

impl Settings {
    /// The machine, as a core is told of it now.
    pub fn host(&self) -> HostArgs {
        let replica = self.replica.reader(&self.state);
        let password_file = replica.as_ref().and_then(|replica| replica.password_file.clone());
        HostArgs {
            replica: replica.map(|replica| replica.address),
            replica_password_file: password_file,
            replica_heartbeat: self.replica.heartbeat(&self.state),
            replica_max_behind: self.replica.other_max_behind(),
            allow_unsandboxed: self.allow_unsandboxed.clone(),
        }
    }

    /// Reads the text of a `worker.toml`; `file` is what errors call it.
    ///
    /// # Errors
    /// The file, the line, what is wrong with it and what to write instead.
    pub fn parse(text: &str, file: &str) -> Result<Settings, FileError> {
        let at = |span: std::ops::Range<usize>, problem: String| FileError::at(file, text, span.start, problem);
        let written: ConfigFile = read_toml(file, text)?;
        let state = state_dir(text, file, written.state_dir.as_ref())?;
        let signers = Signers::parse(&written.signers.get_ref().join("\n"))
            .map_err(|error| at(written.signers.span(), format!("signers: {error}")))?;
        check_address(written.repository.get_ref(), written.allow_plain)
            .map_err(|error| at(written.repository.span(), error.to_string()))?;
        let access = access(&written, &at)?;
        let recovery = written
            .recovery
            .as_ref()
            .map(|line| Signer::parse(line.get_ref()).map_err(|error| at(line.span(), format!("recovery: {error}"))));
        let recovery = recovery.transpose()?;
        let control_branch = written.control_branch.clone().unwrap_or_else(|| "control".to_owned());
        let jobs = job_source(&written, &at)?;
        let pin = written.jobserver_ca.as_ref().map(|pin| pin.get_ref().parse().map_err(|bad| (pin.span(), bad)));
        let pin = pin.transpose().map_err(|(span, bad): (_, BadPin)| at(span, format!("jobserver_ca: {bad}")))?;
        let length = |key: &str, value: Option<Spanned<String>>, otherwise: Duration| match value {
            None => Ok(otherwise),
            Some(value) => match duration::parse(value.get_ref()) {
                Ok(Duration::ZERO) => Err(at(value.span(), format!("{key}: it has to be longer than nothing"))),
                Ok(length) if length > LONGEST => {
                    Err(at(value.span(), format!("{key}: it may be {} at most", duration::show(LONGEST))))
                }
                Ok(length) => Ok(length),
                Err(problem) => Err(at(value.span(), format!("{key}: {problem}"))),
            },
        };
        let place = written.stuck_after.as_ref().map(Spanned::span);
        let stuck_after = length("stuck_after", written.stuck_after, STUCK_AFTER)?;
        if let Some(place) = place.filter(|_| boot_config::stuck_after(text) != Some(stuck_after)) {
            // Boot would go by another time, and never fall back from a launcher that hangs again and again.
            return Err(at(
                place,
                "stuck_after: boot cannot read it; write it as stuck_after = \"15m\", without escapes".into(),
            ));
        }
        Ok(Settings {
            source: Source {
                allow_plain: written.allow_plain,
                recovery,
                access,
                ..Source::new(written.repository.into_inner(), control_branch, signers)
            },
            jobs,
            replica: written.replica.as_ref().map(|table| replica::read(table, &at)).transpose()?.unwrap_or_default(),
            joining: Joining { pin, token: written.join_token },
            allow_unsandboxed: plugins(&written.allow_unsandboxed, &at)?,
            state,
            look_every: length("look_every", written.look_every, LOOK_EVERY)?,
            report_timeout: length("report_timeout", written.report_timeout, REPORT_TIMEOUT)?,
            stuck_after,
            try_again: length("try_again", written.try_again, TRY_AGAIN)?,
        })
    }
}

type At<'a> = &'a dyn Fn(std::ops::Range<usize>, String) -> FileError;

/// Who the repository must prove to be, and what this worker proves itself by.
fn access(written: &ConfigFile, at: At<'_>) -> Result<Access, FileError> {
    let refused = |problem: String| at(written.repository.span(), problem);
    let key_file = written.repository_key_file.as_ref();
    if let Some(file) = key_file.filter(|file| is_shown(Path::new(file.get_ref()))) {
        return Err(at(file.span(), format!("repository_key_file: {SHOWN}")));
    }
    let access = Access::read(
        written.repository_ca.as_deref(),
        &written.repository_host_keys,
        key_file.map(|file| file.get_ref().as_str()),
        written.repository_login.as_deref(),
    )
    .map_err(|error| refused(error.to_string()))?;
    check_pins(written.repository.get_ref(), &access).map_err(|error| refused(error.to_string()))?;
    Ok(access)
}

/// The names of plugins.
fn plugins(written: &[Spanned<String>], at: At<'_>) -> Result<Vec<String>, FileError> {
    let check = |name: &Spanned<String>| match check_plugin_name(name.get_ref()) {
        Ok(()) => Ok(name.get_ref().clone()),
        Err(problem) => Err(at(name.span(), format!("allow_unsandboxed: {problem}"))),
    };
    written.iter().map(check).collect()
}

/// Who hands out jobs: job servers, or a store that may be used directly.
fn job_source(written: &ConfigFile, at: At<'_>) -> Result<JobSource, FileError> {
    let list = &written.jobserver;
    let Some(first) = list.get_ref().first() else {
        let problem = "jobserver names no job server; write its address, as in [\"http://10.0.0.5:7070\"]";
        return Err(at(list.span(), problem.into()));
    };
    let Some(store) = list.get_ref().iter().find(|address| address.get_ref().starts_with("mysql://")) else {
        if let Some(file) = &written.store_password_file {
            let problem = "store_password_file is for a store that is used directly; job servers need none".into();
            return Err(at(file.span(), problem));
        }
        for url in list.get_ref().iter().filter(|_| !written.allow_plain) {
            if let Some(problem) = plain_beyond_loopback(url.get_ref()) {
                return Err(at(url.span(), problem));
            }
        }
        return Ok(JobSource::Servers(list.get_ref().iter().map(|url| url.get_ref().clone()).collect()));
    };
    let refuse = |problem: &str| Err(at(store.span(), problem.to_owned()));
    if !written.allow_direct {
        return refuse(
            "a store used directly gives every worker an account that can change jobs; write the job server's address, \
             or allow_direct = true if you accept that",
        );
    }
    if list.get_ref().len() > 1 {
        return refuse("a store that is used directly stands alone: name it, or job servers, but not both");
    }
    if replica::has_password(store.get_ref()) {
        return refuse(
            "a password does not belong into an address; write it into a file and name that as store_password_file",
        );
    }
    let file = written.store_password_file.as_ref();
    let password_file = file.map(|file| password_file("store_password_file", file, at)).transpose()?;
    Ok(JobSource::Store { address: first.get_ref().clone(), password_file })
}

/// The state folder, which boot has to read in the same way without a TOML library.
fn state_dir(text: &str, file: &str, written: Option<&Spanned<String>>) -> Result<StateDir, FileError> {
    let folder = written.map_or(DEFAULT_STATE_DIR, |written| written.get_ref());
    let problem = match boot_config::state_dir(text) {
        Err(bad) => Some(FileError { file: file.into(), line: Some(bad.number), problem: bad.advice().into() }),
        Ok(seen) if seen.as_deref().unwrap_or(Path::new(DEFAULT_STATE_DIR)) != Path::new(folder) => {
            let problem =
                "state_dir has to stand on a line of its own before the first table, so that boot can read it";
            Some(FileError::at(file, text, written.map_or(0, |written| written.span().start), problem))
        }
        Ok(_) if !Path::new(folder).is_absolute() => {
            let problem =
                format!("state_dir = {folder:?} depends on where a cycle is started; write it from the root on");
            Some(FileError::at(file, text, written.map_or(0, |written| written.span().start), problem))
        }
        Ok(_) if is_shown(Path::new(folder)) => {
            let problem = format!("state_dir = {folder:?}: {SHOWN}, as in {DEFAULT_STATE_DIR:?}");
            Some(FileError::at(file, text, written.map_or(0, |written| written.span().start), problem))
        }
        Ok(_) => None,
    };
    problem.map_or_else(|| Ok(StateDir::new(folder)), Err)
}

/// A file with a password, by its full path, where no plugin's program can read it.
fn password_file(key: &str, file: &Spanned<String>, at: At<'_>) -> Result<PathBuf, FileError> {
    let path = Path::new(file.get_ref());
    if !path.is_absolute() {
        return Err(at(file.span(), format!("{key} depends on where a cycle is started; write it from the root on")));
    }
    match is_shown(path) {
        true => Err(at(file.span(), format!("{key}: {SHOWN}"))),
        false => Ok(path.to_owned()),
    }
}

/// Why a job server's address may not be used without `allow_plain`; `None` when it may, or is no address at all.
fn plain_beyond_loopback(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host_port.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host_port.split(':').next().unwrap_or_default(),
    };
    let loopback = host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    (!loopback).then(|| {
        format!("{url} is neither encrypted nor on this machine; write allow_plain = true if your network is trusted")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNER: &str =
        "release@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn toml(more: &str) -> String {
        format!(
            "repository = \"file:///srv/central.git\"\njobserver = [\"http://127.0.0.1:7070\"]\n\
             signers = [\"{SIGNER}\"]\n{more}\n"
        )
    }

    fn refusal(text: &str) -> String {
        Settings::parse(text, "worker.toml").expect_err("it has a fault").to_string()
    }

    #[test]
    fn what_is_not_written_has_a_default() {
        let settings = Settings::parse(&toml(""), "worker.toml").expect("complete");
        assert_eq!(settings.source.control_branch, "control");
        assert_eq!(settings.state.root(), Path::new(DEFAULT_STATE_DIR));
        assert_eq!(settings.look_every, Duration::from_secs(60));
        assert_eq!(settings.stuck_after, STUCK_AFTER);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let error = refusal(&toml("colour = \"red\""));
        assert!(error.starts_with("worker.toml, line 4: ") && error.contains("`colour`"), "{error}");
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = refusal("repository = \"file:///x\"\nsigners = []\n");
        assert!(error.contains("`jobserver`"), "{error}");
    }

    #[test]
    fn the_state_folder_must_read_the_same_for_boot() {
        let error = refusal(&toml("state_dir = \"/a\\u0062\""));
        assert!(error.starts_with("worker.toml, line 4: ") && error.contains("state_dir"), "{error}");
        for hidden in ["\"state_dir\" = \"/x\"", "look_every = \"\"\"1m\"\"\""] {
            let error = refusal(&toml(hidden));
            assert!(error.starts_with("worker.toml, line 4: ") && error.contains("state_dir = "), "{error}");
        }
        let error = refusal(&toml("state_dir = \"x\""));
        assert!(error.contains("from the root on"), "{error}");
        let settings = Settings::parse(&toml("state_dir = \"/srv/w\""), "worker.toml").expect("good");
        assert_eq!(settings.state.root(), Path::new("/srv/w"));
    }

    #[test]
    fn when_a_launcher_is_stuck_must_read_the_same_for_boot() {
        let error = refusal(&toml("stuck_after = \"5\\u006d\""));
        assert!(error.starts_with("worker.toml, line 4: stuck_after: boot cannot read it"), "{error}");
        let settings = Settings::parse(&toml("stuck_after = \"5m\""), "worker.toml").expect("good");
        assert_eq!(settings.stuck_after, Duration::from_secs(300));
    }

    #[test]
    fn nothing_that_is_the_workers_own_lies_where_plugins_programs_may_read() {
        let error = refusal(&toml("state_dir = \"/opt/nightshift\""));
        assert!(error.starts_with("worker.toml, line 4: ") && error.contains("\"/var/lib/nightshift\""), "{error}");
        let store = refusal(&direct("allow_direct = true\nstore_password_file = \"/usr/local/etc/store-password\""));
        assert!(store.contains("line 5: store_password_file: plugins' programs may read"), "{store}");
        let key = refusal(&toml("repository_key_file = \"/opt/key\""));
        assert!(key.contains("line 4: repository_key_file: plugins' programs may read"), "{key}");
        let replica = "[replica]\nurl = \"mysql://reader@localhost/company\"\npassword_file = \"/etc/ssl/reader\"";
        assert!(
            refusal(&toml(replica)).contains("password_file: plugins' programs may read"),
            "{}",
            refusal(&toml(replica))
        );
    }

    #[test]
    fn plain_addresses_beyond_this_machine_need_a_word() {
        for url in ["http://127.0.0.1:9418", "http://localhost/x", "http://[::1]:80/", "https://a/x"] {
            assert_eq!(plain_beyond_loopback(url), None, "{url}");
        }
        for url in ["http://10.0.0.5", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/", "http://"] {
            assert!(plain_beyond_loopback(url).is_some_and(|problem| problem.contains("allow_plain")), "{url}");
        }
        let elsewhere = toml("").replace("file:///srv", "git://10.0.0.5");
        assert!(refusal(&elsewhere).starts_with("worker.toml, line 1: "), "{}", refusal(&elsewhere));
        let elsewhere = toml("").replace("http://127.0.0.1:7070", "http://10.0.0.5:7070");
        assert!(refusal(&elsewhere).starts_with("worker.toml, line 2: "), "{}", refusal(&elsewhere));
        assert!(Settings::parse(&(elsewhere + "allow_plain = true\n"), "worker.toml").is_ok());
    }

    #[test]
    fn programs_that_may_run_unsandboxed_are_plugins_by_name() {
        let settings = Settings::parse(&toml("allow_unsandboxed = [\"old-php\"]"), "worker.toml").expect("good");
        assert_eq!(settings.allow_unsandboxed, ["old-php"]);
        let error = refusal(&toml("allow_unsandboxed = [\"*\"]"));
        assert!(error.starts_with("worker.toml, line 4: allow_unsandboxed: "), "{error}");
    }

    fn direct(more: &str) -> String {
        let address = "mysql://worker@10.0.0.5/nightshift";
        toml(more).replace("http://127.0.0.1:7070", address)
    }

    #[test]
    fn a_store_is_used_directly_only_when_that_is_asked_for_by_name() {
        let error = refusal(&direct(""));
        assert!(error.starts_with("worker.toml, line 2: ") && error.contains("allow_direct = true"), "{error}");
        let text = direct("allow_direct = true\nstore_password_file = \"/etc/nightshift/store-password\"");
        let settings = Settings::parse(&text, "worker.toml").expect("good");
        let address = "mysql://worker@10.0.0.5/nightshift".to_owned();
        let password_file = Some("/etc/nightshift/store-password".into());
        assert_eq!(settings.jobs, JobSource::Store { address, password_file });
    }

    #[test]
    fn a_store_stands_alone_and_its_password_in_a_file() {
        let both = direct("allow_direct = true").replace("[\"mysql", "[\"http://127.0.0.1:1\", \"mysql");
        assert!(refusal(&both).contains("not both"), "{}", refusal(&both));
        let open = direct("allow_direct = true").replace("worker@", "worker:s3cret@");
        assert!(refusal(&open).contains("store_password_file"), "{}", refusal(&open));
        let relative = refusal(&direct("allow_direct = true\nstore_password_file = \"x\""));
        assert!(relative.contains("from the root on"), "{relative}");
        assert!(refusal(&toml("store_password_file = \"/x\"")).contains("job servers need none"));
    }

    #[test]
    fn a_length_of_time_is_refused_with_its_key() {
        assert!(refusal(&toml("look_every = \"often\"")).contains("look_every: \"often\""));
        assert!(refusal(&toml("look_every = \"0s\"")).contains("look_every"));
        assert!(refusal(&toml("look_every = \"99999999999999d\"")).contains("look_every: it may be 1h at most"));
    }
}
