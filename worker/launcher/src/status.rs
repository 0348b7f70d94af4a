//! `STATE/status.json`, rewritten after each change, and the screen that `nightshift-worker status` makes of it.

use std::fs;
use std::io;

use jiff::{Timestamp, Unit};
use nightshift_contract::layout::StateDir;
use nightshift_wire::{Report, StepReport, WorkerState};
use serde::{Deserialize, Serialize};

use crate::swap::{self, Keep};

/// The content of `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// When it was written.
    pub at: Timestamp,
    /// The exit code of the cycle that wrote it; absent while that cycle runs.
    pub exit: Option<u8>,
    /// What the cycle found.
    #[serde(flatten)]
    pub report: Report,
}

/// Writes the status. After a power cut an older one may be found, or none; the next cycle writes it again.
pub fn write(state: &StateDir, status: &Status) -> io::Result<()> {
    swap::replace(&state.status(), &serde_json::to_vec_pretty(status)?, Keep::UntilPowerCut)
}

/// Reads the status; `None` when no cycle has written one, or a power cut took it.
///
/// # Errors
/// When the file cannot be read.
pub fn read(state: &StateDir) -> io::Result<Option<Status>> {
    match fs::read(state.status()) {
        Ok(content) => Ok(serde_json::from_slice(&content).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The status as people read it. `running` is the launcher at work right now, `stop_file` the reason in the local stop
/// file, which may be newer than the status.
pub fn screen(status: &Status, running: Option<u32>, stop_file: Option<&str>, now: Timestamp) -> String {
    let report = &status.report;
    let state = match (running, report.state) {
        (None, WorkerState::Working | WorkerState::Waiting) => "not running",
        (_, state) => word(state),
    };
    let reason = if report.reason.is_empty() { String::new() } else { format!(": {}", report.reason) };
    let cycle = match (running, status.exit) {
        (Some(pid), _) => format!("a cycle is running (process {pid})"),
        (None, Some(exit)) => format!("the last cycle ended with {exit}"),
        (None, None) => "the last cycle did not come to its end; the next one goes on by itself".to_owned(),
    };
    let release = if report.release.is_empty() { "none yet" } else { &report.release };
    let mut screen = format!(
        "worker   {} on {}\nstate    {state}{reason}\nrelease  {release}\nas of    {}, {}; {cycle}\n",
        report.worker,
        report.host,
        to_the_second(status.at),
        age(status.at, now),
    );
    if let Some(reason) = stop_file.filter(|_| report.state != WorkerState::Stopped) {
        screen += &format!("stop     a stop file stands in the state folder: {reason}\n");
    }
    for refused in &report.refused {
        screen += &format!("refused  {refused}\n");
    }
    screen + "\n" + &steps(&report.steps)
}

/// Steps as people read them, one a line, and below each what to do about it.
pub fn steps(steps: &[StepReport]) -> String {
    let width = steps.iter().map(|step| step.step.len()).max().unwrap_or(0);
    let mut lines = String::new();
    for step in steps {
        let mark = if step.ok { "ok" } else { "!!" };
        lines += &format!("{:width$}  {mark}  {}\n", step.step, step.found);
        if !step.next.is_empty() {
            lines += &format!("{:width$}      to do: {}\n", "", step.next);
        }
    }
    lines
}

/// A moment as people read it.
pub fn to_the_second(moment: Timestamp) -> Timestamp {
    moment.round(Unit::Second).unwrap_or(moment)
}

fn word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Working => "working",
        WorkerState::Waiting => "waiting",
        WorkerState::Resting => "resting",
        WorkerState::Stopped => "stopped",
        WorkerState::Blocked => "blocked",
    }
}

fn age(then: Timestamp, now: Timestamp) -> String {
    match now.duration_since(then).as_secs() {
        ..0 => "by a clock that has gone back since".to_owned(),
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn example() -> Status {
        let step = |step: &str, ok, found: &str, next: &str| StepReport {
            step: step.into(),
            ok,
            found: found.into(),
            next: next.into(),
        };
        Status {
            at: moment("2026-01-05T12:00:00.25Z"),
            exit: None,
            report: Report {
                worker: "w-1".into(),
                host: "pc-17".into(),
                state: WorkerState::Working,
                reason: "job 7 (name-count), 250 of 1000 records".into(),
                release: "v1.0.0".into(),
                refused: vec!["v1.1.0: not signed".into()],
                trial: None,
                replica: None,
                spool: nightshift_wire::Spool::default(),
                steps: vec![
                    step("look", true, "no stop flag", ""),
                    step("sync", false, "v1.1.0 was refused", "sign it"),
                ],
            },
        }
    }

    #[test]
    fn a_running_cycle_says_in_plain_words_what_each_step_found_and_what_to_do() {
        let screen = screen(&example(), Some(42), None, moment("2026-01-05T12:00:09Z"));
        assert_eq!(
            screen,
            "worker   w-1 on pc-17\n\
             state    working: job 7 (name-count), 250 of 1000 records\n\
             release  v1.0.0\n\
             as of    2026-01-05T12:00:00Z, 8 s ago; a cycle is running (process 42)\n\
             refused  v1.1.0: not signed\n\
             \n\
             look  ok  no stop flag\n\
             sync  !!  v1.1.0 was refused\n\
             \u{20}         to do: sign it\n"
        );
    }

    #[test]
    fn a_killed_cycle_is_not_shown_as_working() {
        let screen = screen(&example(), None, Some("cleaning"), moment("2026-01-05T13:00:00Z"));
        assert!(screen.contains("state    not running: job 7"), "{screen}");
        assert!(screen.contains("59 min ago; the last cycle did not come to its end"), "{screen}");
        assert!(screen.contains("stop     a stop file stands in the state folder: cleaning"), "{screen}");
    }

    #[test]
    fn a_status_is_read_as_it_was_written_and_a_torn_one_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        assert_eq!(read(&state).expect("readable"), None);
        write(&state, &example()).expect("writable");
        assert_eq!(read(&state).expect("readable"), Some(example()));
        fs::write(state.status(), "{").expect("writable");
        assert_eq!(read(&state).expect("readable"), None);
    }
}
