//! `nightshift-worker doctor`: tries everything a cycle needs, one thing after the other, and says what to do about
//! what is wrong. No release is switched in and no core is started, and what is damaged is left to the next cycle.
//!
//! The repository is looked at under the lock; while a cycle runs, what that cycle saw last is told instead.

mod replica;

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nightshift_client::{Client, Timeouts};
use nightshift_contract::exit::Exit;
use nightshift_contract::layout::{BOOT, StateDir};
use nightshift_engine::{Engine, Release, StopFlag};
use nightshift_manifest::duration;
use nightshift_manifest::machine::this_target;
use nightshift_wire::{StepReport, counted};
use rustix::fs::{Access, access, statvfs};
use rustix::process::geteuid;

use crate::decide::window_in_words;
use crate::identity::{self, Verdict};
use crate::join::Credential;
use crate::lock::{self, Taken};
use crate::report::Step;
use crate::repository::chain;
use crate::settings::{JobSource, Settings};
use crate::{clock, machine, screen, status, stop_file};

/// Less free disk than this is worth a warning: a clone, two slots and the attempts in hand have to fit.
const LITTLE_DISK: u64 = 500 * 1024 * 1024;
/// Clocks that differ by more than this make working hours and `max_offline` wrong.
const CLOCKS_DIFFER: i64 = 5 * 60 * 1000;

/// Why this process must not try anything in a state folder, and what to type instead; `None` when it may. What root makes there
/// the worker could not write any more, and a link of the worker's user would lead root to files of others.
pub fn refuses_root(state: &StateDir, config: &Path) -> Option<String> {
    let owner = std::fs::metadata(state.root()).ok().map(|folder| (folder.uid(), folder.gid()));
    root_is_refused(geteuid().is_root(), owner?, state.root(), config)
}

fn root_is_refused(is_root: bool, (user, group): (u32, u32), folder: &Path, config: &Path) -> Option<String> {
    (is_root && user != 0).then(|| {
        format!(
            "{folder} is not root's, and the worker could not use what root makes there; type: \
             setpriv --reuid {user} --regid {group} --init-groups {BOOT} doctor --config {config}",
            folder = folder.display(),
            config = config.display()
        )
    })
}

/// Checks everything and prints what was found. Ends with 1 when something needs attention.
///
/// # Errors
/// When it cannot be printed.
pub fn run(settings: &Settings, core: &Path, json: bool) -> io::Result<Exit> {
    let checks = [
        check_state_folder(&settings.state),
        check_identity(&settings.state),
        check_stop_file(&settings.state),
        check_core(core),
        check_sandbox(&settings.state),
    ];
    let mut checks = checks.to_vec();
    let (repository, release) = check_repository(settings);
    checks.extend(repository);
    checks.extend(check_job_server(settings));
    checks.extend(replica::check(settings, release.as_ref()));
    if json {
        screen::print(&serde_json::to_string_pretty(&serde_json::json!({ "version": 1, "checks": checks }))?)?;
    } else {
        screen::print(&status::steps(&checks))?;
    }
    Ok(if checks.iter().all(|check| check.ok) { Exit::Done } else { Exit::Failed })
}

fn check_state_folder(state: &StateDir) -> StepReport {
    const WHAT: &str = "state folder";
    let root = state.root().display();
    if !state.root().exists() {
        return bad(WHAT, format!("{root} is not there yet"), "the first cycle makes it: nightshift-worker run");
    }
    if access(state.root(), Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return bad(WHAT, format!("{root} cannot be written"), "run as the user it belongs to, or change its owner");
    }
    match statvfs(state.root()).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)) {
        Ok(free) if free < LITTLE_DISK => {
            bad(WHAT, format!("{root} has {} MB left", free >> 20), "free some disk, or give the machine a larger one")
        }
        Ok(free) => good(WHAT, format!("{root} can be written and has {} MB left", free >> 20)),
        Err(error) => bad(WHAT, format!("{root}: its disk cannot be asked: {error}"), "check the disk"),
    }
}

fn check_identity(state: &StateDir) -> StepReport {
    const WHAT: &str = "identity";
    let kept = std::fs::read(state.identity()).ok();
    match machine::fingerprint(state.root()).map(|fingerprint| identity::judge(kept.as_deref(), &fingerprint)) {
        Ok(Verdict::Ours(identity)) => good(WHAT, format!("worker {}", identity.worker)),
        Ok(Verdict::New) | Err(_) => good(WHAT, "none yet; the first cycle makes one"),
        Ok(Verdict::Copied { from }) => {
            good(WHAT, format!("copied from worker {from}; the next cycle makes a new one by itself"))
        }
        Ok(Verdict::Unreadable(why)) => {
            good(WHAT, format!("unreadable ({why}); the next cycle makes a new one by itself"))
        }
    }
}

fn check_stop_file(state: &StateDir) -> StepReport {
    match stop_file::reason(state) {
        None => good("stop file", "none"),
        Some(reason) => bad("stop file", format!("stopped: {reason}"), "start again with: nightshift-worker start"),
    }
}

fn check_core(core: &Path) -> StepReport {
    let runs = core.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    match runs {
        true => good("core", format!("{} is there", core.display())),
        false => bad("core", format!("{} is not there", core.display()), "install all programs of a build together"),
    }
}

/// What the last core found: the launcher itself knows no sandbox.
fn check_sandbox(state: &StateDir) -> StepReport {
    let name = Step::Sandbox.name();
    let last = status::read(state).ok().flatten();
    let found = last.and_then(|status| status.report.steps.into_iter().find(|step| step.step == name));
    found.unwrap_or_else(|| good(name, "not known yet; a core says so when it starts"))
}

/// The repository, and the release in force.
fn check_repository(settings: &Settings) -> (Vec<StepReport>, Option<Release>) {
    const LOCK: &str = "lock";
    const REPOSITORY: &str = "repository";
    if geteuid().is_root() && !settings.state.root().exists() {
        // It would be root's, and the worker may be somebody else.
        let to_do = "do as the user that the worker runs as, or let its first cycle make the state folder";
        return (vec![bad(REPOSITORY, "not looked at: root would make the state folder its own", to_do)], None);
    }
    let taken = lock::take(&settings.state, settings.stuck_after);
    // Under the lock, if it is ours: what the engine remembers has to be what the disk says.
    let mut engine = match Engine::open(settings.source.clone(), settings.state.clone()) {
        Ok(engine) => engine,
        Err(error) => {
            let bad = bad(REPOSITORY, chain(&error), "correct that first; without it no cycle works");
            return (vec![bad], None);
        }
    };
    let mut checks = Vec::new();
    match taken {
        Ok(Taken::Ours { lock: _lock, .. }) => {
            checks.push(good(LOCK, "free; no cycle runs"));
            checks.push(match engine.look(&clock::moment()) {
                Ok(look) => match StopFlag::in_words(&look.stops) {
                    None => good(REPOSITORY, format!("{} answers; no stop flag", settings.source.url)),
                    Some(flag) => {
                        bad(REPOSITORY, format!("stop flag: {flag}"), "start the grid with: nightshift start")
                    }
                },
                Err(error) => bad(REPOSITORY, chain(&error), "check the network, and the address in worker.toml"),
            });
            checks.push(check_release(&engine));
        }
        Ok(Taken::Theirs { pid }) => {
            let who = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            checks.push(good(LOCK, format!("a cycle runs{who}")));
            checks.push(match engine.last_look() {
                Some(last) => good(REPOSITORY, format!("last looked at {}", status::to_the_second(last.at.wall))),
                None => good(REPOSITORY, "not looked at yet"),
            });
        }
        Err(error) => checks.push(bad(LOCK, chain(&error), "correct that first; without it no cycle works")),
    }
    (checks, engine.in_force())
}

fn check_release(engine: &Engine) -> StepReport {
    const WHAT: &str = "release";
    let Some(release) = engine.in_force() else {
        let to_do =
            "let a cycle fetch it: nightshift-worker run; the first one is made with: nightshift release cut 1.0.0";
        return bad(WHAT, "none here yet", to_do);
    };
    let tag = &release.tag;
    if let Err(error) = engine.check_slot(&release, &this_target()) {
        return bad(
            WHAT,
            format!("{tag}: {}", chain(&error)),
            "the next cycle fetches it again: nightshift-worker run",
        );
    }
    match release.settings() {
        Ok(settings) => {
            let hours = window_in_words(settings.hours.open_until(clock::now()));
            good(WHAT, format!("{tag}, signed by {}, every file and program as signed; {hours}", release.signer))
        }
        Err(error) => bad(WHAT, format!("{tag}: {}", chain(&error)), "cut a release with readable settings"),
    }
}

fn check_job_server(settings: &Settings) -> Vec<StepReport> {
    const WHAT: &str = "job server";
    let urls = match &settings.jobs {
        JobSource::Servers(urls) => urls,
        JobSource::Store { address, .. } => {
            let found = format!("none: the store {address} is used directly; reports go nowhere");
            return vec![good(WHAT, found)];
        }
    };
    // Who was answered needs no other address.
    let asked = || -> Result<_, (String, &str)> {
        const NO_ANSWER: &str = "start it, or correct jobserver in worker.toml";
        const REFUSED: &str = "ask an admin: `nightshift worker list` shows who waits and who is let in no more";
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| (e.to_string(), NO_ANSWER))?;
        let client =
            Client::with_access(urls.iter().cloned(), Timeouts::all(settings.report_timeout), &entry(settings))
                .map_err(|error| (chain(&error), NO_ANSWER))?;
        runtime
            .block_on(client.status())
            .map_err(|error| (chain(&error), if error.problem().is_some() { REFUSED } else { NO_ANSWER }))
    };
    let status = match asked() {
        Ok(status) => status,
        Err((error, next)) => return vec![bad(WHAT, error, next)],
    };
    let found = format!("version {} answers; {} waiting", status.version, counted(status.jobs_waiting, "job"));
    let off = status.now - clock::now().as_millisecond();
    let clocks = match off.abs() > CLOCKS_DIFFER {
        false => good("clock", "as the job server's"),
        true => {
            let by = duration::show(std::time::Duration::from_millis(off.unsigned_abs()));
            let way = if off > 0 { "behind" } else { "ahead of" };
            bad("clock", format!("{by} {way} the job server's"), "set it; working hours and max_offline go by it")
        }
    };
    vec![good(WHAT, found), clocks]
}

/// As the worker gets in, with what it was given; a worker that never asked brings nothing.
fn entry(settings: &Settings) -> nightshift_client::Access {
    let kept = Credential::kept(&settings.state).filter(|_| settings.joining.is_needed());
    match kept {
        Some(credential) => credential.access(&settings.joining),
        None => nightshift_client::Access { pin: settings.joining.pin, ..Default::default() },
    }
}

fn good(what: &str, found: impl Into<String>) -> StepReport {
    StepReport { step: what.into(), ok: true, found: found.into(), next: String::new() }
}

fn bad(what: &str, found: impl Into<String>, next: &str) -> StepReport {
    StepReport { step: what.into(), ok: false, found: found.into(), next: next.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_keeps_its_hands_off_the_folder_of_another_user_and_is_told_what_to_type() {
        let judge = |is_root, owner| root_is_refused(is_root, owner, Path::new("/s"), Path::new("/e/worker.toml"));
        let refused = judge(true, (990, 991)).expect("another's");
        let line = "setpriv --reuid 990 --regid 991 --init-groups nightshift-worker doctor --config /e/worker.toml";
        assert!(refused.starts_with("/s is not root's") && refused.ends_with(line), "{refused}");
        assert_eq!(judge(true, (0, 0)), None, "a worker that is root");
        assert_eq!(judge(false, (990, 991)), None, "the worker itself, or somebody whom the system refuses");
    }
}
