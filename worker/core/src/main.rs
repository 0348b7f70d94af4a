//! `nightshift-core`: started by the launcher, which talks to it over stdin and stdout and reads its exit code.
//!
//! `--version` says its version and ends. 0 after a drain, 6 after a stop, 2 for arguments it does not understand, 1 for everything else; stderr says why.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::Context;
use nightshift_client::{Access, Client, Timeouts};
use nightshift_contract::exit::Exit;
use nightshift_contract::handoff::{AGAIN, CoreArgs, HostArgs, SAMPLES, WATCHED};
use nightshift_contract::layout::StateDir;
use nightshift_contract::message::FromCore;
use nightshift_core::direct::DirectControl;
use nightshift_core::http::HttpControl;
use nightshift_core::lock::CoreLock;
use nightshift_core::moments::Unwatched;
use nightshift_core::{Core, Currency, Ended, JobControl, Orders, Pace, again, lifeline, samples};
use nightshift_plugin::process::with_running;
use nightshift_plugin::sandbox::{self, Sandbox};
use nightshift_plugin::{Host, Replica};
use nightshift_replica::verdict::Whose;
use nightshift_store::mysql::Address;
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Results and records are made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a core that is just ending may keep the lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long the launcher may take to say how to get in at the job server.
const ACCESS_WITHIN: Duration = Duration::from_secs(10);
const BURY_EVERY: Duration = Duration::from_secs(10);
const LOGS_KEPT: usize = 7;

fn main() -> ExitCode {
    // Before anything else: this process may be one that becomes a plugin's program.
    if let Some(exit) = sandbox::entered(env::args_os()) {
        return exit;
    }
    take_small_pages();
    if env::args_os().nth(1).is_some_and(|first| first == "--version") {
        // Nobody is left to be told when standard output is gone.
        drop(writeln!(io::stdout(), "nightshift-core {}", env!("CARGO_PKG_VERSION")));
        return Exit::Done.into();
    }
    if let Some(tried) = tried() {
        return match tried {
            Ok(()) => Exit::Done.into(),
            Err((exit, why)) => {
                complain(&why);
                exit.into()
            }
        };
    }
    let args = match CoreArgs::parse(env::args_os().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            complain(&error.to_string());
            return Exit::Usage.into();
        }
    };
    match run(args) {
        Ok(Ended::Stopped(reason)) => {
            tracing::info!("stopped: {reason}");
            Exit::Stopped.into()
        }
        Ok(Ended::Drained(reason)) => {
            tracing::info!("drained: {reason}");
            Exit::Done.into()
        }
        Err(error) => {
            tracing::error!("{error:#}");
            complain(&format!("{error:#}"));
            Exit::Failed.into()
        }
    }
}

/// Keeps this process from huge pages: the kernel clears 2 MiB for each buffer of a block that needs a few kilobytes of
/// them, which costs more than all that the core does with the block. A kernel that does not know of it has none.
fn take_small_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Tries the plugins of a release apart from any job, when the arguments ask for that: all of them on their samples, or one
/// on records that are done again.
fn tried() -> Option<Result<(), (Exit, String)>> {
    let mut args = env::args_os().skip(1);
    let (first, slot, third) = (args.next()?, args.next().unwrap_or_default(), args.next().unwrap_or_default());
    if first != AGAIN && first != SAMPLES {
        return None;
    }
    let host = match HostArgs::parse(args).map_err(anyhow::Error::from).and_then(host) {
        Ok(host) => host,
        Err(error) => return Some(Err((Exit::Usage, format!("{error:#}")))),
    };
    let run_samples = || samples::run(Path::new(&slot), &host).map_err(|why| (Exit::Failed, why));
    Some(match first {
        first if first == AGAIN => watched(|| again::run(Path::new(&slot), Path::new(&third), &host)),
        _ if third == WATCHED => watched(run_samples),
        _ => run_samples(),
    })
}

/// Leaves nothing behind of what is tried, also when whoever watches over it is gone.
fn watched(try_it: impl FnOnce() -> Result<(), (Exit, String)>) -> Result<(), (Exit, String)> {
    let mark = own_mark();
    let began = nightshift_kin::adopt_orphans()
        .and_then(|()| lifeline::hold(watch::channel(Orders::default()).0, mark.clone()));
    began.map_err(|error| (Exit::TryLater, format!("preparing to end what plugins start: {error}")))?;
    let tried = try_it();
    lifeline::end_descendants(mark.as_deref());
    tried
}

/// What the launcher marked this process and everything it starts with.
fn own_mark() -> Option<String> {
    env::var_os(nightshift_kin::MARK).and_then(|mark| mark.into_string().ok())
}

/// The machine as plugins find it; this program locks theirs in.
fn host(args: HostArgs) -> anyhow::Result<Host> {
    let replica = replica(args.replica.as_deref(), args.replica_password_file.as_deref())?;
    let sandbox = env::current_exe().ok().map(Sandbox::new);
    Ok(Host { replica, sandbox, allow_unsandboxed: args.allow_unsandboxed, mark: own_mark(), ..Host::default() })
}

fn run(args: CoreArgs) -> anyhow::Result<Ended> {
    let state = StateDir::new(args.state_dir);
    // Before anything is started: descendants that lose their parents stay below this process, and none of them can
    // become somebody whom it may not end.
    nightshift_kin::adopt_orphans().context("asking the kernel for orphans")?;
    rustix::thread::set_no_new_privs(true).context("giving up rights that programs could gain")?;
    log_to(&state, env::var_os("NIGHTSHIFT_LOG").and_then(|filter| filter.into_string().ok()))?;
    let (ordering, mut orders) = watch::channel(Orders::default());
    lifeline::hold(ordering, own_mark()).context("starting the thread that reads stdin")?;
    let _lock = CoreLock::take(&state, LOCK_WAIT)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting tokio")?;
    let usual = Currency::default();
    let heartbeat = args.host.replica_heartbeat.clone().unwrap_or(usual.heartbeat);
    let max_behind = args.host.replica_max_behind.unwrap_or(usual.max_behind);
    let host = Host { cache: Some(state.compiled_modules()), ..host(args.host)? };
    let currency = Currency { heartbeat, max_behind, whose: whose(host.replica.as_ref(), &state) };
    let access = if args.asked { runtime.block_on(access(&mut orders))? } else { Access::default() };
    let core = Core {
        control: control(args.jobservers, &access, args.store_password_file.as_deref())?,
        state,
        worker: args.worker,
        release: args.release,
        orders,
        tell: tell_launcher(host.sandbox.clone())?,
        pace: Pace::default(),
        host,
        currency,
        moments: Box::new(Unwatched),
    };
    runtime.spawn(bury_orphans());
    let ended = runtime.block_on(core.run());
    // A query or a write that is still under way is not waited for: what is on disk is consistent.
    runtime.shutdown_background();
    Ok(ended?)
}

/// The worker's own server has its socket in the state folder.
fn whose(replica: Option<&Replica>, state: &StateDir) -> Whose {
    let socket = replica.and_then(|replica| replica.opts().socket());
    match socket.is_some_and(|socket| Path::new(socket).starts_with(state.replica())) {
        true => Whose::Workers,
        false => Whose::Machines,
    }
}

/// Orphans of plugins come to this process when their parents end; ended ones are buried now and then.
async fn bury_orphans() {
    let mut ticks = tokio::time::interval(BURY_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = with_running(nightshift_kin::reap_orphans) {
            tracing::warn!("looking for ended orphans: {error}");
        }
    }
}

/// How to get in at the job server, as the launcher says first of all.
async fn access(orders: &mut watch::Receiver<Orders>) -> anyhow::Result<Access> {
    let said = tokio::time::timeout(ACCESS_WITHIN, orders.wait_for(|orders| orders.access.is_some())).await;
    let said = said.context("waiting for the launcher to say how to get in at the job server")??.access.clone();
    let said = said.unwrap_or_default();
    let pin = if said.pin.is_empty() { None } else { Some(said.pin.parse()?) };
    Ok(Access { pin, token: Some(said.token), machine: Some(said.machine) })
}

/// The job servers, or the store that is used directly.
fn control(
    addresses: Vec<String>,
    access: &Access,
    password_file: Option<&Path>,
) -> anyhow::Result<Arc<dyn JobControl>> {
    let Some(store) = addresses.iter().find(|address| address.starts_with("mysql://")) else {
        return Ok(Arc::new(HttpControl(Client::with_access(addresses, Timeouts::default(), access)?)));
    };
    let mut address = Address::parse(store).context("reading the store's address")?;
    if let Some(file) = password_file {
        address = address.with_password(&password(file).context("reading the store's password")?);
    }
    tracing::info!("using the store {address} directly");
    Ok(Arc::new(DirectControl::new(address)))
}

/// The replica with the company's data, when the worker has one.
fn replica(address: Option<&str>, password_file: Option<&Path>) -> anyhow::Result<Option<Replica>> {
    let Some(address) = address else { return Ok(None) };
    let mut replica = Replica::parse(address).context("reading the replica's address")?;
    if let Some(file) = password_file {
        replica = replica.with_password(&password(file).context("reading the replica's password")?);
    }
    Ok(Some(replica))
}

/// The password in a file, which may end its line.
fn password(file: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("opening {}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A way to stdout that never blocks: a thread does the writing. A launcher that is gone is the lifeline's business. What
/// programs are locked in by is told as soon as it is found out, which takes programs of its own and keeps nobody waiting.
fn tell_launcher(sandbox: Option<Sandbox>) -> anyhow::Result<Box<dyn Fn(FromCore) + Send + Sync>> {
    let (say, said) = mpsc::channel::<FromCore>();
    if let Some(sandbox) = sandbox {
        let say = say.clone();
        let look = move || drop(say.send(FromCore::Protected(sandbox.protections())));
        std::thread::Builder::new().name("sandbox's probe".to_owned()).spawn(look).context("starting a thread")?;
    }
    let speak = move || {
        for message in said {
            let mut stdout = io::stdout().lock();
            if stdout.write_all(message.to_line().as_bytes()).and_then(|()| stdout.flush()).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().name("speaker".to_owned()).spawn(speak).context("starting the thread that talks")?;
    Ok(Box::new(move |message| drop(say.send(message))))
}

/// Logs to `STATE/log`, and to stderr what `filter` asks for.
fn log_to(state: &StateDir, filter: Option<String>) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(state.log()).context("making the folder of the log")?;
    let files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("core")
        .filename_suffix("log")
        .max_log_files(LOGS_KEPT)
        .build(state.log())
        .context("opening the log")?;
    // A full disk takes no log, and a launcher that is gone reads none; saying so on stderr would end whoever speaks.
    let to_files = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let to_files = to_files.with_ansi(false).with_target(false).with_writer(files);
    let to_stderr = filter.map(|filter| {
        let to_stderr = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(io::stderr);
        to_stderr.with_filter(EnvFilter::new(filter))
    });
    tracing_subscriber::registry().with(to_files.with_filter(LevelFilter::INFO)).with(to_stderr).init();
    Ok(())
}

/// Says on stderr why the core ends. When stderr is gone, nobody reads it.
fn complain(why: &str) {
    drop(writeln!(io::stderr(), "nightshift-core: {why}"));
}
