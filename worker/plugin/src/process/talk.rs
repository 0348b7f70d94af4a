//! The conversation with a program: a line there, a line back, on one thread.
//!
//! Both pipes are used as far as they go without waiting: a program may write while it is written to, and one that says more
//! than it was asked for waits until somebody reads it. An answer is measured while it is read.

use std::io::{self, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{ioctl_fionbio, ioctl_fionread};
use rustix::pipe::fcntl_setpipe_size;

use crate::clock::Stopwatch;

/// So much goes through a pipe without both sides taking turns, where the kernel allows it.
const PIPE: usize = 1 << 20;
/// Memory for an answer that is kept from one block to the next, in bytes.
const KEPT: usize = 1 << 20;
/// How long one may take to end, or to answer all the same, that closed its standard input.
const CLOSED: Duration = Duration::from_secs(1);

/// The two ends of a conversation.
pub(super) struct Talk {
    stdin: ChildStdin,
    stdout: ChildStdout,
    spare: Vec<u8>,
    /// Bytes of the last line that were written.
    told: usize,
}

/// What can be done without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ready {
    to_write: bool,
    to_read: bool,
    /// Nobody is at the other end any more.
    is_over: bool,
}

impl Talk {
    /// A conversation over a program's standard streams.
    ///
    /// # Errors
    /// When the kernel refuses to let them not wait.
    pub(super) fn over(stdin: ChildStdin, stdout: ChildStdout) -> io::Result<Talk> {
        ioctl_fionbio(&stdin, true)?;
        ioctl_fionbio(&stdout, true)?;
        // Faster with larger pipes, right without.
        let _ = fcntl_setpipe_size(&stdin, PIPE);
        let _ = fcntl_setpipe_size(&stdout, PIPE);
        Ok(Talk { stdin, stdout, spare: Vec::new(), told: 0 })
    }

    /// Whether the program has closed its side without a word.
    pub(super) fn has_ended(&self) -> bool {
        self.ready(false, Some(Duration::ZERO)).is_ok_and(|ready| ready.is_over && !ready.to_read)
    }

    /// Whether the program has ended and read nothing of the line that it was told last: nothing of that ended it. What was
    /// written stays in the pipe as long as this end of it is open.
    pub(super) fn has_ended_unasked(&self) -> bool {
        self.has_ended() && ioctl_fionread(&self.stdin).is_ok_and(|unread| unread >= self.told as u64)
    }

    /// Writes `line` and reads the one line that answers it, without its end.
    ///
    /// # Errors
    /// Why there is no such line, in words.
    pub(super) fn ask(&mut self, line: &[u8], most: usize, time: Duration) -> Result<Vec<u8>, String> {
        let unseen = |error: io::Error| format!("waiting for it: {error}");
        let timer = Stopwatch::start();
        if self.ready(false, Some(Duration::ZERO)).map_err(unseen)?.to_read {
            return Err("it said something before it was asked".to_owned());
        }
        let mut answer = std::mem::take(&mut self.spare);
        answer.clear();
        let (mut written, mut closed_at) = (0, None);
        self.told = 0;
        loop {
            let limit = closed_at.map_or(time, |at: Duration| time.min(at + CLOSED));
            let Some(left) = limit.checked_sub(timer.elapsed()).filter(|left| !left.is_zero()) else {
                return Err(match closed_at {
                    Some(_) => "it closed its standard input".to_owned(),
                    None if answer.is_empty() => format!(
                        "it was not done after {} s and had said nothing; where it answers, see that it flushes its output",
                        time.as_secs_f32()
                    ),
                    None => format!("it was not done after {} s", time.as_secs_f32()),
                });
            };
            let writing = written < line.len() && closed_at.is_none();
            let ready = self.ready(writing, Some(left)).map_err(unseen)?;
            if ready.to_write && writing {
                match self.stdin.write(&line[written..]) {
                    Ok(more) => {
                        written += more;
                        self.told = written;
                    }
                    Err(error) if is_not_now(&error) => {}
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => closed_at = Some(timer.elapsed()),
                    Err(error) => return Err(format!("writing the block to it: {error}")),
                }
            }
            if ready.to_read || ready.is_over {
                let before = answer.len();
                let room = (most + 1).saturating_sub(before) as u64;
                let is_over = match self.stdout.by_ref().take(room).read_to_end(&mut answer) {
                    Ok(_) => answer.len() <= most,
                    Err(error) if is_not_now(&error) => false,
                    Err(error) => return Err(format!("reading its answer: {error}")),
                };
                if let Some(end) = answer[before..].iter().position(|byte| *byte == b'\n') {
                    return match (before + end + 1 == answer.len(), written == line.len()) {
                        (true, true) => {
                            answer.pop();
                            Ok(answer)
                        }
                        (_, false) => Err("it answered without reading the block".to_owned()),
                        (false, _) => Err("it answered with more than one line".to_owned()),
                    };
                }
                if answer.len() > most {
                    return Err(format!("it answered with more than {} MiB", most.div_ceil(1 << 20)));
                }
                if is_over {
                    return Err("it ended instead of answering".to_owned());
                }
            }
        }
    }

    /// Takes an answer's memory back, to be used again.
    pub(super) fn take_back(&mut self, line: Vec<u8>) {
        if line.capacity() <= KEPT {
            self.spare = line;
        }
    }

    /// Waits until something can be done, for `time` at most.
    fn ready(&self, writing: bool, time: Option<Duration>) -> io::Result<Ready> {
        let out = if writing { PollFlags::OUT } else { PollFlags::empty() };
        let mut both = [PollFd::new(&self.stdout, PollFlags::IN), PollFd::new(&self.stdin, out)];
        // A closed standard input that nobody writes to would be ready at once, again and again.
        let asked = if writing { &mut both[..] } else { &mut both[..1] };
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        match poll(asked, time.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [from, to] = &both;
        Ok(Ready {
            to_write: writing && !to.revents().is_empty(),
            to_read: from.revents().contains(PollFlags::IN),
            is_over: from.revents().contains(PollFlags::HUP),
        })
    }
}

fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
