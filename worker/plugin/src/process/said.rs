//! What a program says on standard error: read on a thread of its own as it comes, so that the program never waits for it, and
//! logged as far as a log can bear. The last lines are kept, to be quoted when the program fails.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::process::ChildStderr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Stopwatch;

/// A line is cut after so many bytes.
const LONGEST_LINE: usize = 500;
/// So many lines are logged in a [`PERIOD`]; how many were not is said when it is over.
const MOST_LINES: u32 = 50;
const PERIOD: Duration = Duration::from_secs(10);
/// So many of the last lines are kept.
const KEPT: usize = 3;
/// How long an ended program's last words may take to come.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The last lines of a program's standard error.
pub(super) struct Said {
    last: Arc<Mutex<VecDeque<String>>>,
    /// Closed when everything is read.
    over: Receiver<()>,
}

impl Said {
    /// Begins to listen to the program of `plugin`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn listen(plugin: &str, stderr: ChildStderr) -> io::Result<Said> {
        let last = Arc::<Mutex<VecDeque<String>>>::default();
        let (reading, over) = channel();
        let (plugin, kept) = (plugin.to_owned(), Arc::clone(&last));
        let listen = move || read(stderr, &plugin, &kept, &reading);
        std::thread::Builder::new().name("plugin's stderr".to_owned()).spawn(listen)?;
        Ok(Said { last, over })
    }

    /// The last lines, once the program has ended.
    pub(super) fn last_words(&self) -> String {
        // What holds the other end outlives everything that could be ended; then these are not the last words.
        let _ = self.over.recv_timeout(LAST_WORDS);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }
}

/// Reads to the end. The sender is dropped then, and closes the channel.
fn read(mut stderr: ChildStderr, plugin: &str, kept: &Mutex<VecDeque<String>>, _reading: &Sender<()>) {
    let (mut lines, mut allowance) = (Lines::default(), Allowance::default());
    let clock = Stopwatch::start();
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = stderr.read(&mut buffer) {
        let now = clock.elapsed();
        lines.feed(&buffer[..read], |line| {
            let verdict = allowance.ask(now);
            if let Some(dropped) = verdict.dropped {
                tracing::info!(plugin, "plugin {plugin} said {dropped} lines more");
            }
            if verdict.may_log {
                tracing::info!(plugin, "plugin {plugin} says: {line}");
            }
            let mut last = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == KEPT {
                last.pop_front();
            }
            last.push_back(line.to_owned());
        });
    }
}

/// Cuts what comes into lines that a log can bear.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = LONGEST_LINE - self.0.len();
            self.0.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < part.len() {
                let line: String =
                    String::from_utf8_lossy(&self.0).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                self.0.clear();
                if !line.trim().is_empty() {
                    take(line.trim_end());
                }
            }
        }
    }
}

/// How many lines are logged.
#[derive(Default)]
struct Allowance {
    since: Duration,
    lines: u32,
}

struct MayLog {
    may_log: bool,
    /// So many lines were not logged in the period that is over.
    dropped: Option<u32>,
}

impl Allowance {
    /// A line comes at `now`.
    fn ask(&mut self, now: Duration) -> MayLog {
        let mut dropped = None;
        if now.saturating_sub(self.since) >= PERIOD {
            dropped = Some(self.lines.saturating_sub(MOST_LINES)).filter(|dropped| *dropped > 0);
            *self = Allowance { since: now, lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        MayLog { may_log: self.lines <= MOST_LINES, dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_cut_into_lines_however_it_comes_and_a_long_one_is_cut_off() {
        let mut lines = Lines::default();
        let mut taken = Vec::new();
        for part in [&b"a b"[..], b"c\n\n\x1b[31mred\xff\n", &[b'x'; 3 * LONGEST_LINE], b"\nend\n", b"no end"] {
            lines.feed(part, |line| taken.push(line.to_owned()));
        }
        assert_eq!(
            taken,
            ["a bc".to_owned(), " [31mred\u{fffd}".to_owned(), "x".repeat(LONGEST_LINE), "end".to_owned()]
        );
    }

    #[test]
    fn a_chatty_program_is_logged_so_often_and_what_was_left_out_is_counted() {
        let mut allowance = Allowance::default();
        let logged = (0..1_000).filter(|_| allowance.ask(Duration::ZERO).may_log).count();
        assert_eq!(logged, MOST_LINES as usize);
        let next = allowance.ask(PERIOD);
        assert_eq!((next.may_log, next.dropped), (true, Some(1_000 - MOST_LINES)));
    }
}
