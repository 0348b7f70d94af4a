//! The `process` runtime: any program that reads blocks on its standard input and answers on its standard output.
//!
//! 1. The program is started when the plugin is opened, if it has data to open, else with its first block; locked in
//!    ([`crate::sandbox`]), in its plugin's folder. It stays until it is stopped, dropped or fails, and is then started again
//!    with the next run.
//! 2. Each line to it is one of JSON ([`question`]), and so is each answer ([`answer`]): first what its data are, where it has
//!    any, then block after block. How they go to and fro is [`talk`]'s business.
//!    Where these are on the replica, it is looked at before each start, and when a program failed: one that is away, or whose
//!    account may write, is no record's fault.
//! 3. One that takes longer than a block's time, says more than a block may bring, takes more than it may ([`warden`]), or does
//!    not answer as it must, is ended with everything it started ([`life`]).
//!
//! What it says on standard error goes to the log ([`said`]).

mod answer;
mod command;
mod life;
mod question;
mod said;
mod talk;
mod warden;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::{DataSource, PluginManifest};

use self::life::{Program, Running, StopSwitch};
use self::question::Question;
use crate::block::{self, LARGEST_ANSWER};
use crate::field::TypedRecord;
use crate::isolate::Fault;
use crate::outcome::{LARGEST_RESULT, Outcomes};
use crate::replica::Replica;
use crate::sandbox::{Network, may_run};
use crate::{Block, BlockError, Data, Host, OpenError, Plugin, Results, Stopper, csv_file, sql};

pub(crate) use self::life::heard;
pub use self::life::with_running;

/// How long a program may take to open its data.
const OPEN_LIMIT: Duration = Duration::from_secs(5 * 60);
/// An answer to the line about the data is no longer than this, in bytes.
const LONGEST_OPENED: usize = 64 << 10;
/// What stands around a result on its line, in bytes.
const FRAME: usize = 1 << 10;

/// A plugin of the `process` runtime.
pub(crate) struct ProcessPlugin {
    manifest: PluginManifest,
    program: Program,
    /// What the program is told of its data before its first block.
    opening: Opening,
    question: Question,
    running: Option<Running>,
    /// What stops it from another thread.
    stop: Arc<StopSwitch>,
}

/// What a program is told of its data.
enum Opening {
    /// Nothing: it has none.
    None,
    /// The tables of the release, as files.
    Tables,
    /// How it gets at the replica, with rights to read only.
    Replica(Replica),
}

impl ProcessPlugin {
    /// Opens the plugin in `folder` of the release in `tree`. A program that has data is started.
    pub(crate) fn open(
        folder: &Path,
        tree: &Path,
        manifest: &PluginManifest,
        data: Data,
        host: &Host,
    ) -> Result<ProcessPlugin, OpenError> {
        let not_run = |reason: String| OpenError::Program { plugin: manifest.name.clone(), reason };
        let sandbox = host.sandbox.clone().ok_or_else(|| not_run("there is no sandbox to run it in".to_owned()))?;
        may_run(&sandbox.protections(), &host.allow_unsandboxed, &manifest.name)
            .map_err(|reason| OpenError::NotAllowed { plugin: manifest.name.clone(), reason })?;
        if let Some(trouble) = sandbox.trouble() {
            return Err(not_run(format!("the sandbox does not work: {trouble}")));
        }
        command::check(&manifest.command, folder, life::PATH).map_err(not_run)?;
        let mut tables = BTreeMap::new();
        let (opening, network) = match manifest.source {
            DataSource::Repo if manifest.tables.is_empty() => (Opening::None, Network::None),
            DataSource::Repo => {
                tables = tables_of(folder, tree, manifest, data)?;
                (Opening::Tables, Network::None)
            }
            DataSource::Replica => {
                let replica = sql::replica_for(folder, tree, manifest, data, host)?;
                let network = way_to(&replica);
                (Opening::Replica(replica), network)
            }
        };
        let stop = Arc::<StopSwitch>::default();
        let program = Program {
            plugin: manifest.name.clone(),
            command: manifest.command.clone(),
            folder: folder.to_owned(),
            tables,
            network: if manifest.network { Network::All } else { network },
            memory: manifest.memory_mb.saturating_mul(1_000_000),
            sandbox,
            mark: host.mark.clone(),
        };
        let question = Question::with(manifest);
        let manifest = manifest.clone();
        let mut plugin = ProcessPlugin { manifest, program, opening, question, running: None, stop };
        if !matches!(plugin.opening, Opening::None) {
            plugin.running = match plugin.start() {
                // A replica that is away now may be there at the first block.
                Err(OpenError::DataAway { .. }) => None,
                started => Some(started?),
            };
        }
        Ok(plugin)
    }

    /// Starts the program and has it open its data. Nothing is started while the replica is away, or its account may write.
    fn start(&self) -> Result<Running, OpenError> {
        self.look()?;
        let failed = |reason: String| OpenError::Program { plugin: self.manifest.name.clone(), reason };
        let started = self.program.start(&self.stop);
        let mut running = started.map_err(|error| failed(format!("starting its program: {error}")))?;
        let line = match &self.opening {
            Opening::None => return Ok(running),
            Opening::Tables => question::open_tables(running.tables()),
            Opening::Replica(replica) => question::open_replica(replica),
        };
        let opened = running.ask(&line, LONGEST_OPENED, OPEN_LIMIT).and_then(|line| answer::opened(&line));
        match opened {
            Ok(()) => Ok(running),
            Err(why) => {
                let why = failed(format!("opening its data: {}", running.end_after(why)));
                // It may have gone away in the meantime.
                Err(self.look().err().unwrap_or(why))
            }
        }
    }

    /// Starts a program that ended between two blocks, which is no record's fault.
    fn started_again(&self, ended: Running) -> Result<Running, Fault> {
        let why = ended.end_after("it ended between two blocks".to_owned());
        tracing::warn!(plugin = self.manifest.name, "plugin {}: {why}; it is started again", self.manifest.name);
        self.start().map_err(of_starting)
    }

    /// Whether the data are within reach, where they are on the replica.
    fn look(&self) -> Result<(), OpenError> {
        match &self.opening {
            Opening::Replica(replica) => sql::look(replica, &self.manifest),
            Opening::None | Opening::Tables => Ok(()),
        }
    }

    /// One run: the records as one line to the program, and what it answers.
    fn run(&mut self, records: &[TypedRecord<'_>], time: Duration, room: &mut usize) -> Result<Outcomes, Fault> {
        let done = match self.stop.is_stopped() {
            true => Err(self.stopped()),
            false => self.converse(records, time, room),
        };
        // Whatever went wrong once it was stopped went wrong because it was.
        if done.is_err() && self.stop.is_stopped() { Err(self.stopped()) } else { done }
    }

    fn converse(&mut self, records: &[TypedRecord<'_>], time: Duration, room: &mut usize) -> Result<Outcomes, Fault> {
        let most = LARGEST_ANSWER.min(records.len().saturating_mul(LARGEST_RESULT)) + records.len() * FRAME;
        // Kept on the good way out only: otherwise nobody knows what it says next.
        let (mut running, is_new) = match self.running.take() {
            Some(running) if !running.has_ended() => (running, false),
            Some(ended) => (self.started_again(ended)?, true),
            None => (self.start().map_err(of_starting)?, true),
        };
        let mut answered = running.ask(self.question.of(records), most, time);
        // It was ending when it was looked at.
        if answered.is_err() && !is_new && running.has_ended_unasked() && !self.stop.is_stopped() {
            running = self.started_again(running)?;
            answered = running.ask(self.question.of(records), most, time);
        }
        let judged = answered
            .map_err(Fault::OfRun)
            .and_then(|line| answer::judge(&line, records, &self.manifest, room).inspect(|_| running.take_back(line)));
        match judged {
            Ok(outcomes) => {
                self.running = Some(running);
                Ok(outcomes)
            }
            Err(Fault::OfRun(why)) => {
                let why = running.end_after(why);
                // A program that fails while its replica is away does so for that reason.
                let is_stopped = self.stop.is_stopped();
                let looked = if is_stopped { Ok(()) } else { self.look() };
                Err(looked.err().map_or(Fault::OfRun(why), sql::of_opening))
            }
            Err(fault) => Err(fault),
        }
    }

    fn stopped(&self) -> Fault {
        Fault::OfBlock(BlockError::Stopped { plugin: self.manifest.name.clone() })
    }
}

impl Plugin for ProcessPlugin {
    fn work(&mut self, block: Block<'_>) -> Result<Results, BlockError> {
        self.stop.forget();
        let manifest = self.manifest.clone();
        block::process(&manifest, block, |records, time, room| self.run(records, time, room))
    }

    fn memory(&self) -> Option<u64> {
        self.running.as_ref().map(Running::memory)
    }

    fn stopper(&self) -> Stopper {
        let stop = Arc::clone(&self.stop);
        Arc::new(move || stop.stop())
    }
}

/// Why a run has no answers when the program does not start for it.
fn of_starting(error: OpenError) -> Fault {
    match error {
        OpenError::Program { reason, .. } => Fault::OfRun(reason),
        error => sql::of_opening(error),
    }
}

/// What the program needs of the network to get at the replica.
fn way_to(replica: &Replica) -> Network {
    match replica.socket() {
        Some(socket) => Network::Socket(socket.into()),
        None => Network::Port(replica.port()),
    }
}

/// The files of the data tables.
fn tables_of(
    folder: &Path,
    tree: &Path,
    manifest: &PluginManifest,
    data: Data,
) -> Result<BTreeMap<String, PathBuf>, OpenError> {
    let file = |table: &String| {
        let (path, name) = csv_file::of_table(table, folder, tree, data);
        match path.is_file() {
            true => Ok((table.clone(), path)),
            false => {
                Err(FileError::whole(&name, "it is not there, and plugin.toml names it under [data]: add it").into())
            }
        }
    };
    manifest.tables.iter().map(file).collect()
}
