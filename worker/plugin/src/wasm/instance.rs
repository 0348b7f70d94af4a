//! An open plugin of the `wasm` runtime: its compiled module, the instance that runs, and the way of a block through it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::file_error::FileError;
use nightshift_manifest::plugin::PluginManifest;
use wasmtime::Module;

use super::abi::{self, Answer};
use super::guest::{Broken, Guest};
use super::imports::Belongings;
use super::{cache, engine, module};
use crate::block::{self, Answers};
use crate::clock::Alarm;
use crate::field::TypedRecord;
use crate::isolate::Fault;
use crate::log_lines::LogLines;
use crate::outcome::{self, Outcomes};
use crate::{Block, BlockError, Data, Host, OpenError, Plugin, Results, Stopper, data};

/// A plugin of the `wasm` runtime.
pub(crate) struct WasmPlugin {
    manifest: PluginManifest,
    alarm: Arc<Alarm>,
    module: Module,
    state: Life,
    /// The block as bytes, kept for its room.
    bytes: Vec<u8>,
}

/// What there is of an instance.
enum Life {
    /// It is ready.
    Ready(Box<Guest>),
    /// It was thrown away; the next is made of this.
    Gone(Box<Belongings>),
    /// It is being asked. Nobody sees this but after a panic.
    Away,
}

impl WasmPlugin {
    /// Opens the plugin in `folder` of the release in `tree`.
    pub(crate) fn open(
        folder: &Path,
        tree: &Path,
        manifest: &PluginManifest,
        data: Data,
        host: &Host,
    ) -> Result<WasmPlugin, OpenError> {
        let file = module::name(manifest);
        let refused = |problem: String| OpenError::File(FileError::whole(&file, problem));
        let bytes = module::read(folder, manifest)?;
        let engine = engine::engine().map_err(refused)?;
        let is_text = manifest.module.ends_with(".wat");
        let module = cache::compiled(engine, &bytes, is_text, host.cache.as_deref()).map_err(refused)?;
        module::check(&module).map_err(refused)?;

        let alarm = Arc::new(Alarm::new());
        let data = match module::asks(&module) {
            true => Some(data::open(folder, tree, manifest, data, host, &alarm)?),
            false => None,
        };
        let belongings = Belongings { data, log: LogLines::of(&manifest.name) };
        let state = match Guest::new(&module, manifest, &alarm, belongings) {
            Ok(guest) => Ok(Life::Ready(Box::new(guest))),
            // A replica that is away now may be there at the first block.
            Err((Broken::DataAway { .. }, belongings)) => Ok(Life::Gone(Box::new(belongings))),
            Err((Broken::Fails(why), _)) => Err(refused(why)),
            Err((Broken::Stopped, _)) => Err(refused("it was stopped".to_owned())),
        };
        Ok(WasmPlugin { manifest: manifest.clone(), alarm, module, state: state?, bytes: Vec::new() })
    }

    /// One run: an outcome for each of `records`, in order. They take away from `room`, in bytes of text.
    fn run(&mut self, records: &[TypedRecord<'_>], time: Duration, room: &mut usize) -> Result<Outcomes, Fault> {
        let mut guest = match std::mem::replace(&mut self.state, Life::Away) {
            Life::Ready(guest) => guest,
            Life::Gone(belongings) => self.made_anew(*belongings)?,
            Life::Away => return Err(self.fails("an earlier block left it in the middle of its work".to_owned())),
        };
        abi::write_block(&mut self.bytes, self.manifest.input.len(), records);
        let answered = match guest.process(&self.bytes, time) {
            Ok(place) => self.judge(guest.answer(place), records, room),
            Err(broken) => Err(self.fault(broken)),
        };
        // What state one is in that trapped, or answered nonsense, nobody knows.
        self.state = match &answered {
            Ok(_) => Life::Ready(guest),
            Err(_) => Life::Gone(Box::new(guest.into_belongings())),
        };
        answered
    }

    fn made_anew(&mut self, belongings: Belongings) -> Result<Box<Guest>, Fault> {
        match Guest::new(&self.module, &self.manifest, &self.alarm, belongings) {
            Ok(guest) => Ok(Box::new(guest)),
            Err((broken, belongings)) => {
                self.state = Life::Gone(Box::new(belongings));
                Err(self.fault(broken))
            }
        }
    }

    fn judge(&self, answer: &[u8], records: &[TypedRecord<'_>], room: &mut usize) -> Result<Outcomes, Fault> {
        let (name, output) = (&self.manifest.name, &self.manifest.output);
        let malformed = |error: abi::Malformed| Fault::OfRun(error.to_string());
        let mut results = match abi::read_answer(answer, output).map_err(malformed)? {
            Answer::Results(results) => results,
            Answer::Failure(why) => return Err(self.fails(why)),
        };
        let mut answers = Answers::to(records, answer.len());
        let mut left = *room;
        while let Some(id) = results.next().map_err(malformed)? {
            let Some(asked) = answers.asked(id) else {
                let (plugin, found) = (name.clone(), id.to_string());
                return Err(Fault::OfBlock(BlockError::ForeignRow { plugin, found }));
            };
            let size = answers.note(asked, |text| results.outcome(text, output)).map_err(malformed)?;
            outcome::fit(name, size, &mut left)?;
        }
        *room = left;
        Ok(answers.into_outcomes())
    }

    fn fault(&self, broken: Broken) -> Fault {
        match broken {
            Broken::Stopped => self.fails("it was stopped".to_owned()),
            Broken::DataAway { replica, reason } => {
                let plugin = self.manifest.name.clone();
                Fault::OfBlock(BlockError::DataAway { plugin, replica: replica.into(), reason: reason.into() })
            }
            Broken::Fails(why) => Fault::OfRun(why),
        }
    }

    fn fails(&self, reason: String) -> Fault {
        Fault::OfBlock(BlockError::Fails { plugin: self.manifest.name.clone(), reason })
    }
}

impl Plugin for WasmPlugin {
    fn work(&mut self, block: Block<'_>) -> Result<Results, BlockError> {
        self.alarm.forget_stop();
        let manifest = self.manifest.clone();
        block::process(&manifest, block, |records, time, room| self.run(records, time, room))
    }

    fn stopper(&self) -> Stopper {
        let alarm = Arc::clone(&self.alarm);
        Arc::new(move || alarm.stop())
    }
}
