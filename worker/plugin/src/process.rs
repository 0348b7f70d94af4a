//! The `process` runtime: any program that reads blocks on its standard input and answers on its standard output.
//!
//! 1. The program is started with the first block, in the plugin's folder, as a process group of its own, and stays until
//!    it is stopped, dropped or fails; then it is started again with the next block.
//! 2. A block is one line of JSON to it, `{"records":[{"id":7,"name":"Bob"}]}`; its answer one line from it,
//!    `{"results":[{"id":7,"ok":{"hits":3}},{"id":8,"error":"no name"}]}`, one result for each record, in any order.
//! 3. One that takes longer than the block's time, says more than a block may bring, or does not answer as it must, is
//!    ended with everything it started; the block has no results then.
//!
//! What it says on standard error is dropped. It runs as the worker's own user, without a sandbox of its own.
#![allow(clippy::disallowed_methods, reason = "the one file of this crate that starts processes; `Running` ends them")]

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightshift_kin::Roots;
use nightshift_manifest::plugin::PluginManifest;
use nightshift_wire::{Outcome, RecordResult, Records};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::block::{self, Answers};
use crate::field::{Field, TypedRecord};
use crate::isolate::Fault;
use crate::outcome::{self, Found};
use crate::{BlockError, Plugin, Stopper};

/// The answer to one block is no longer than this, in bytes: as much as a job server takes for a whole job.
const LONGEST_ANSWER: u64 = 64 << 20;
/// How long an ended program's processes may take to be gone.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// The programs that run now. While it is locked, none is started or waited for.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Does something with the numbers of the processes that this crate started and waits for, while none is added.
pub fn with_running<T>(work: impl FnOnce(&[u32]) -> T) -> T {
    let running = lock(&RUNNING);
    work(&running.iter().copied().collect::<Vec<_>>())
}

/// A plugin of the `process` runtime.
pub(crate) struct ProcessPlugin {
    manifest: PluginManifest,
    program: PathBuf,
    folder: PathBuf,
    running: Option<Running>,
    /// What stops it from another thread.
    stop: Arc<StopSwitch>,
}

/// The number of the running program, for whoever wants to stop it.
#[derive(Default)]
struct StopSwitch(Mutex<Option<u32>>);

/// A running program.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<io::Result<Vec<u8>>>,
    stop: Arc<StopSwitch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    results: Vec<RecordResult>,
}

impl ProcessPlugin {
    /// The plugin in `folder`; nothing is started yet.
    pub(crate) fn open(folder: &Path, manifest: &PluginManifest) -> ProcessPlugin {
        let program = manifest.command.first().map(String::as_str).unwrap_or_default();
        // A name without a slash is looked for where programs are.
        let program = if program.contains('/') { folder.join(program) } else { program.into() };
        let (manifest, folder, stop) = (manifest.clone(), folder.to_owned(), Arc::default());
        ProcessPlugin { manifest, program, folder, running: None, stop }
    }

    /// One run: the records as one line to the program, and what it answers.
    fn run(&mut self, records: &[TypedRecord<'_>], time: Duration, room: &mut usize) -> Result<Vec<Outcome>, Fault> {
        let answer = self.ask(&self.question(records), time)?;
        let judged = self.judge(&answer, records, room);
        if judged.is_err() {
            // Nobody knows what it says next.
            self.running = None;
        }
        judged
    }

    /// The records as the line the program reads.
    fn question(&self, records: &[TypedRecord<'_>]) -> Vec<u8> {
        let names = self.manifest.input.keys();
        let object = |record: &TypedRecord<'_>| {
            let fields = names.clone().cloned().zip(record.fields.iter().map(|field| json_of(*field)));
            Value::Object(std::iter::once(("id".to_owned(), record.id.into())).chain(fields).collect())
        };
        let mut line = json!({ "records": records.iter().map(object).collect::<Vec<_>>() }).to_string().into_bytes();
        line.push(b'\n');
        line
    }

    fn ask(&mut self, line: &[u8], limit: Duration) -> Result<Vec<u8>, Fault> {
        let fails = |reason: String| Fault::OfRun(reason);
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start().map_err(|error| fails(format!("starting {}: {error}", self.program.display())))?,
        };
        // Dropped on every way out but the good one, and then the program is ended.
        let mut running = running;
        let Some(mut stdin) = running.stdin.take() else { return Err(fails("its standard input is gone".to_owned())) };
        let answered = std::thread::scope(|scope| {
            // Beside the reading: a program may begin to answer before it has read everything.
            let writing = scope.spawn(move || stdin.write_all(line).and_then(|()| stdin.flush()).map(|()| stdin));
            let line = running.lines.recv_timeout(limit);
            if !matches!(line, Ok(Ok(_))) {
                running.end();
            }
            (line, writing.join())
        });
        match answered {
            (Ok(Ok(line)), Ok(Ok(stdin))) => {
                running.stdin = Some(stdin);
                self.running = Some(running);
                Ok(line)
            }
            (Ok(Err(error)), _) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(fails(format!("it answered with more than {} MiB", LONGEST_ANSWER >> 20)))
            }
            (Ok(Err(error)), _) => Err(fails(format!("reading its answer: {error}"))),
            (Err(RecvTimeoutError::Timeout), _) => {
                Err(fails(format!("it was not done after {} s", limit.as_secs_f32())))
            }
            (Err(RecvTimeoutError::Disconnected), _) => Err(fails("it ended instead of answering".to_owned())),
            (Ok(Ok(_)), _) => Err(fails("it answered without reading the block".to_owned())),
        }
    }

    fn start(&self) -> io::Result<Running> {
        // Until the number is noted nobody else may collect the child's end.
        let mut all = lock(&RUNNING);
        let mut child = Command::new(&self.program)
            .args(&self.manifest.command[1..])
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        all.insert(child.id());
        drop(all);
        *lock(&self.stop.0) = Some(child.id());
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (say, lines) = sync_channel(1);
        let running = Running { child, stdin, lines, stop: Arc::clone(&self.stop) };
        let stdout = stdout.ok_or_else(|| io::Error::other("it was started without its pipes"))?;
        std::thread::Builder::new().name("plugin's answers".to_owned()).spawn(move || {
            let mut stdout = BufReader::new(stdout);
            while let Some(line) = next_line(&mut stdout) {
                if say.send(line).is_err() {
                    break;
                }
            }
        })?;
        Ok(running)
    }

    fn judge(&self, answer: &[u8], records: &[TypedRecord<'_>], room: &mut usize) -> Result<Vec<Outcome>, Fault> {
        let answer: Answer = serde_json::from_slice(answer)
            .map_err(|error| Fault::OfRun(format!("its answer is not {{\"results\":[…]}} on one line: {error}")))?;
        let mut answers = Answers::to(records);
        for RecordResult { id, outcome } in answer.results {
            if !answers.is_asked(id) {
                let (plugin, found) = (self.manifest.name.clone(), id.to_string());
                return Err(Fault::OfBlock(BlockError::ForeignRow { plugin, found }));
            }
            let (outcome, more) = match &outcome {
                Outcome::Ok(values) => {
                    let values = values.iter().map(|(name, value)| (name.as_str(), found(value)));
                    outcome::of_values(&self.manifest.output, values)
                }
                Outcome::Error(error) => outcome::of_error(error.as_bytes()),
            };
            outcome::fit(&self.manifest.name, more, room)?;
            answers.note(id, outcome);
        }
        Ok(answers.into_outcomes())
    }
}

impl Plugin for ProcessPlugin {
    fn process(&mut self, block: &Records) -> Result<Vec<RecordResult>, BlockError> {
        let manifest = self.manifest.clone();
        block::process(&manifest, block, |records, time, room| self.run(records, time, room))
    }

    fn stopper(&self) -> Stopper {
        let stop = Arc::clone(&self.stop);
        Arc::new(move || {
            // Its end is collected by the thread that talks to it, which waits for this lock first.
            if let Some(number) = *lock(&stop.0) {
                end_all(number);
            }
        })
    }
}

impl Running {
    /// Ends the program with everything it started.
    fn end(&mut self) {
        let number = self.child.id();
        let mut stop = lock(&self.stop.0);
        if stop.take() != Some(number) {
            return;
        }
        end_all(number);
        let mut all = lock(&RUNNING);
        // It was killed, or ended by itself.
        let _ = self.child.wait();
        all.remove(&number);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends a program that was started here and not waited for, and everything below it. Where this process adopts orphans,
/// what no other running program is above goes as well: it detached itself from one.
fn end_all(number: u32) {
    let others: Vec<u32> = lock(&RUNNING).iter().copied().filter(|other| *other != number).collect();
    let me = std::process::id();
    let roots = match nightshift_kin::adopts_orphans() {
        true => Roots { below: Some(me), spare: &others, ..Roots::default() },
        false => Roots { leader: Some(number), ..Roots::default() },
    };
    let waited_for: Vec<u32> = others.iter().copied().chain([number]).collect();
    // What survives here is the launcher's, which ends everything below the core.
    let _ = nightshift_kin::end(&roots, &waited_for, ENDED_WITHIN);
}

/// The next line without its end; `None` at the end of the stream.
fn next_line(stdout: &mut BufReader<ChildStdout>) -> Option<io::Result<Vec<u8>>> {
    let mut line = Vec::new();
    match stdout.take(LONGEST_ANSWER + 1).read_until(b'\n', &mut line) {
        Err(error) => Some(Err(error)),
        Ok(0) => None,
        Ok(_) if line.last() == Some(&b'\n') => Some(Ok(line)),
        Ok(read) if read as u64 > LONGEST_ANSWER => Some(Err(io::ErrorKind::FileTooLarge.into())),
        Ok(_) => None,
    }
}

fn json_of(field: Field<'_>) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Text(text) => text.into(),
        Field::Integer(number) => number.into(),
        Field::Real(number) => number.into(),
    }
}

/// A value of JSON's as every runtime's are judged.
fn found(value: &Value) -> Found<'_> {
    match value {
        Value::Null => Found::Null,
        Value::String(text) => Found::Text(text.as_bytes()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Found::Integer(whole),
            (None, Some(real)) => Found::Real(real),
            (None, None) => Found::Other(format!("the number {number}")),
        },
        other => Found::Other(other.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
