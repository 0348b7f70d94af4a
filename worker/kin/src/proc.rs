//! What /proc says about the processes of this machine.

use std::fs;
use std::io::{self, Read};

use crate::family::Process;
use crate::{MARK, brand};

/// No more of an environment is looked through; the kernel's own limit for one is a few megabytes.
const MOST_ENVIRONMENT: u64 = 8 << 20;
/// A process's `stat` is shorter than this, in bytes: a name of 64 at most and some 50 numbers.
const LONGEST_STAT: usize = 4096;

/// Every process there is. Those whose environment holds the mark, or that have it as a limit, are marked, where one is named; none that started
/// before `since` is.
///
/// # Errors
/// When /proc cannot be read: then nobody knows what runs.
pub(crate) fn processes(mark: Option<&str>, since: u64) -> io::Result<Vec<Process>> {
    let mark = mark.map(|mark| (format!("{MARK}={mark}"), brand::number(mark)));
    let mut processes = Vec::new();
    let mut stat = [0; LONGEST_STAT];
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that ended meanwhile is not there any more. Read at once: programs are looked at several times a second.
        let read = fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut stat));
        let Some(mut process) = read.ok().and_then(|length| parse(&stat[..length])) else { continue };
        process.is_marked =
            process.start >= since && !process.is_zombie && mark.as_ref().is_some_and(|mark| wears(pid, mark));
        processes.push(process);
    }
    Ok(processes)
}

/// The process of this number, now.
pub(crate) fn process(pid: u32) -> Option<Process> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat`. The name, in parentheses, may hold parentheses, blanks and any bytes itself.
fn parse(stat: &[u8]) -> Option<Process> {
    let stat = String::from_utf8_lossy(stat);
    let (pid, rest) = stat.split_once(' ')?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let mut number = || fields.next()?.parse::<u32>().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // The start is field 22, and four after the state were taken: 3 to 6.
    let start = fields.nth(15)?.parse().ok()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent,
        group,
        session,
        start,
        is_zombie: matches!(state, "Z" | "X" | "x"),
        is_stopped: matches!(state, "T" | "t"),
        is_marked: false,
    })
}

/// Whether a process has a mark, in its environment or as a limit.
fn wears(pid: u32, (variable, limit): &(String, u64)) -> bool {
    let limits = || fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    has(pid, variable.as_bytes()) || brand::worn(&limits()) == Some(*limit)
}

/// Whether the environment of a process holds a variable. Another user's environment cannot be read, and is none of ours.
fn has(pid: u32, variable: &[u8]) -> bool {
    let mut environment = Vec::new();
    let read = fs::File::open(format!("/proc/{pid}/environ"))
        .and_then(|file| file.take(MOST_ENVIRONMENT).read_to_end(&mut environment));
    read.is_ok() && environment.split(|byte| *byte == 0).any(|one| one == variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_hides_nothing() {
        let rest = (7..=21).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let process = parse(format!("42 (a) Z 1 (b)) T 1 2 3 {rest} 999 23 24").as_bytes()).expect("readable");
        assert_eq!((process.pid, process.parent, process.group, process.session, process.start), (42, 1, 2, 3, 999));
        assert!(process.is_stopped && !process.is_zombie);
    }

    #[test]
    fn this_process_is_among_all() {
        let me = std::process::id();
        let all = processes(None, 0).expect("/proc is there");
        assert_eq!(all.iter().find(|process| process.pid == me).map(|me| me.start), process(me).map(|me| me.start));
    }
}
