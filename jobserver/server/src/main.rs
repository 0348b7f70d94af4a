//! `nightshift-jobserver`: reads the configuration, puts the parts together, runs until it is told to end.
//!
//! The only place of the job server that reads arguments, environment and configuration, and that decides the exit
//! code. The address is written to the state folder when everything is ready, so that who waits for the file can ask.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use nightshift_contract::exit::Exit;
use nightshift_server::artifacts::Artifacts;
use nightshift_server::backup;
use nightshift_server::chores::look;
use nightshift_server::clock::Clock;
use nightshift_server::config::{
    DEFAULT_CONFIG, PrimarySettings, ReplicationSettings, Settings, StoreSettings, TlsSettings,
};
use nightshift_server::files;
use nightshift_server::password_file;
use nightshift_server::primary::{CompanyData, Primary};
use nightshift_server::serve::{self, Asks, Entrance, Hosts, Limits, Parts};
use nightshift_server::setup;
use nightshift_server::shared_clock;
use nightshift_server::state_dir::{self, Held, Places};
use nightshift_server::swap;
use nightshift_server::tls::Tls;
use nightshift_server::tls::authority::Authority;
use nightshift_store::mysql::{self, MysqlStore};
use nightshift_store::sqlite::SqliteStore;
use nightshift_store::{Access, Store};
use nightshift_wire as wire;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A quarter of the server's time was the system allocator's: requests allocate on one thread and free on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long work that blocks may go on once everything else has ended.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Where the machine says how it is called.
const OWN_NAME: &str = "/proc/sys/kernel/hostname";
/// Files that are not connections: the store's, the repository's, artifacts.
const OTHER_FILES: u64 = 256;
/// A grid with fewer connections than this is a small one, and somebody may have meant a larger.
const MANY_CONNECTIONS: usize = 10_000;

/// Hands out jobs to workers, takes batches in and gives results out.
#[derive(Debug, Parser)]
#[command(name = "nightshift-jobserver", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the job server until SIGTERM or ctrl-c. Open requests are finished first.
    Serve {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// Make the certificate authority and the first admin token, where there is none, and show what workers have to pin.
    ///
    /// What is there is kept as it is. The token is shown this once. Run it as the user the job server runs as, while the
    /// job server does not run.
    Init {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// Bring the tables of the store to this version, and end. `serve` and `init` do it by themselves.
    Migrate {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
    },
    /// Copy what cannot be made anew into a new folder, also while the job server runs.
    ///
    /// The folder can take the place of a lost state folder. Where jobserver.toml names a `store`, its schema is not in it:
    /// back that up as your other databases.
    Backup {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// The folder to make.
        folder: PathBuf,
    },
}

impl Command {
    fn config(&self) -> &Path {
        match self {
            Command::Serve { config }
            | Command::Init { config }
            | Command::Migrate { config }
            | Command::Backup { config, .. } => config,
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "main is where the environment is read")]
fn log_filter() -> EnvFilter {
    const QUIET: &str = "info,refinery_core=warn";
    let wanted = std::env::var("NIGHTSHIFT_LOG").unwrap_or_default();
    EnvFilter::try_new(if wanted.is_empty() { QUIET } else { &wanted }).unwrap_or_else(|_| EnvFilter::new(QUIET))
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // Where the log cannot be written, on a full disk or to a reader that is gone, saying so there would end whoever speaks.
        .log_internal_errors(false)
        .with_env_filter(log_filter())
        .init();
    let settings = match read(command.config()) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, Exit::Usage),
    };
    match run(settings, &command) {
        Ok(()) => Exit::Done.into(),
        Err(error) => fail(&error, Exit::Failed),
    }
}

fn fail(error: &anyhow::Error, exit: Exit) -> ExitCode {
    tracing::error!("{error:#}");
    exit.into()
}

fn read(config: &Path) -> anyhow::Result<Settings> {
    let doing = || format!("reading the configuration {}; name another with --config FILE", config.display());
    let text = std::fs::read_to_string(config).with_context(doing)?;
    let file = std::path::absolute(config).with_context(doing)?;
    let mut settings = Settings::parse(&text, &file)?;
    if let StoreSettings::Mysql { address, password_file: Some(file) } = &mut settings.store {
        let password = std::fs::read_to_string(&*file)
            .with_context(|| format!("reading the store's password from {}", file.display()))?;
        *address = address.with_password(password.trim_end_matches(['\r', '\n']));
    }
    Ok(settings)
}

fn run(settings: Settings, command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { .. } => alone(settings, serve),
        Command::Init { .. } => alone(settings, init),
        Command::Migrate { .. } => alone(settings, async |settings: Settings, state: &Held| {
            open_store(settings.store, state, &CancellationToken::new()).await.map(drop)
        }),
        Command::Backup { folder, .. } => back_up(&settings, folder),
    }
}

/// Does something as the only server in the state folder.
fn alone(settings: Settings, work: impl AsyncFnOnce(Settings, &Held) -> anyhow::Result<()>) -> anyhow::Result<()> {
    // Held until nothing of this process touches the folder any more.
    let state = state_dir::hold(&settings.state_dir)?;
    // Of pages of two megabytes the allocator's many small pools would each keep most to themselves: a third of all memory.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("huge pages stay allowed, more memory is used: {error}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting")?;
    let ended = runtime.block_on(work(settings, &state));
    // A look at a repository that does not answer is not waited for: it can be cut off at any instant.
    runtime.shutdown_timeout(LAST_MOMENT);
    ended
}

async fn serve(settings: Settings, state: &Held) -> anyhow::Result<()> {
    let stopping = CancellationToken::new();
    end_on_signal(stopping.clone())?;
    outlive_file_limits()?;

    let own_name = std::fs::read_to_string(OWN_NAME).unwrap_or_default().trim().to_owned();
    let tls = match settings.tls {
        false => None,
        true => {
            let names = settings.hosts.iter().cloned().chain([own_name.clone(), settings.listen.ip().to_string()]);
            Some(Tls::new(Authority::load(&state.tls())?, names.collect(), Clock::system())?)
        }
    };
    let folder = state.artifacts();
    let artifacts = Artifacts::open(folder.clone(), settings.artifact_quota)
        .with_context(|| format!("making the folder {} of artifacts ready", folder.display()))?;
    let Opened { store, access, clock } = open_store(settings.store, state, &stopping).await?;
    let releases = look::begin(settings.repository, state.repository(), settings.look_every, stopping.clone());
    // Who comes as soon as the address is known shall find the plugins there.
    releases.fresh().await;

    let limits = Limits { records: settings.max_records, input: settings.max_input, ..limits(files::raise()) };
    let replication = replication(settings.primary.as_ref(), settings.replication, settings.rebuilds_at_once, limits)?;
    let parts = Parts {
        listen: settings.listen,
        artifacts: Some(artifacts),
        hosts: Hosts::named(settings.hosts.into_iter().chain([own_name])),
        store,
        entrance: Entrance { asks: settings.asks, access, tls },
        releases,
        replication,
        clock,
        limits,
        stopping: stopping.clone(),
    };
    let running = serve::start(parts).await.with_context(|| {
        format!("listening on {}; is the port in use? `listen` in the configuration names another", settings.listen)
    })?;
    let address = running.address();
    tell_address(address, &state.address())?;
    tracing::info!("listening on {}://{address}", if settings.tls { "https" } else { "http" });
    if settings.asks == Asks::Nobody {
        tracing::info!("access is open: whoever reaches this address may do everything");
    }
    running.ended().await?;
    tracing::info!("ended");
    Ok(())
}

/// Makes what a server that asks for tokens needs. What is shown goes to standard output: it can be piped into a file.
async fn init(settings: Settings, state: &Held) -> anyhow::Result<()> {
    let authority = Authority::make(&state.tls())?;
    let Opened { access, clock, .. } = open_store(settings.store, state, &CancellationToken::new()).await?;
    let token = setup::first_admin(&*access, clock.now()).await?;
    let mut lines = vec![format!("jobserver_ca = \"{}\"", authority.pin())];
    match token {
        Some(token) => lines.push(format!("admin_token = \"{token}\"")),
        None => tracing::info!("there is an admin token already; `nightshift token create` makes others"),
    }
    writeln!(std::io::stdout(), "{}", lines.join("\n")).context("writing to standard output")?;
    tracing::info!("log in with `nightshift login https://HOST:{} --ca PIN`", settings.listen.port());
    if settings.asks == Asks::Nobody {
        tracing::warn!("jobserver.toml says access = \"open\": the server will not ask for any token");
    }
    Ok(())
}

/// Copies the state, which a running server may be using.
fn back_up(settings: &Settings, folder: &Path) -> anyhow::Result<()> {
    let embedded = matches!(settings.store, StoreSettings::Sqlite);
    tracing::info!("copying {}", settings.state_dir.display());
    let bytes = backup::back_up(&Places::of(&settings.state_dir), embedded, folder)
        .with_context(|| format!("making a backup in {}", folder.display()))?;
    tracing::info!("{} holds a whole copy, {bytes} bytes", folder.display());
    if let StoreSettings::Mysql { address, .. } = &settings.store {
        tracing::warn!("the store is not in it: dump {address} with mariadb-dump or mysqldump, --single-transaction");
    }
    Ok(())
}

/// What the configuration says of the primary, with the files that it names read.
fn replication(
    primary: Option<&PrimarySettings>,
    settings: Option<ReplicationSettings>,
    rebuilds_at_once: u32,
    limits: Limits,
) -> anyhow::Result<CompanyData> {
    let primary = match primary {
        None => None,
        Some(settings) => {
            let password = settings.password_file.as_deref().map(password_file::read).transpose()?;
            Some(Primary::new(settings, password.as_deref(), limits.primary)?)
        }
    };
    let password_file = settings.as_ref().map(|settings| settings.password_file.clone());
    let way = match settings {
        None => None,
        Some(ReplicationSettings { host, port, user, password_file, tls, schemas, donor }) => Some(wire::Replication {
            host,
            port,
            user,
            password: password_file::read(&password_file)?,
            tls: match tls {
                TlsSettings::Off => wire::ReplicationTls::Off,
                TlsSettings::Encrypt => wire::ReplicationTls::Encrypt,
                TlsSettings::Verify(file) => {
                    let doing =
                        || format!("reading the certificates of the primary's authority from {}", file.display());
                    wire::ReplicationTls::Verify { ca: std::fs::read_to_string(&file).with_context(doing)? }
                }
            },
            schemas,
            primary: None,
            heartbeat: None,
            now: None,
            donor: donor.map(|(host, port)| wire::Donor { host, port }),
        }),
    };
    Ok(CompanyData { primary, way, password_file, rebuilds_at_once })
}

/// A store, and the clock that its servers go by.
struct Opened {
    store: Arc<dyn Store>,
    access: Arc<dyn Access>,
    clock: Clock,
}

async fn open_store(settings: StoreSettings, state: &Held, stopping: &CancellationToken) -> anyhow::Result<Opened> {
    match settings {
        StoreSettings::Sqlite => {
            let database = state.database();
            let store = Arc::new(tokio::task::spawn_blocking(move || SqliteStore::open(&database)).await??);
            Ok(Opened { store: store.clone(), access: store, clock: Clock::system() })
        }
        StoreSettings::Mysql { address, .. } => {
            let store = MysqlStore::open(&address, mysql::Limits::default()).await?;
            tracing::info!("everything is kept in {address}");
            let store = Arc::new(store);
            let clock = shared_clock::begin(store.clone(), stopping.clone()).await?;
            Ok(Opened { store: store.clone(), access: store, clock })
        }
    }
}

/// As many connections as there can be open files.
fn limits(files: u64) -> Limits {
    let limits = Limits::default();
    let connections = usize::try_from(files.saturating_sub(OTHER_FILES).max(1)).unwrap_or(usize::MAX);
    if connections < MANY_CONNECTIONS {
        tracing::warn!(
            "{files} files may be open, and so {connections} connections; raise the hard limit on open files \
             (LimitNOFILE= of the service) for a larger grid"
        );
    }
    Limits { connections: limits.connections.min(connections), ..limits }
}

fn tell_address(address: SocketAddr, file: &Path) -> anyhow::Result<()> {
    swap::replace(file, format!("{address}\n").as_bytes()).with_context(|| format!("writing {}", file.display()))
}

/// A file that may grow no further (`ulimit -f`) is like a full disk, which the store deals with; the signal sent
/// besides would end the program.
fn outlive_file_limits() -> anyhow::Result<()> {
    const SIGXFSZ: i32 = 25;
    // It stays caught when the receiver is gone.
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop).context("catching SIGXFSZ")
}

/// Cancels `stopping` at SIGTERM or ctrl-c.
fn end_on_signal(stopping: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for ctrl-c")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("ending: SIGTERM"),
            _ = interrupt.recv() => tracing::info!("ending: ctrl-c"),
        }
        stopping.cancel();
    });
    Ok(())
}
