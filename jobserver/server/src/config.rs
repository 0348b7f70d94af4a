//! `jobserver.toml`: what a person wrote, and what the program believes of it.
//!
//! Unknown keys are refused by name and line. Relative paths count from the folder of the file, so that a folder with
//! configuration and state can be moved as a whole. Only `main` reads the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_engine::{Access, Source, check_address, check_pins};
use nightshift_manifest::duration;
use nightshift_manifest::file_error::{FileError, read_toml};
use nightshift_manifest::signers::{Signer, Signers};
use nightshift_store::mysql::Address;
use serde::Deserialize;
use toml::Spanned;

use crate::access::Asks;
use crate::app::{LARGEST_BATCH, LARGEST_INPUT};

mod replica;
pub use replica::{PrimarySettings, ReplicationSettings, TableName, TlsSettings};

/// The configuration read when `--config` is not given.
pub const DEFAULT_CONFIG: &str = "/etc/nightshift/jobserver.toml";
/// The state folder used when the configuration names none.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/nightshift/jobserver";

/// What all artifacts together may take when the configuration does not say.
pub const ARTIFACT_QUOTA: u64 = 10_000_000_000;

/// The settings a server runs with.
#[derive(Debug)]
pub struct Settings {
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Names by which it is reached, besides `localhost` and the machine's own.
    pub hosts: Vec<String>,
    /// Bytes that all artifacts together may take.
    pub artifact_quota: u64,
    /// Records that one batch may have.
    pub max_records: u64,
    /// Bytes that one batch may be made of, unpacked.
    pub max_input: u64,
    /// The state folder.
    pub state_dir: PathBuf,
    /// The central repository.
    pub repository: Source,
    /// How often to look at it.
    pub look_every: Duration,
    /// Where everything is kept.
    pub store: StoreSettings,
    /// Whether tokens are asked for.
    pub asks: Asks,
    /// Whether TLS is spoken, with certificates of the grid's own authority.
    pub tls: bool,
    /// The primary of the company's data, when this server knows it.
    pub primary: Option<PrimarySettings>,
    /// What workers' own servers need to copy it.
    pub replication: Option<ReplicationSettings>,
    /// How many replicas may be built anew at once.
    pub rebuilds_at_once: u32,
}

/// Where batches, jobs, records and results are kept.
#[derive(Debug)]
pub enum StoreSettings {
    /// In one SQLite file in the state folder.
    Sqlite,
    /// In a schema of a MySQL or MariaDB server.
    Mysql {
        /// The schema.
        address: Address,
        /// A file that holds the password, when the address has none.
        password_file: Option<PathBuf>,
    },
}

impl Settings {
    /// Reads the text of a `jobserver.toml`; `file` is where it stands.
    ///
    /// # Errors
    /// What is wrong with it, on which line, and what to write instead.
    pub fn parse(text: &str, file: &Path) -> Result<Settings, FileError> {
        let name = file.display().to_string();
        let written: ConfigFile = read_toml(&name, text)?;
        let at = |span: std::ops::Range<usize>, problem: String| FileError::at(&name, text, span.start, problem);
        let folder = file.parent().unwrap_or(Path::new(""));

        let asks = match &written.access {
            None => Asks::ForTokens,
            Some(access) => asks(access.get_ref()).map_err(|problem| at(access.span(), problem))?,
        };
        let tls = written.tls.unwrap_or(asks == Asks::ForTokens);
        let listen = match &written.listen {
            None => SocketAddr::from(([127, 0, 0, 1], 7070)),
            Some(listen) => {
                let allowed = written.allow_open || (asks == Asks::ForTokens && tls);
                address(listen.get_ref(), allowed).map_err(|problem| at(listen.span(), problem))?
            }
        };
        let look_every = match &written.look_every {
            None => LOOK_EVERY,
            Some(every) => period(every.get_ref()).map_err(|problem| at(every.span(), problem))?,
        };
        let artifact_quota = match &written.artifact_quota {
            None => ARTIFACT_QUOTA,
            Some(quota) => size("artifact_quota", quota.get_ref()).map_err(|problem| at(quota.span(), problem))?,
        };
        let max_records = written.max_records.as_ref().map_or(Ok(LARGEST_BATCH), |records| {
            at_least_one(*records.get_ref()).map_err(|problem| at(records.span(), problem))
        })?;
        let max_input = written.max_input.as_ref().map_or(Ok(LARGEST_INPUT), |input| {
            size("max_input", input.get_ref()).map_err(|problem| at(input.span(), problem))
        })?;
        let store = match (&written.store, written.store_password_file) {
            (None, None) => StoreSettings::Sqlite,
            (None, Some(key)) => {
                let problem = "store_password_file is the password of a `store`, and there is none: write store = \
                    \"mysql://user@host:3306/schema\" beside it, or leave it out to keep everything in the state folder";
                return Err(at(key.span(), problem.to_owned()));
            }
            (Some(store), password_file) => {
                let address =
                    Address::parse(store.get_ref()).map_err(|problem| at(store.span(), format!("store: {problem}")))?;
                if let Some(key) = password_file.as_ref().filter(|_| address.has_password()) {
                    return Err(at(key.span(), "store has a password already: leave one of the two out".to_owned()));
                }
                StoreSettings::Mysql { address, password_file: password_file.map(|key| folder.join(key.into_inner())) }
            }
        };
        let primary = written.primary.map(|table| table.read(folder, &at)).transpose()?;
        let replication = written.replication.map(|table| table.read(folder, &at)).transpose()?;
        let rebuilds_at_once = replica::rebuilds_at_once(written.replica.as_ref(), &at)?;
        let repository = written.repository;
        let url = url(repository.url.get_ref(), folder);
        check_address(&url, repository.allow_plain).map_err(|error| at(repository.url.span(), error.to_string()))?;
        let signers = Signers::parse(&repository.signers.get_ref().join("\n"))
            .map_err(|error| at(repository.signers.span(), format!("signers: {error}")))?;
        let recovery = repository
            .recovery
            .as_ref()
            .map(|line| Signer::parse(line.get_ref()).map_err(|error| at(line.span(), format!("recovery: {error}"))));
        let access = Access::read(
            repository.ca.as_deref(),
            &repository.host_keys,
            repository.key_file.as_deref(),
            repository.login.as_deref(),
        )
        .map_err(|error| at(repository.url.span(), error.to_string()))?;
        check_pins(&url, &access).map_err(|error| at(repository.url.span(), error.to_string()))?;
        let recovery = recovery.transpose()?;
        Ok(Settings {
            listen,
            hosts: written.hosts,
            artifact_quota,
            max_records,
            max_input,
            state_dir: folder.join(written.state_dir.unwrap_or_else(|| DEFAULT_STATE_DIR.into())),
            repository: Source {
                allow_plain: repository.allow_plain,
                recovery,
                access,
                ..Source::new(url, repository.control_branch, signers)
            },
            look_every,
            store,
            asks,
            tls,
            primary,
            replication,
            rebuilds_at_once,
        })
    }
}

/// `jobserver.toml` as a person wrote it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    listen: Option<Spanned<String>>,
    #[serde(default)]
    hosts: Vec<String>,
    artifact_quota: Option<Spanned<String>>,
    max_records: Option<Spanned<u64>>,
    max_input: Option<Spanned<String>>,
    state_dir: Option<PathBuf>,
    access: Option<Spanned<String>>,
    tls: Option<bool>,
    #[serde(default)]
    allow_open: bool,
    look_every: Option<Spanned<String>>,
    store: Option<Spanned<String>>,
    store_password_file: Option<Spanned<PathBuf>>,
    primary: Option<replica::PrimaryTable>,
    replication: Option<replica::ReplicationTable>,
    replica: Option<replica::ReplicaTable>,
    repository: RepositoryTable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RepositoryTable {
    url: Spanned<String>,
    #[serde(default = "control")]
    control_branch: String,
    signers: Spanned<Vec<String>>,
    recovery: Option<Spanned<String>>,
    #[serde(default)]
    allow_plain: bool,
    ca: Option<String>,
    #[serde(default)]
    host_keys: Vec<String>,
    key_file: Option<String>,
    login: Option<String>,
}

fn control() -> String {
    "control".to_owned()
}

fn address(listen: &str, open: bool) -> Result<SocketAddr, String> {
    let address: SocketAddr = listen.parse().map_err(|_| {
        format!("listen = {listen:?} is no address: write one like \"127.0.0.1:7070\" or \"[::1]:7070\"")
    })?;
    if address.ip().is_loopback() || open {
        Ok(address)
    } else {
        Err(format!(
            "listen = {listen:?} lets every machine in the network hand in jobs and take results, since requests are \
             not both encrypted and checked: leave out `access` and `tls` and run `nightshift-jobserver init`, or write \
             allow_open = true above [repository] if that is meant"
        ))
    }
}

/// What `access` says.
fn asks(access: &str) -> Result<Asks, String> {
    match access {
        "tokens" => Ok(Asks::ForTokens),
        "open" => Ok(Asks::Nobody),
        other => Err(format!("access = {other:?} is neither \"tokens\" nor \"open\"")),
    }
}

fn at_least_one(max_records: u64) -> Result<u64, String> {
    if max_records == 0 { Err("max_records: write at least 1".to_owned()) } else { Ok(max_records) }
}

fn size(key: &str, written: &str) -> Result<u64, String> {
    let units = [("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
    let size = units.iter().find_map(|(unit, bytes)| {
        let number: u64 = written.trim().strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(*bytes)
    });
    size.ok_or_else(|| format!("{key} = {written:?} is no size: write one like \"500MB\" or \"10GB\""))
}

/// How often the repository is looked at: running workers hear of a stop through this server, within seconds.
const LOOK_EVERY: Duration = Duration::from_secs(2);

fn period(every: &str) -> Result<Duration, String> {
    match duration::parse(every).map_err(|problem| format!("look_every: {problem}"))? {
        Duration::ZERO => Err("look_every: write at least \"1s\"".to_owned()),
        period => Ok(period),
    }
}

/// The repository's address; a path counts from the folder of the file.
fn url(written: &str, folder: &Path) -> String {
    if written.starts_with(['/', '.']) {
        let path = std::path::absolute(folder.join(written)).unwrap_or_else(|_| folder.join(written));
        format!("file://{}", path.display())
    } else {
        written.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "boss@example.org namespaces=\\\"git\\\" ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn text(top: &str, repository: &str) -> String {
        format!("{top}\n[repository]\nurl = \"../central.git\"\nsigners = [\"{KEY}\"]\n{repository}\n")
    }

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, Path::new("/srv/grid/jobserver.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_has_a_default_and_paths_count_from_the_file() {
        let settings = parse(&text("", "")).expect("good");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7070");
        assert_eq!(settings.state_dir, Path::new(DEFAULT_STATE_DIR));
        assert_eq!(settings.look_every, LOOK_EVERY);
        assert_eq!((settings.max_records, settings.max_input), (10_000_000, 20_000_000_000));
        assert_eq!(settings.repository.control_branch, "control");
        assert_eq!(settings.repository.url, "file:///srv/grid/../central.git");

        let settings = parse(&text("max_records = 500\nmax_input = \"2GB\"", "")).expect("good");
        assert_eq!((settings.max_records, settings.max_input), (500, 2_000_000_000));
        let settings =
            parse(&text("state_dir = \"state\"\nlook_every = \"2s\"\nlisten = \"[::1]:0\"", "")).expect("good");
        assert_eq!(settings.state_dir, Path::new("/srv/grid/state"));
        assert_eq!(settings.look_every, Duration::from_secs(2));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_line() {
        let error = parse(&text("listen = \"127.0.0.1:0\"\nlisten_on = 1", "")).expect_err("unknown");
        assert!(error.starts_with("/srv/grid/jobserver.toml, line 2: unknown field `listen_on`"), "{error}");
        let error = parse(&text("", "colour = 1")).expect_err("unknown");
        assert!(error.starts_with("/srv/grid/jobserver.toml, line 5: unknown field `colour`"), "{error}");
    }

    #[test]
    fn everything_is_kept_in_the_state_folder_unless_a_store_is_named() {
        assert!(matches!(parse(&text("", "")).expect("good").store, StoreSettings::Sqlite));
        let top = "store = \"mysql://grid@db:3306/nightshift\"\nstore_password_file = \"secret\"";
        let StoreSettings::Mysql { address, password_file } = parse(&text(top, "")).expect("good").store else {
            panic!("a MySQL store")
        };
        assert_eq!(address.to_string(), "mysql://db:3306/nightshift");
        assert_eq!(password_file.as_deref(), Some(Path::new("/srv/grid/secret")));
    }

    #[test]
    fn a_store_that_cannot_be_read_is_refused_without_repeating_its_password() {
        for (top, said) in [
            ("store = \"postgres://grid:s3cret@db/x\"", "line 1: store: it is no address of a store"),
            ("store = \"mysql://grid:s3cret@db\"", "line 1: store: it names no schema"),
            ("store_password_file = \"s3cret\"", "line 1: store_password_file is the password of a `store`"),
            ("store = \"mysql://grid:s3cret@db/x\"\nstore_password_file = \"f\"", "line 2: store has a password"),
        ] {
            let error = parse(&text(top, "")).expect_err(top);
            assert!(error.contains(said) && !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn listening_beyond_loopback_without_tokens_or_tls_needs_allow_open() {
        for weak in ["access = \"open\"", "tls = false", "access = \"open\"\ntls = true"] {
            let error = parse(&text(&format!("\nlisten = \"0.0.0.0:7070\"\n{weak}"), "")).expect_err("open");
            assert!(error.contains("line 2") && error.contains("allow_open = true"), "{error}");
            let meant = format!("listen = \"0.0.0.0:7070\"\n{weak}\nallow_open = true");
            parse(&text(&meant, "")).expect("meant so");
            parse(&text(weak, "")).expect("this machine alone can reach it");
        }
        let settings = parse(&text("listen = \"0.0.0.0:7070\"", "")).expect("tokens and TLS");
        assert!(settings.tls && settings.asks == Asks::ForTokens);
    }

    #[test]
    fn tokens_are_asked_for_over_tls_unless_the_file_says_otherwise() {
        let access = |top: &str| parse(&text(top, "")).map(|settings| (settings.asks, settings.tls));
        assert_eq!(access(""), Ok((Asks::ForTokens, true)));
        assert_eq!(access("access = \"open\""), Ok((Asks::Nobody, false)));
        assert_eq!(access("access = \"tokens\"\ntls = false"), Ok((Asks::ForTokens, false)));
        let error = access("access = \"free\"").expect_err("unknown");
        assert!(error.contains("line 1: access = \"free\" is neither"), "{error}");
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named_with_its_line_and_what_to_write() {
        for (top, said) in [
            ("listen = \"localhost\"", "is no address: write one like \"127.0.0.1:7070\""),
            ("look_every = \"often\"", "look_every: \"often\" is no duration"),
            ("artifact_quota = \"10\"", "artifact_quota = \"10\" is no size: write one like \"500MB\" or \"10GB\""),
            ("max_input = \"much\"", "max_input = \"much\" is no size: write one like \"500MB\" or \"10GB\""),
            ("max_records = 0", "max_records: write at least 1"),
            ("look_every = \"0s\"", "look_every: write at least \"1s\""),
        ] {
            let error = parse(&text(top, "")).expect_err(top);
            assert!(error.starts_with("/srv/grid/jobserver.toml, line 1: ") && error.contains(said), "{error}");
        }
        let error = parse("[repository]\nurl = \"/c\"\nsigners = [\"nonsense\"]\n").expect_err("no key");
        assert!(error.contains("line 3: signers: "), "{error}");
        let error = parse(&format!("[repository]\nsigners = [\"{KEY}\"]\nurl = \"ssh://git@central/x\"\n"));
        assert!(error.as_ref().is_err_and(|error| error.contains("line 3: ")), "{error:?}");
        let error = parse("state_dir = \"x\"\n").expect_err("no repository");
        assert!(error.contains("missing field `repository`"), "{error}");
    }
}
