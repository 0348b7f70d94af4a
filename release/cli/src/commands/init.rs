//! `nightshift init`: everything a new grid needs, in one folder.
//!
//! All or nothing, in this order: (1) look whether the folder is free, a remote repository empty, and no job server there yet
//! that is to be reached over TLS; (2) build the job server's certificate authority, the repositories and the configurations,
//! its pin in worker.toml, in a temporary folder on the same file system; (3) push to a remote, when one is named; (4) save a
//! new signing key; (5) move the finished folder into place; (6) write the person's configuration, when there is none, and
//! keep the first admin's token. What fails before (5) leaves nothing but, at worst, a signing key for the next try.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nightshift_client::Pin;
use nightshift_contract::exit::Exit;
use nightshift_engine::{Access, AddressError, check_address, check_pins};
use serde::Serialize;

use crate::authority::{self, Made};
use crate::new_grid::{JOBSERVER_STATE, NewGrid, Remote};
use crate::refusal::{OrRefuse, refusal};
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;
use crate::swap;
use crate::templates::{self, fill, toml_string};
use crate::urls::{Listen, listen_for};
use crate::{config, contexts};

/// So long an address is tried: far longer than an office's network takes.
const LOOK: Duration = Duration::from_secs(3);

/// Make a grid: central repository, signing key, sample plugins, configurations
///
/// Makes in DIR: central.git, the central repository with its control branch; grid, your clone of it with two sample
/// plugins; worker.toml and jobserver.toml, ready to run on this machine. The signing key and the recovery key are made in
/// (or taken from) your configuration and never enter the repository. With --jobserver https://… also state/jobserver: the job
/// server's certificate authority, whose pin stands in worker.toml, and the first admin's token, which is kept for you as by
/// `nightshift login`. DIR must be empty or not there yet; when something fails, nothing is left behind.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to make [with --remote: the current folder]
    #[arg(value_name = "DIR", required_unless_present = "remote")]
    dir: Option<PathBuf>,
    /// Use this existing, empty repository as the central one instead of making one
    #[arg(long, value_name = "URL")]
    remote: Option<String>,
    /// Where the job server will be
    #[arg(long, value_name = "URL", default_value = config::DEFAULT_JOBSERVER)]
    jobserver: String,
    /// Pin of the certificate authority of a job server that there is already, for worker.toml; `nightshift-jobserver init`
    /// prints it. Without it an authority is made [for https://]
    #[arg(long, value_name = "sha256:…")]
    jobserver_ca: Option<Pin>,
    /// Token with which workers ask to join, for worker.toml; `nightshift token create` makes it
    #[arg(long, value_name = "TOKEN")]
    join_token: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A new grid, for scripts: where everything is.
#[derive(Debug, Serialize)]
struct Founded<'f> {
    /// The central repository, as it is named in the configurations.
    repository: &'f str,
    /// The clone of it.
    clone: PathBuf,
    worker_toml: PathBuf,
    jobserver_toml: PathBuf,
    signing_key: &'f Path,
    /// The signing key was made now; otherwise it was there already.
    is_new_key: bool,
    recovery_key: &'f Path,
    /// Pin of the job server's certificate authority, when it is known.
    jobserver_ca: Option<&'f str>,
    /// The context that is about this grid, when your configuration is about another.
    context: Option<String>,
    /// The first admin's token, when another one is kept for the job server's address already; nobody can show it again.
    admin_token: Option<&'f str>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let listen = listen_for(&args.jobserver).ok_or_else(|| {
        let text = format!("--jobserver {} is not an address like http://10.0.0.5:7070", args.jobserver);
        refusal(Exit::Usage, text)
    })?;
    let target = free_folder(&around.resolve(args.dir.as_deref().unwrap_or(Path::new("."))))?;
    let remote = match &args.remote {
        Some(url) => Remote::existing(url, around)?,
        None => Remote::inside(&target)?,
    };
    if listen.tls && args.jobserver_ca.is_none() && answers(&listen) {
        let url = &args.jobserver;
        let text = format!(
            "something answers at {url} already, and the authority that would be made for a new job server is not its own: \
             if it is your job server, pin it with --jobserver-ca (`nightshift-jobserver init` prints the pin there)"
        );
        return Err(refusal(Exit::Usage, text));
    }
    let mut key = SigningKey::open_or_make(&around.config.signing_key, &around.user)?;
    let mut recovery = SigningKey::open_or_make(&around.config.recovery_key, "recovery")?;

    let workshop = workshop(&target)?;
    let made = match (listen.tls, args.jobserver_ca) {
        (true, None) => authority_of(&target, workshop.path(), &key, around)?,
        _ => None,
    };
    let pin = args.jobserver_ca.or(made.as_ref().map(|made| made.pin));
    let jobserver_ca = pin.map(|pin| pin.to_string());
    let grid = NewGrid {
        target: &target,
        remote: &remote,
        key: &key,
        recovery: &recovery,
        jobserver: &args.jobserver,
        listen: &listen,
        jobserver_ca: jobserver_ca.as_deref(),
        join_token: args.join_token.as_deref(),
        control_branch: &around.config.control_branch,
    };
    grid.build(workshop.path(), around).with_context(|| format!("making {}", target.display()))?;
    let is_new_key = key.is_new();
    key.save()?;
    recovery.save()?;
    swap::publish_folder(&workshop.path().join("built"), &target)?;

    let mut founded = Founded {
        repository: &remote.url,
        clone: target.join("grid"),
        worker_toml: target.join("worker.toml"),
        jobserver_toml: target.join("jobserver.toml"),
        signing_key: key.path(),
        is_new_key,
        recovery_key: recovery.path(),
        jobserver_ca: jobserver_ca.as_deref(),
        context: None,
        admin_token: None,
    };
    tell(&founded, args, &target, around);
    founded.context = remember(&remote, args, &target, around)?;
    if let Some(made) = &made {
        founded.admin_token = keep_token(made, args, &target, around)?;
    }
    advise(&remote, &listen, around);
    let is_locked = listen.tls && pin.is_none();
    next(&founded, is_locked, made.is_some() && args.join_token.is_none(), around);
    if args.json {
        around.screen.json("grid", &founded)?;
    }
    Ok(Exit::Done)
}

/// Says what to do next. `has_no_authority`: the job server's is still to be made. `asks_to_join`: workers have no token yet
/// to ask with.
fn next(founded: &Founded<'_>, has_no_authority: bool, asks_to_join: bool, around: &Surroundings) {
    let screen = &around.screen;
    let nightshift = match &founded.context {
        Some(context) => format!("nightshift --context {context}"),
        None => "nightshift".to_owned(),
    };
    screen.heading("Next:");
    screen.say(format!("  cd {} && {nightshift} release cut 1.0.0", shell_word(&founded.clone)));
    let jobserver_toml = shell_word(&founded.jobserver_toml);
    if has_no_authority {
        screen.say(format!("  nightshift-jobserver init --config {jobserver_toml}"));
        screen.say("  (its lines go into worker.toml, and into `nightshift login`)");
    }
    screen.say(format!("  nightshift-jobserver serve --config {jobserver_toml}"));
    if asks_to_join {
        screen.say(format!("  {nightshift} token create image --role join"));
        screen.say("  (its token goes into worker.toml, as join_token)");
    }
    screen.say(format!("  nightshift-worker run --config {}", shell_word(&founded.worker_toml)));
}

/// Says where everything is.
fn tell(founded: &Founded<'_>, args: &Args, target: &Path, around: &Surroundings) {
    let screen = &around.screen;
    let central = match &args.remote {
        None => target.join("central.git").display().to_string(),
        Some(url) => url.clone(),
    };
    screen.good(format!("central repository  {central}"));
    screen.good(format!("your clone of it    {}", founded.clone.display()));
    screen.good(format!("for workers         {}", founded.worker_toml.display()));
    screen.good(format!("for the job server  {}", founded.jobserver_toml.display()));
    let origin = if founded.is_new_key { "new, keep it safe" } else { "yours already" };
    screen.good(format!("signing key         {} ({origin})", founded.signing_key.display()));
    screen.good(format!("recovery key        {}", founded.recovery_key.display()));
    screen.warn(
        "move the recovery key to a stick in a safe, and keep no copy here: it is pinned in worker.toml, and its word \
         counts when a signing key was stolen (`nightshift key revoke --recovery FILE`)",
    );
}

/// Whether something takes connections where the job server will be, as far as can be seen from this machine.
fn answers(listen: &Listen) -> bool {
    let bare = listen.host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses = (bare, listen.port).to_socket_addrs().into_iter().flatten();
    addresses.any(|address| TcpStream::connect_timeout(&address, LOOK).is_ok())
}

/// Makes the job server's certificate authority among what becomes the finished folder; `None` when the job server is not
/// installed here, and somebody has to make it where it is.
fn authority_of(
    target: &Path,
    workshop: &Path,
    key: &SigningKey,
    around: &Surroundings,
) -> anyhow::Result<Option<Made>> {
    let state = workshop.join("built").join(JOBSERVER_STATE);
    std::fs::create_dir_all(&state).with_context(|| format!("making {}", state.display()))?;
    let doing = || format!("making the job server's certificate authority for {}", target.display());
    let made = authority::make(&state, workshop, &key.allowed_signers_line("signer")).with_context(doing)?;
    if made.is_none() {
        std::fs::remove_dir_all(workshop.join("built")).with_context(doing)?;
        around.screen.warn(
            "nightshift-jobserver is not on this machine, and so worker.toml has no pin of its certificate authority yet: \
             write what `nightshift-jobserver init` prints into it",
        );
    }
    Ok(made)
}

/// Logs the person in at the new job server. A token that is kept for its address already stays: it may be all that is known
/// of it. Then the new one is shown, and is what comes back.
fn keep_token<'m>(
    made: &'m Made,
    args: &Args,
    target: &Path,
    around: &Surroundings,
) -> anyhow::Result<Option<&'m str>> {
    let screen = &around.screen;
    screen.good(format!("its authority       {} (pinned in worker.toml)", target.join(JOBSERVER_STATE).display()));
    if around.credentials.access(&args.jobserver)?.token.is_some() {
        screen.warn(format!(
            "a token for {} is kept already and stays; the new admin's token, shown this once, is for `nightshift login {} \
             --ca {}`:",
            args.jobserver, args.jobserver, made.pin
        ));
        if !args.json {
            screen.data(&format!("{}\n", made.token))?;
        }
        return Ok(Some(&made.token));
    }
    let access = nightshift_client::Access { pin: Some(made.pin), token: Some(made.token.clone()), machine: None };
    let mut credentials = around.credentials.clone();
    if !around.config.written {
        credentials = credentials.asking(&args.jobserver);
    }
    let path = credentials.keep(&args.jobserver, &access, &around.config_dir)?;
    screen.good(format!("your admin token    {}", path.display()));
    Ok(None)
}

/// The absolute path of a folder that is empty or not there yet.
fn free_folder(path: &Path) -> anyhow::Result<PathBuf> {
    if path.exists() {
        let path = path.canonicalize().with_context(|| format!("looking at {}", path.display()))?;
        let mut entries =
            std::fs::read_dir(&path).or_refuse(Exit::Usage, || format!("looking into {}", path.display()))?;
        if entries.next().is_some() {
            let text = format!("{} is not empty; name a new folder, nothing was changed", path.display());
            return Err(refusal(Exit::Usage, text));
        }
        return Ok(path);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(refusal(Exit::Usage, format!("{} cannot be made; name a folder", path.display())));
    };
    let parent =
        parent.canonicalize().or_refuse(Exit::Usage, || format!("looking at {}; make it first", parent.display()))?;
    Ok(parent.join(name))
}

/// A temporary folder on the same file system as `target`, gone when dropped.
fn workshop(target: &Path) -> anyhow::Result<tempfile::TempDir> {
    let beside = if target.exists() { target } else { target.parent().unwrap_or(target) };
    tempfile::Builder::new()
        .prefix(".nightshift-init-")
        .tempdir_in(beside)
        .with_context(|| format!("making a temporary folder in {}", beside.display()))
}

/// Writes the person's configuration when there is none. When the one there is about another grid, this one becomes a context
/// in it, whose name comes back; it is not taken into use, so that no command goes to another grid than before.
fn remember(remote: &Remote, args: &Args, target: &Path, around: &Surroundings) -> anyhow::Result<Option<String>> {
    let path = config::path(&around.config_dir);
    let config = &around.config;
    if config.written {
        let same = config.jobserver == args.jobserver && config.repository.as_deref() == Some(&remote.url);
        if same {
            return Ok(None);
        }
        let wished = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let keys = [("jobserver", args.jobserver.as_str()), ("repository", &remote.url)];
        let name = contexts::add(config, &around.config_dir, &wished, &keys)?;
        around.screen.warn(format!(
            "{} is about another grid, where commands go as before; for this one say --context {name}, or `nightshift \
             context use {name}`",
            path.display()
        ));
        return Ok(Some(name));
    }
    let text = fill(
        templates::CONFIG,
        &[
            ("jobserver", &toml_string(&args.jobserver)),
            ("repository", &toml_string(&remote.url)),
            ("control_branch", &toml_string(&config.control_branch)),
            ("signing_key", &toml_string(&config.signing_key.to_string_lossy())),
        ],
    );
    std::fs::create_dir_all(&around.config_dir)
        .and_then(|()| std::fs::write(&path, text))
        .with_context(|| format!("writing {}", path.display()))?;
    around.screen.good(format!("your configuration  {}", path.display()));
    Ok(None)
}

/// Says what a person has to decide before this grid works beyond this machine.
fn advise(remote: &Remote, listen: &Listen, around: &Surroundings) {
    if !listen.loopback && !listen.tls {
        around.screen.warn(format!(
            "the job server listens on {}, beyond this machine and without encryption: set allow_open = true in \
             jobserver.toml and allow_plain = true in worker.toml once only staff and workers reach that network",
            listen.address
        ));
    }
    match check_address(&remote.url, false).and_then(|()| check_pins(&remote.url, &Access::default())) {
        Ok(()) => {}
        Err(AddressError::Plain(url)) => around.screen.warn(format!(
            "{url} is not protected on its way: set allow_plain = true in worker.toml and jobserver.toml if you accept \
             that"
        )),
        Err(unpinned @ (AddressError::NoAuthority(_) | AddressError::NoHostKey(_))) => {
            around.screen.warn(format!("before workers and job server start: {unpinned}"));
        }
        Err(AddressError::Unknown(url)) => around.screen.warn(format!(
            "workers and job server cannot read {url}: name the same repository as ssh://…, https://…, git://… or file:///… in worker.toml \
             (repository) and jobserver.toml (url)"
        )),
    }
}

/// `path` as a shell reads it back.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_alphanumeric() || "/._-+@%:,=".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_or_new_folder_is_free() {
        let area = tempfile::tempdir().expect("folder");
        let root = area.path().canonicalize().expect("path");
        assert_eq!(free_folder(&root.join("new")).expect("new"), root.join("new"));
        assert_eq!(free_folder(&root).expect("empty"), root);
        std::fs::write(root.join("mine"), "").expect("file");
        assert!(free_folder(&root).expect_err("taken").to_string().contains("is not empty"));
        assert!(free_folder(&root.join("a/b")).expect_err("no parent").to_string().contains("make it first"));
    }

    #[test]
    fn a_path_with_blanks_is_quoted_for_the_shell() {
        assert_eq!(shell_word(Path::new("/srv/grid-1")), "/srv/grid-1");
        assert_eq!(shell_word(Path::new("/srv/it's mine")), "'/srv/it'\\''s mine'");
    }
}
