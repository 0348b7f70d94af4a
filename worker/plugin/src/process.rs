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

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nightshift_kin::Roots;
use nightshift_manifest::plugin::{ColumnType, PluginManifest};
use nightshift_wire::{Outcome, Record, RecordId, RecordResult, Records};
use serde::Deserialize;
use serde_json::{Map, Value, json};

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

    fn fails(&self, reason: impl Into<String>) -> BlockError {
        BlockError::Fails { plugin: self.manifest.name.clone(), reason: reason.into() }
    }

    /// The block as the line the program reads, and the records that do not reach it, with why.
    fn question(&self, block: &Records) -> Result<(Vec<u8>, HashMap<RecordId, String>), BlockError> {
        let place = |name: &str| block.columns.iter().position(|column| column == name);
        let columns = self.manifest.input.iter().map(|(name, column_type)| match place(name) {
            Some(index) => Ok((index, name.as_str(), *column_type)),
            None => Err(BlockError::MissingColumn { plugin: self.manifest.name.clone(), column: name.clone() }),
        });
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        let (mut records, mut untyped, mut seen) = (Vec::new(), HashMap::new(), BTreeSet::new());
        for record in &block.records {
            if !seen.insert(record.id) {
                return Err(BlockError::RepeatedRecord { record: record.id });
            }
            match typed(record, &columns) {
                Ok(fields) => records.push(Value::Object(fields)),
                Err(problem) => drop(untyped.insert(record.id, problem)),
            }
        }
        let mut line = json!({ "records": records }).to_string().into_bytes();
        line.push(b'\n');
        Ok((line, untyped))
    }

    fn ask(&mut self, line: &[u8]) -> Result<Vec<u8>, BlockError> {
        let limit = self.manifest.time_per_block;
        let running = match self.running.take() {
            Some(running) => running,
            None => {
                self.start().map_err(|error| self.fails(format!("starting {}: {error}", self.program.display())))?
            }
        };
        // Dropped on every way out but the good one, and then the program is ended.
        let mut running = running;
        let Some(mut stdin) = running.stdin.take() else { return Err(self.fails("its standard input is gone")) };
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
                let most = usize::try_from(LONGEST_ANSWER).unwrap_or(usize::MAX);
                Err(BlockError::TooMuch { plugin: self.manifest.name.clone(), most })
            }
            (Ok(Err(error)), _) => Err(self.fails(format!("reading its answer: {error}"))),
            (Err(RecvTimeoutError::Timeout), _) => {
                Err(self.fails(format!("it was not done after {} s", limit.as_secs_f32())))
            }
            (Err(RecvTimeoutError::Disconnected), _) => Err(self.fails("it ended instead of answering")),
            (Ok(Ok(_)), _) => Err(self.fails("it answered without reading the block")),
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

    fn judge(&self, answer: &[u8], asked: &BTreeSet<RecordId>) -> Result<HashMap<RecordId, Outcome>, BlockError> {
        let answer: Answer = serde_json::from_slice(answer)
            .map_err(|error| self.fails(format!("its answer is not {{\"results\":[…]}} on one line: {error}")))?;
        let mut outcomes = HashMap::new();
        for RecordResult { id, outcome } in answer.results {
            if !asked.contains(&id) {
                return Err(BlockError::ForeignRow { plugin: self.manifest.name.clone(), found: id.to_string() });
            }
            let outcome = match outcome {
                Outcome::Ok(values) => self.checked(values),
                error @ Outcome::Error(_) => error,
            };
            if outcomes.insert(id, outcome).is_some() {
                outcomes.insert(id, Outcome::Error("the plugin returned several results for this record".to_owned()));
            }
        }
        Ok(outcomes)
    }

    /// Values of the columns that `[output]` declares, and of their types.
    fn checked(&self, values: BTreeMap<String, Value>) -> Outcome {
        for (name, value) in &values {
            let fits = match (self.manifest.output.get(name), value) {
                (None, _) => {
                    return Outcome::Error(format!("the plugin returned column {name}, which it does not declare"));
                }
                (Some(_), Value::Null) => true,
                (Some(ColumnType::Text), value) => value.is_string(),
                (Some(ColumnType::Integer), value) => value.is_i64(),
                (Some(ColumnType::Real), value) => value.is_number(),
            };
            if !fits {
                return Outcome::Error(format!("the plugin returned {value} in column {name}, which has another type"));
            }
        }
        Outcome::Ok(values)
    }
}

impl Plugin for ProcessPlugin {
    fn process(&mut self, block: &Records) -> Result<Vec<RecordResult>, BlockError> {
        let (line, mut untyped) = self.question(block)?;
        let asked: BTreeSet<RecordId> =
            block.records.iter().map(|record| record.id).filter(|id| !untyped.contains_key(id)).collect();
        let mut outcomes = match asked.is_empty() {
            true => HashMap::new(),
            false => {
                let answer = self.ask(&line)?;
                let judged = self.judge(&answer, &asked);
                if judged.is_err() {
                    // Nobody knows what it says next.
                    self.running = None;
                }
                judged?
            }
        };
        let missing = || Outcome::Error("the plugin returned no result for this record".to_owned());
        let results = block.records.iter().map(|record| RecordResult {
            id: record.id,
            outcome: match untyped.remove(&record.id) {
                Some(problem) => Outcome::Error(problem),
                None => outcomes.remove(&record.id).unwrap_or_else(missing),
            },
        });
        Ok(results.collect())
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

fn typed(record: &Record, columns: &[(usize, &str, ColumnType)]) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), record.id.into());
    for (index, name, column_type) in columns {
        let Some(text) = record.values.get(*index) else {
            return Err(format!("the record has no value in column {name}"));
        };
        let value = match column_type {
            ColumnType::Text => Some(Value::from(text.as_str())),
            _ if text.is_empty() => Some(Value::Null),
            ColumnType::Integer => text.parse::<i64>().ok().map(Value::from),
            ColumnType::Real => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
        };
        let excerpt = || text.chars().take(40).collect::<String>();
        let value = value
            .ok_or_else(|| format!("column {name} is {:?}, which is not of type {}", excerpt(), column_type.name()))?;
        fields.insert((*name).to_owned(), value);
    }
    Ok(fields)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
