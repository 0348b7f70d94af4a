//! A program's life: started in its sandbox, ended with everything it started.
//!
//! Started on the thread that talks to it: the program ends when that thread does, because then nobody would end it.
#![allow(clippy::disallowed_methods, reason = "starts programs, which `Running` ends")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightshift_kin::{MARK, Roots};

use super::said::Said;
use super::talk::Talk;
use super::warden::{Warden, memory_of};
use crate::sandbox::{Cell, Limits, Network, Place, Purpose, Sandbox, Shown};

/// How long an ended program's processes may take to be gone.
const ENDED_WITHIN: Duration = Duration::from_secs(30);
/// What a program may keep in its scratch folder, in bytes.
const SCRATCH: u64 = 256 << 20;
/// Where programs look for others.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// The programs that run now. While it is locked, none is started or waited for.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Does something with the numbers of the processes that this crate started and waits for, while none is added.
pub fn with_running<T>(work: impl FnOnce(&[u32]) -> T) -> T {
    let running = lock(&RUNNING);
    work(&running.iter().copied().collect::<Vec<_>>())
}

/// Runs a process to its end that does nothing but say something.
///
/// # Errors
/// When it cannot be started, or its end not be seen.
pub(crate) fn heard(command: &mut Command) -> io::Result<Output> {
    let mut all = lock(&RUNNING);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let number = child.id();
    all.insert(number);
    drop(all);
    let output = child.wait_with_output();
    lock(&RUNNING).remove(&number);
    output
}

/// What is started, and how it is locked in.
pub(super) struct Program {
    pub(super) plugin: String,
    pub(super) command: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) tables: BTreeMap<String, PathBuf>,
    pub(super) network: Network,
    /// Bytes of memory.
    pub(super) memory: u64,
    pub(super) sandbox: Sandbox,
    pub(super) mark: Option<String>,
}

/// What stops the running program, from any thread.
#[derive(Default)]
pub(super) struct StopSwitch(Mutex<Switch>);

#[derive(Default)]
struct Switch {
    /// The number of the running program, until its end is collected.
    number: Option<u32>,
    /// The block is broken off; holds until the next one.
    is_stopped: bool,
    /// Why the running program was ended by its warden.
    verdict: Option<String>,
}

/// A running program.
pub(super) struct Running {
    child: Child,
    talk: Talk,
    said: Said,
    warden: Warden,
    stop: Arc<StopSwitch>,
    place: Place,
}

impl Program {
    /// Starts the program, to be stopped by `stop`.
    ///
    /// # Errors
    /// When its place cannot be made or the sandbox not be started. What the sandbox meets itself, or a program that cannot
    /// be started, is told by the program's end.
    pub(super) fn start(&self, stop: &Arc<StopSwitch>) -> io::Result<Running> {
        let place = Place::prepare(&self.sandbox, &self.folder, &self.tables)?;
        let cell = self.cell(&place);
        let command = &mut self.sandbox.command(&cell, &self.environment(&place));
        // Until the number is noted nobody else may collect the child's end.
        let mut all = lock(&RUNNING);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let number = child.id();
        all.insert(number);
        drop(all);
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let made = match streams {
            (Some(stdin), Some(stdout), Some(stderr)) => {
                let watched = (number, cell.limits, place.on_disk.clone(), Arc::clone(stop));
                Talk::over(stdin, stdout)
                    .and_then(|talk| Ok((talk, Said::listen(&self.plugin, stderr)?, Warden::over(watched)?)))
            }
            _ => Err(io::Error::other("it was started without its pipes")),
        };
        let begun = stop.begin(number);
        match made {
            Ok((talk, said, warden)) => {
                let running = Running { child, talk, said, warden, stop: Arc::clone(stop), place };
                if begun { Ok(running) } else { Err(io::ErrorKind::Interrupted.into()) }
            }
            Err(error) => {
                stop.collect(&mut child);
                Err(error)
            }
        }
    }

    fn cell(&self, place: &Place) -> Cell {
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        let mut readable = place.readable.clone();
        // A name without a slash is looked for where programs are.
        let program = match program.contains('/') {
            true if program.starts_with('/') => {
                readable.push(Shown::there(program.into()));
                program.into()
            }
            true => place.folder.join(program),
            false => program.into(),
        };
        let bare = self.sandbox.bare_cell();
        Cell {
            purpose: Purpose::Run { program, arguments: self.command.get(1..).unwrap_or_default().to_vec() },
            folder: place.folder.clone(),
            readable,
            scratch: place.on_disk.clone().unwrap_or_default(),
            network: self.network.clone(),
            limits: Limits { memory: self.memory, scratch: SCRATCH },
            bubblewrap: self.sandbox.bubblewrap(),
            ..bare
        }
    }

    fn environment(&self, place: &Place) -> Vec<(&'static str, OsString)> {
        let mut environment = vec![
            ("PATH", PATH.into()),
            ("LANG", "C.UTF-8".into()),
            ("HOME", place.scratch.clone().into()),
            ("TMPDIR", place.scratch.clone().into()),
        ];
        environment.extend(self.mark.iter().map(|mark| (MARK, mark.into())));
        environment
    }
}

impl StopSwitch {
    /// Ends the running program and has every run fail until [`StopSwitch::forget`].
    pub(super) fn stop(&self) {
        let mut switch = lock(&self.0);
        switch.is_stopped = true;
        // Its end is collected by the thread that talks to it, which waits for this lock first.
        if let Some(number) = switch.number {
            end_all(number);
        }
    }

    /// Takes an earlier stop back.
    pub(super) fn forget(&self) {
        lock(&self.0).is_stopped = false;
    }

    /// Whether the block is broken off.
    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.0).is_stopped
    }

    /// Ends the program `number`, if it still runs, and keeps why.
    pub(super) fn condemn(&self, number: u32, verdict: String) {
        let mut switch = lock(&self.0);
        if switch.number == Some(number) {
            switch.verdict.get_or_insert(verdict);
            end_all(number);
        }
    }

    /// A program runs; false when it was stopped before it did.
    fn begin(&self, number: u32) -> bool {
        let mut switch = lock(&self.0);
        switch.number = Some(number);
        switch.verdict = None;
        !switch.is_stopped
    }

    /// Ends a program with everything it started and collects its end: how it ended, and the warden's verdict.
    fn collect(&self, child: &mut Child) -> (String, Option<String>) {
        let number = child.id();
        let mut switch = lock(&self.0);
        if switch.number.take() == Some(number) {
            end_all(number);
        }
        let mut all = lock(&RUNNING);
        // It was killed, or ended by itself.
        let status = child.wait();
        all.remove(&number);
        (status.map_or_else(|error| error.to_string(), |status| status.to_string()), switch.verdict.take())
    }
}

impl Running {
    /// Bytes of memory that the program and what it started take now.
    pub(super) fn memory(&self) -> u64 {
        memory_of(self.child.id())
    }

    /// The data tables, as the program sees them.
    pub(super) fn tables(&self) -> &BTreeMap<String, PathBuf> {
        &self.place.tables
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.talk.has_ended()
    }

    /// Whether it ended by itself before it read anything of the line that it was told last.
    pub(super) fn has_ended_unasked(&self) -> bool {
        self.talk.has_ended_unasked()
    }

    /// Tells the program a line and reads the one it answers, of `most` bytes within `time`.
    ///
    /// # Errors
    /// Why there is no such answer, in words; the program is to be ended then.
    pub(super) fn ask(&mut self, line: &[u8], most: usize, time: Duration) -> Result<Vec<u8>, String> {
        self.warden.wake();
        let answered = self.talk.ask(line, most, time);
        self.warden.rest();
        answered
    }

    /// Takes an answer's memory back, to be used again.
    pub(super) fn take_back(&mut self, line: Vec<u8>) {
        self.talk.take_back(line);
    }

    /// Ends the program, because of `why`: why in the end, with what it said last.
    pub(super) fn end_after(mut self, why: String) -> String {
        let before = self.talk.has_ended();
        let (status, verdict) = self.stop.collect(&mut self.child);
        let why = match verdict {
            Some(verdict) => verdict,
            None if before => format!("{why} ({status})"),
            None => why,
        };
        match self.said.last_words() {
            words if words.is_empty() => why,
            words => format!("{why}; it said last: {words}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if lock(&self.stop.0).number == Some(self.child.id()) {
            self.stop.collect(&mut self.child);
        }
    }
}

/// The family of the program `number`, where `others` run beside it.
pub(super) fn roots(number: u32, others: &[u32]) -> Roots<'_> {
    match nightshift_kin::adopts_orphans() {
        // What no other running program is above detached itself from one.
        true => Roots { below: Some(std::process::id()), spare: others, ..Roots::default() },
        false => Roots { leader: Some(number), ..Roots::default() },
    }
}

/// The programs that run beside `number`.
pub(super) fn others(number: u32) -> Vec<u32> {
    lock(&RUNNING).iter().copied().filter(|other| *other != number).collect()
}

/// Ends a program that was started here and not waited for, and everything below it.
fn end_all(number: u32) {
    let others = others(number);
    let waited_for: Vec<u32> = others.iter().copied().chain([number]).collect();
    // What survives here is the launcher's, which ends everything below the core.
    let _ = nightshift_kin::end(&roots(number, &others), &waited_for, ENDED_WITHIN);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
