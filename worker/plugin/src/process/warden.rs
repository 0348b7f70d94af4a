//! Looks now and then at what a program's processes take together, which no limit of the kernel's counts, and ends the program
//! when it is too much.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::life::{StopSwitch, others, roots};
use crate::sandbox::Limits;

/// The time between two looks while the program works.
const AT_WORK: Duration = Duration::from_millis(250);
/// The time between two looks while nobody asks it anything.
const AT_REST: Duration = Duration::from_secs(5);
/// What a file costs, however small it is.
const LEAST_FILE: u64 = 4096;

/// Watches over a program until it is dropped.
pub(super) struct Warden {
    to_watch: Sender<()>,
    is_at_work: Arc<AtomicBool>,
    /// The next look is far.
    sleeps: Arc<AtomicBool>,
}

/// What a program's processes take, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    memory: u64,
    scratch: u64,
}

impl Warden {
    /// Begins to watch over the program of a number, its limits and its scratch folder (where that is on disk), which is
    /// ended by a switch.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn over(
        (number, limits, scratch, stop): (u32, Limits, Option<PathBuf>, Arc<StopSwitch>),
    ) -> io::Result<Warden> {
        let (to_watch, woken) = channel();
        let (is_at_work, sleeps) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (at_work, asleep) = (Arc::clone(&is_at_work), Arc::clone(&sleeps));
        std::thread::Builder::new().name("plugin's warden".to_owned()).spawn(move || {
            while pause(&woken, &at_work, &asleep) {
                let taken = Taken {
                    memory: memory_of(number),
                    scratch: scratch.as_deref().map_or(0, |s| size_of(s, limits.scratch)),
                };
                if let Some(verdict) = judge(taken, limits) {
                    return stop.condemn(number, verdict);
                }
            }
        })?;
        Ok(Warden { to_watch, is_at_work, sleeps })
    }

    /// The program is asked something.
    pub(super) fn wake(&self) {
        self.is_at_work.store(true, Ordering::Relaxed);
        if self.sleeps.load(Ordering::Relaxed) {
            // One that has condemned its program is gone.
            let _ = self.to_watch.send(());
        }
    }

    /// The program has answered.
    pub(super) fn rest(&self) {
        self.is_at_work.store(false, Ordering::Relaxed);
    }
}

/// Waits for the next look; false when there is none, because the program is no more.
fn pause(woken: &Receiver<()>, is_at_work: &AtomicBool, sleeps: &AtomicBool) -> bool {
    let is_at_work = is_at_work.load(Ordering::Relaxed);
    sleeps.store(!is_at_work, Ordering::Relaxed);
    let waited = woken.recv_timeout(if is_at_work { AT_WORK } else { AT_REST });
    !matches!(waited, Err(RecvTimeoutError::Disconnected))
}

/// Why the program has to be ended; `None` while it takes no more than it may.
fn judge(taken: Taken, limits: Limits) -> Option<String> {
    let mega = |bytes: u64| bytes / 1_000_000;
    if taken.memory > limits.memory {
        return Some(format!(
            "its processes take {} MB of memory together, and may take {} (memory under [limits])",
            mega(taken.memory),
            mega(limits.memory)
        ));
    }
    (taken.scratch > limits.scratch)
        .then(|| format!("it has more than {} MB in its scratch folder", mega(limits.scratch)))
}

/// Memory that nobody else shares with the program's processes.
pub(super) fn memory_of(number: u32) -> u64 {
    let others = others(number);
    let members = nightshift_kin::members(&roots(number, &others)).unwrap_or_default();
    members
        .iter()
        .map(|(pid, _)| fs::read_to_string(format!("/proc/{pid}/status")).map_or(0, |text| resident(&text)))
        .sum()
}

/// The memory of a process in bytes, from the text of its `/proc/PID/status`: its own, shared without a file, swapped out.
fn resident(status: &str) -> u64 {
    let kilobytes = |line: &str| line.split_once(':')?.1.trim().strip_suffix("kB")?.trim().parse::<u64>().ok();
    let counts = |line: &&str| ["RssAnon:", "RssShmem:", "VmSwap:"].iter().any(|name| line.starts_with(name));
    status.lines().filter(counts).filter_map(kilobytes).sum::<u64>() * 1024
}

/// What a folder holds, in bytes of disk; it is not looked at any further once it is more than `most`.
fn size_of(folder: &Path, most: u64) -> u64 {
    let mut size = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let Ok(entry_is) = entry.metadata() else { continue };
            size += (entry_is.blocks() * 512).max(LEAST_FILE);
            if entry_is.is_dir() {
                folders.push(entry.path());
            }
            if size > most {
                return size;
            }
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ended_for_what_its_processes_take_together() {
        let limits = Limits { memory: 512_000_000, scratch: 256_000_000 };
        assert_eq!(judge(Taken { memory: 512_000_000, scratch: 256_000_000 }, limits), None);
        let much = judge(Taken { memory: 600_000_000, scratch: 0 }, limits).expect("too much");
        assert!(much.contains("600 MB of memory together, and may take 512"), "{much}");
        assert!(judge(Taken { memory: 0, scratch: 300_000_000 }, limits).is_some_and(|why| why.contains("scratch")));
    }

    #[test]
    fn memory_of_a_process_is_what_it_does_not_share_by_files() {
        let status =
            "Name:\tx\nVmRSS:\t 900 kB\nRssAnon:\t 100 kB\nRssFile:\t 700 kB\nRssShmem:\t 20 kB\nVmSwap:\t 3 kB\n";
        assert_eq!(resident(status), 123 * 1024);
        assert_eq!(resident("Name:\tkthread\n"), 0);
    }

    #[test]
    fn many_small_files_are_as_much_as_one_large_one() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("inner")).expect("a folder");
        for number in 0..10 {
            fs::write(folder.path().join(format!("inner/{number}")), "").expect("a file");
        }
        assert_eq!(size_of(folder.path(), u64::MAX), 11 * LEAST_FILE);
        assert_eq!(size_of(folder.path(), LEAST_FILE), 2 * LEAST_FILE);
    }
}
