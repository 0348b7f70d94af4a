//! Which launcher boot becomes: reads `STATE/boot.state`, notes the try, and hands out the programs to become, best
//! first. The rules are in `worker/contract`.
//!
//! 1. Read the state, the machine's start and who holds the launcher's lock.
//! 2. A try of a launcher on trial is on the disk (file and folder synced) before it is made. One that cannot be noted
//!    is not made: the last good launcher does the cycle.
//! 3. A start of the last good launcher is counted, and counts for nothing once that has done something. After three the
//!    installed one stands in.
//! 4. Whatever cannot be read or found, the installed launcher is the last in the row.
#![allow(clippy::disallowed_methods, reason = "the one file of boot that renames: boot.state, old or new")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightshift_contract::boot_state::{AtWork, BootState, Decision, STARTS};
use nightshift_contract::holder::{self, Holder, Verdict};
use nightshift_contract::layout::{LAUNCHER, StateDir};

/// The launchers to become, best first, and what to note when the first of them cannot be started.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Programs of slots; the installed one comes after them.
    pub(crate) programs: Vec<PathBuf>,
    /// The state folder, and what is noted in it when the launcher on trial cannot be started.
    pub(crate) fall_back: Option<(StateDir, BootState)>,
}

/// Chooses for a cycle. A launcher that got nowhere for `stuck_after` is the next cycle's to end.
pub(crate) fn for_cycle(state: StateDir, stuck_after: Duration) -> Choice {
    let found = known(&state);
    let at_work = at_work(&state, stuck_after);
    let Decision { slot, note } = found.decide(&machine_start(), at_work, holder_of("self"));
    let tried = note.as_ref().and_then(|note| note.trial.as_ref()).is_some_and(|trial| trial.fallen.is_none());
    let noted = note.is_none_or(|note| write(&state, &note).is_ok());
    let slot = if noted { slot } else { found.good.clone() };
    let is_good = slot == found.good;
    let fall_back = found.fall_back("its launcher cannot be started").note.filter(|_| tried && noted);
    let programs = programs(&state, &found, slot);
    if is_good && !programs.is_empty() && at_work != AtWork::GettingOn {
        // Where it cannot be noted it does not count.
        let _ = fs::write(state.boot_starts(), (starts(&state) + 1).to_string());
    }
    Choice { programs, fall_back: fall_back.map(|note| (state, note)) }
}

/// Chooses for a question about the worker: nothing is tried, and nothing noted.
pub(crate) fn for_question(state: &StateDir) -> Choice {
    let found = known(state);
    let Decision { slot, .. } = found.decide(&machine_start(), AtWork::GettingOn, None);
    Choice { programs: programs(state, &found, slot), fall_back: None }
}

impl Choice {
    /// The launcher on trial could not be started.
    pub(crate) fn note_fall_back(&self) {
        if let Some((state, note)) = &self.fall_back {
            // Where it cannot be noted it is found out anew by the next cycle.
            let _ = write(state, note);
        }
    }
}

/// The state, and where it cannot be read what the link to the slot in force says.
fn known(state: &StateDir) -> BootState {
    let linked = || fs::read_link(state.in_force()).ok()?.file_name()?.to_str().map(ToOwned::to_owned);
    read(state).unwrap_or_else(|| BootState::good(linked()))
}

/// The launchers of the chosen slot and the last good one, without that of a good one that came to nothing too often.
fn programs(state: &StateDir, found: &BootState, slot: Option<String>) -> Vec<PathBuf> {
    let is_given_up = starts(state) >= STARTS;
    let slots = [slot, found.good.clone()].into_iter().filter(|slot| !(is_given_up && *slot == found.good)).flatten();
    let mut programs: Vec<PathBuf> = slots.map(|slot| state.slot_program(&slot, LAUNCHER)).collect();
    programs.dedup();
    programs.retain(|program| program.is_file());
    programs
}

/// How often in a row the last good launcher came to nothing; a file that cannot be read says nothing against it.
fn starts(state: &StateDir) -> u32 {
    fs::read_to_string(state.boot_starts()).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn read(state: &StateDir) -> Option<BootState> {
    BootState::parse(&fs::read_to_string(state.boot_state()).ok()?)
}

fn write(state: &StateDir, content: &BootState) -> io::Result<()> {
    let beside = state.root().join(".boot.state.new");
    let mut file = File::create(&beside)?;
    file.write_all(content.to_text().as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, state.boot_state())?;
    File::open(state.root())?.sync_all()
}

/// The launcher that holds the lock, by what is written into it: boot never touches the lock itself.
fn at_work(state: &StateDir, stuck_after: Duration) -> AtWork {
    let holder = fs::read_to_string(state.lock()).ok().and_then(|text| Holder::parse(&text));
    let Some(holder) = holder.filter(|holder| holder_of(&holder.pid.to_string()) == Some(*holder)) else {
        return AtWork::Nobody;
    };
    let progress = fs::read_to_string(state.progress()).ok().and_then(|text| text.trim().parse().ok());
    match since_start().map(|now| holder::judge(now, progress, stuck_after)) {
        Some(Verdict::Stuck(_)) if holder.pid != std::process::id() => AtWork::Stuck,
        // A launcher that becomes another one through boot holds the lock no more.
        _ if holder.pid == std::process::id() => AtWork::Nobody,
        _ => AtWork::GettingOn,
    }
}

fn holder_of(process: &str) -> Option<Holder> {
    Holder::from_proc_stat(&fs::read_to_string(Path::new("/proc").join(process).join("stat")).ok()?)
}

fn machine_start() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Milliseconds since the machine's start, time asleep included.
fn since_start() -> Option<u64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    u64::try_from(Duration::try_from_secs_f64(seconds).ok()?.as_millis()).ok()
}
