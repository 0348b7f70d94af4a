//! Who holds a lock, written into the lock file by its holder, and when a holder counts as stuck.
//!
//! A process is named by its number and its start time, because Linux uses numbers again.

use std::time::Duration;

/// A launcher that got nowhere for this long is ended by the next cycle, unless `worker.toml` names another time (`stuck_after`).
pub const STUCK_AFTER: Duration = Duration::from_secs(15 * 60);

/// A process of this machine, since its last start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Process number.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks between the machine's start and the process's.
    pub start_ticks: u64,
}

/// What to do about a lock that another process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works; this cycle has nothing to do.
    Working,
    /// It got nowhere for too long; end it. Holds how long it has been silent.
    Stuck(Duration),
}

impl Holder {
    /// The content of a lock file.
    pub fn to_text(self) -> String {
        format!("{} {}\n", self.pid, self.start_ticks)
    }

    /// Reads a lock file's content; `None` when it is empty or torn.
    pub fn parse(text: &str) -> Option<Holder> {
        let mut words = text.split_whitespace();
        let holder = Holder { pid: words.next()?.parse().ok()?, start_ticks: words.next()?.parse().ok()? };
        words.next().is_none().then_some(holder)
    }

    /// Reads the holder's name out of `/proc/PID/stat`; `None` when `stat` is not such a file.
    pub fn from_proc_stat(stat: &str) -> Option<Holder> {
        let pid = stat.split_whitespace().next()?.parse().ok()?;
        // The command's name stands in brackets and may hold blanks and brackets itself.
        let after_name = stat.rsplit_once(')')?.1;
        let start_ticks = after_name.split_whitespace().nth(19)?.parse().ok()?;
        Some(Holder { pid, start_ticks })
    }
}

/// Judges a holder by its last progress mark; both times in milliseconds since the machine's start.
/// A mark from before a restart (`progress` later than `now`) says nothing and counts as just made.
pub fn judge(now: u64, progress: Option<u64>, stuck_after: Duration) -> Verdict {
    match progress.and_then(|progress| now.checked_sub(progress)).map(Duration::from_millis) {
        Some(silent) if silent >= stuck_after => Verdict::Stuck(silent),
        _ => Verdict::Working,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_read_as_it_was_written() {
        let holder = Holder { pid: 17, start_ticks: 99 };
        assert_eq!(Holder::parse(&holder.to_text()), Some(holder));
        assert_eq!(Holder::parse("17"), None);
        assert_eq!(Holder::parse(""), None);
    }

    #[test]
    fn a_process_name_with_brackets_does_not_hide_the_start_time() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1000 10 18446744073709551615";
        assert_eq!(Holder::from_proc_stat(stat), Some(Holder { pid: 42, start_ticks: 777 }));
    }

    #[test]
    fn a_lock_holder_without_progress_for_a_quarter_of_an_hour_is_stuck() {
        let quarter = 15 * 60 * 1000;
        assert_eq!(judge(quarter - 1, Some(0), STUCK_AFTER), Verdict::Working);
        assert_eq!(judge(quarter, Some(0), STUCK_AFTER), Verdict::Stuck(STUCK_AFTER));
        assert_eq!(judge(5, None, STUCK_AFTER), Verdict::Working);
        assert_eq!(judge(5, Some(quarter), STUCK_AFTER), Verdict::Working);
    }
}
