//! The core as a child process: started, spoken to, listened to, and ended with everything it started.
//!
//! 1. Its end is seen on a pidfd before it is waited for. Until then the kernel gives its number to nobody else, so its
//!    process group can be killed without hitting a stranger.
//! 2. Then everything that descends from it is frozen, killed and looked for again, until none is left, however it hides
//!    (`nightshift-kin`): this process adopts orphans, and the core's mark is on everybody. The folders of its plugins'
//!    programs are removed. Only then is its end told.
//! 3. Dropping a [`CoreProcess`] does the same: no way out of the launcher leaves anything behind. A launcher that is
//!    itself killed closes the core's stdin, and the core ends itself with its descendants; what is left when both are
//!    killed is the next cycle's ([`crate::leftovers`]).
#![allow(clippy::disallowed_methods, reason = "the one file of the launcher that starts a process")]

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nightshift_contract::handoff::CoreArgs;
use nightshift_contract::message::{FromCore, ToCore};
use nightshift_kin::Roots;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::ENDED_WITHIN;
use crate::repository::chain;
use crate::{leftovers, process, watchdog};

/// How long a core may take to read a line; it is small, so a core that does not take it hangs.
const TELL_WITHIN: Duration = Duration::from_secs(1);
/// How long the last words of a dead core are listened to.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a core did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Did {
    /// It said something.
    Said(FromCore),
    /// It ended; its process group is gone.
    Ended(HowEnded),
}

/// How a core ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HowEnded {
    /// Its exit code; `None` when a signal ended it, or nobody knows.
    pub(super) code: Option<i32>,
    /// It did not end by itself.
    pub(super) by_somebody: bool,
}

/// A running core.
#[derive(Debug)]
pub(super) struct CoreProcess {
    child: Child,
    pid: u32,
    /// Comes back when the core has ended; `None` from then on.
    end: Option<JoinHandle<()>>,
    stdin: ChildStdin,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: Option<Lines<BufReader<ChildStderr>>>,
    /// The last line it said on stderr.
    last_words: Option<String>,
    mark: String,
    /// Ends its descendants on a thread of its own.
    sweep: Option<JoinHandle<Option<String>>>,
    /// That is done.
    is_swept: bool,
    /// What of its descendants could not be ended.
    survivors: Option<String>,
    gone: bool,
}

impl CoreProcess {
    /// Starts the core in a process group of its own, under `mark`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn start(program: &Path, args: &CoreArgs, mark: &str) -> io::Result<CoreProcess> {
        let mut command = Command::new(program);
        command
            .args(args.to_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        nightshift_kin::mark(command.as_std_mut(), mark);
        watchdog::keep_from(command.as_std_mut());
        let taken = || io::Error::other("the core was started without its pipes");
        // A release that is tried meanwhile ends what it started, and this is none of it.
        let (mut child, pid) = nightshift_kin::start_family(mark, || {
            let child = command.spawn()?;
            let pid = child.id().ok_or_else(taken)?;
            Ok(((child, pid), pid))
        })?;
        let stdin = child.stdin.take().ok_or_else(taken)?;
        let stdout = child.stdout.take().ok_or_else(taken)?;
        let stderr = child.stderr.take().ok_or_else(taken)?;
        Ok(CoreProcess {
            end: Some(tokio::task::spawn_blocking(process::child_to_watch(pid)?)),
            child,
            pid,
            stdin,
            stdout: Some(BufReader::new(stdout).lines()),
            stderr: Some(BufReader::new(stderr).lines()),
            last_words: None,
            mark: mark.to_owned(),
            sweep: None,
            is_swept: false,
            survivors: None,
            gone: false,
        })
    }

    /// Its process number.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells the core something. A core that cannot be told has ended or hangs; either is seen elsewhere.
    pub(super) async fn tell(&mut self, message: &ToCore) {
        let line = message.to_line();
        let told = tokio::time::timeout(TELL_WITHIN, async {
            self.stdin.write_all(line.as_bytes()).await?;
            self.stdin.flush().await
        });
        match told.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(pid = self.pid, "the core could not be told {:?}: {error}", message.for_log());
            }
            Err(_) => tracing::warn!(pid = self.pid, "the core does not read what it is told: {:?}", message.for_log()),
        }
    }

    /// Waits for the next thing the core does. May be cancelled and called again; not after it said `Ended`.
    pub(super) async fn next(&mut self) -> Did {
        loop {
            tokio::select! {
                biased;
                line = next_line(&mut self.stdout), if self.stdout.is_some() => {
                    if let Some(message) = line.as_deref().and_then(FromCore::parse) {
                        return Did::Said(message);
                    }
                }
                line = next_line(&mut self.stderr), if self.stderr.is_some() => {
                    complain(self.pid, line, &mut self.last_words);
                }
                () = ended(&mut self.end) => return Did::Ended(self.leave().await),
            }
        }
    }

    /// The last line it said on stderr.
    pub(super) fn last_words(&self) -> Option<&str> {
        self.last_words.as_deref()
    }

    /// The mark in its environment.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// What of its descendants could not be ended; `None` when none is left.
    pub(super) fn survivors(&self) -> Option<&str> {
        self.survivors.as_deref()
    }

    /// Kills the core and its process group. What else it started is ended once its end is seen.
    pub(super) fn kill(&self) {
        if !self.gone {
            process::kill_group(self.pid);
        }
    }

    /// Clears up after a core that has ended and says how.
    async fn leave(&mut self) -> HowEnded {
        self.kill();
        if !self.is_swept {
            // Whoever waits here may be called away; the next wait is for the same sweep.
            let (mark, pid) = (self.mark.clone(), self.pid);
            let sweep = || tokio::task::spawn_blocking(move || end_all(&mark, pid));
            let swept = self.sweep.get_or_insert_with(sweep).await;
            self.is_swept = true;
            self.survivors = match swept {
                Ok(survivors) => survivors,
                Err(broken) => Some(broken.to_string()),
            };
            if let Some(survivors) = &self.survivors {
                tracing::error!(pid, "ending what the core started: {survivors}");
            }
        }
        let last_words = async {
            while self.stderr.is_some() {
                let line = next_line(&mut self.stderr).await;
                complain(self.pid, line, &mut self.last_words);
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        self.gone = true;
        match self.child.wait().await {
            Ok(status) => {
                tracing::info!(pid = self.pid, "the core ended: {status}");
                HowEnded { code: status.code(), by_somebody: process::is_ended_by_somebody(status) }
            }
            Err(error) => {
                tracing::warn!(pid = self.pid, "the core's exit status could not be read: {error}");
                HowEnded { code: None, by_somebody: true }
            }
        }
    }
}

impl Drop for CoreProcess {
    fn drop(&mut self) {
        if !self.gone {
            self.kill();
            if let Some(survivors) = end_all(&self.mark, self.pid) {
                tracing::error!(pid = self.pid, "ending what the core started: {survivors}");
            }
        }
    }
}

/// Ends everything that a core started, and the core itself; says what is left of it. `core` is not buried: somebody
/// waits for it.
fn end_all(mark: &str, core: u32) -> Option<String> {
    let me = std::process::id();
    // In the tests of this file many cores share one process; there the mark alone tells them apart.
    let below = (!cfg!(test)).then_some(me);
    let roots = Roots { below, mark: Some(mark), spare: &[me], ..Roots::default() };
    match nightshift_kin::end(&roots, &[core], ENDED_WITHIN) {
        Ok(_) => {
            leftovers::clear_places(core, &std::env::temp_dir());
            None
        }
        Err(survivors) => Some(chain(&survivors)),
    }
}

/// Waits for the end; comes back at once when it has been seen before.
async fn ended(end: &mut Option<JoinHandle<()>>) {
    if let Some(waiting) = end {
        // A waiting thread that broke off is as good as an end: the core is killed, and waited for, after it.
        let _ = waiting.await;
        *end = None;
    }
}

/// The next line; `None` when there is none any more, and then the stream is closed.
async fn next_line<R: tokio::io::AsyncRead + Unpin>(stream: &mut Option<Lines<BufReader<R>>>) -> Option<String> {
    let line = stream.as_mut()?.next_line().await.ok().flatten();
    if line.is_none() {
        *stream = None;
    }
    line
}

fn complain(pid: u32, line: Option<String>, last_words: &mut Option<String>) {
    if let Some(line) = line {
        tracing::warn!(pid, "the core said: {line}");
        *last_words = Some(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Running;
    use nightshift_contract::handoff::{HostArgs, ReleaseArgs};
    use nightshift_contract::holder::Holder;

    /// Starts `tests/fake-core.sh`, which does what the tag names.
    fn start(tag: &str) -> CoreProcess {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-core.sh");
        let release = ReleaseArgs { slot: "/slot".into(), tag: tag.into(), commit: "c".repeat(40) };
        let args = CoreArgs {
            state_dir: "/state".into(),
            release,
            jobservers: vec!["http://127.0.0.1:1".into()],
            store_password_file: None,
            host: HostArgs::default(),
            worker: "w".into(),
            asked: false,
        };
        CoreProcess::start(&program, &args, &uuid::Uuid::new_v4().to_string()).expect("the script can be started")
    }

    fn by_itself(code: i32) -> Did {
        Did::Ended(HowEnded { code: Some(code), by_somebody: false })
    }

    async fn child_of(core: &mut CoreProcess) -> Running {
        let Did::Said(FromCore::Waiting(child)) = core.next().await else { panic!("it says its child's number") };
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).expect("the child runs");
        Running::find(Holder::from_proc_stat(&stat).expect("a stat file")).expect("the child runs")
    }

    #[tokio::test]
    async fn a_core_is_heard_told_and_its_end_is_seen() {
        let mut core = start("obedient");
        assert_eq!(core.next().await, Did::Said(FromCore::Waiting("work".into())));
        core.tell(&ToCore::Stop("a reason".into())).await;
        assert_eq!(core.next().await, by_itself(6));
    }

    #[tokio::test]
    async fn a_core_that_ends_by_itself_is_seen_with_its_exit_code() {
        let mut core = start("broken");
        assert_eq!(core.next().await, by_itself(101));
        assert_eq!(core.last_words(), Some("no such table"));
    }

    #[tokio::test]
    async fn killing_a_core_ends_everything_it_started() {
        let mut core = start("parent");
        let child = child_of(&mut core).await;
        core.kill();
        assert_eq!(core.next().await, Did::Ended(HowEnded { code: None, by_somebody: true }));
        assert!(child.ends_within(Duration::from_secs(60)));
    }

    #[tokio::test]
    async fn what_a_core_that_ended_by_itself_left_behind_in_another_session_is_ended() {
        let mut core = start("deserter");
        let child = child_of(&mut core).await;
        core.tell(&ToCore::Drain("a reason".into())).await;
        assert_eq!(core.next().await, by_itself(0));
        assert!(child.ends_within(Duration::ZERO), "its end is told when nothing of it is left");
        assert_eq!(core.survivors(), None);
    }

    #[tokio::test]
    async fn a_launcher_that_breaks_off_leaves_no_core_behind() {
        let mut core = start("parent");
        let child = child_of(&mut core).await;
        drop(core);
        assert!(child.ends_within(Duration::from_secs(60)));
    }
}
