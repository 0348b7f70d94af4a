//! The mark a second time, where a program that throws its environment away does not reach by that: in a limit that nobody
//! uses.
//!
//! `RLIMIT_RTTIME` bounds how many microseconds a process may run in real-time scheduling without a pause. It is inherited
//! over fork and exec like the environment, and only a privileged process may raise its hard limit. One of tens of
//! thousands of years changes nothing for anybody, and which number it is says whose the process is. A program that lowers
//! the limit on purpose sheds it; renaming itself, a new session, an empty environment and closed files do not.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, setrlimit};
use sha2::{Digest, Sha256};

use crate::MARK;

/// Larger than any limit somebody means, and less than no limit.
const FROM: u64 = 1 << 60;

/// Has a command start its program under a mark: in the environment, and as a limit where the system lets it be set (it
/// does, unless somebody set a lower one before).
pub fn mark(command: &mut Command, mark: &str) {
    command.env(MARK, mark);
    let number = number(mark);
    let brand = move || {
        let limit = Rlimit { current: Some(number), maximum: Some(number) };
        // Without it the environment's mark has to do.
        let _ = setrlimit(Resource::Rttime, limit);
        Ok(())
    };
    #[expect(unsafe_code, reason = "a limit has to be there before the program's first instruction")]
    // SAFETY: between fork and exec nothing is done but one system call: no allocation, no lock.
    unsafe {
        command.pre_exec(brand);
    }
}

/// The limit that stands for a mark.
pub(crate) fn number(mark: &str) -> u64 {
    let digest = Sha256::digest(mark.as_bytes());
    let first = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    FROM | (first % FROM)
}

/// The hard limit that `/proc/PID/limits` tells; `None` when there is none.
pub(crate) fn worn(limits: &str) -> Option<u64> {
    let values = limits.lines().find_map(|line| line.strip_prefix("Max realtime timeout"))?;
    values.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_has_a_limit_of_its_own_that_bounds_nobody() {
        assert_ne!(number("a"), number("b"));
        let years = number("a") / 1_000_000 / 3600 / 24 / 365;
        assert!((36_000..74_000).contains(&years), "{years}");
    }

    #[test]
    fn the_limit_is_read_as_the_kernel_writes_it() {
        let line =
            |values| format!("Max realtime priority     0    0    \nMax realtime timeout      {values} us        \n");
        assert_eq!(worn(&line("5                    7                   ")), Some(7));
        assert_eq!(worn(&line("unlimited            unlimited           ")), None);
        assert_eq!(worn(""), None);
    }
}
