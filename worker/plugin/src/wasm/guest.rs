//! An instance of a module: made, prepared, and asked, each within its bounds. Whoever gets an error throws it away.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use nightshift_manifest::plugin::PluginManifest;
use wasmtime::{Linker, Memory, Module, Store, Trap, TypedFunc, UpdateDeadline};

use super::bounds::{self, Bounds};
use super::engine::{STACK, Ticks};
use super::imports::{self, Belongings, Refused, State};
use super::module::{ALLOC, MEMORY, OPEN, PROCESS, VERSION};
use crate::clock::Alarm;
use crate::data::QueryError;

/// The version of the ABI.
const ABI: u32 = 1;
/// `open` may take so many times as long as a block.
const OPEN_TIMES: u32 = 5;

/// An instance that is ready for blocks.
pub(super) struct Guest {
    store: Store<State>,
    alarm: Arc<Alarm>,
    memory: Memory,
    alloc: TypedFunc<u32, u32>,
    process: TypedFunc<(u32, u32), u64>,
}

/// Why a guest is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// Its plugin was told to stop.
    Stopped,
    /// Its data are on a replica that is away.
    DataAway { replica: Box<str>, reason: Box<str> },
    /// In words.
    Fails(String),
}

impl Guest {
    /// Makes an instance of `module` and has it prepare itself.
    ///
    /// # Errors
    /// Why there is none, with what was given to it.
    pub(super) fn new(
        module: &Module,
        manifest: &PluginManifest,
        alarm: &Arc<Alarm>,
        belongings: Belongings,
    ) -> Result<Guest, (Broken, Belongings)> {
        let state = State { bounds: Bounds::new(manifest.memory_mb), belongings };
        let mut store = Store::new(module.engine(), state);
        store.limiter(|state| &mut state.bounds);
        let looking = Arc::clone(alarm);
        store.epoch_deadline_callback(move |_| match looking.rings() {
            true => Ok(UpdateDeadline::Interrupt),
            false => Ok(UpdateDeadline::Continue(1)),
        });
        match ready(&mut store, module, alarm, manifest.time_per_block) {
            Ok((memory, alloc, process)) => Ok(Guest { store, alarm: Arc::clone(alarm), memory, alloc, process }),
            Err(broken) => Err((broken, store.into_data().belongings)),
        }
    }

    /// Has it process a block; where in its memory the answer stands.
    pub(super) fn process(&mut self, block: &[u8], time: Duration) -> Result<Range<usize>, Broken> {
        let Guest { store, alarm, memory, alloc, process } = self;
        // A block is at most as long as a job's records, far below 4 GiB.
        let length = block.len() as u32;
        let packed = within(store, alarm, time, |store| {
            let place = alloc.call(&mut *store, length)?;
            if place == 0 || memory.write(&mut *store, place as usize, block).is_err() {
                let why = format!("its alloc gave no place in its memory for {length} bytes: it returned {place}");
                return Err(wasmtime::Error::new(Refused(why)));
            }
            process.call(&mut *store, (place, length))
        })?;
        bytes_at(packed, memory.data_size(&*store)).map_err(Broken::Fails)
    }

    /// What stands in its memory at `range`.
    pub(super) fn answer(&self, range: Range<usize>) -> &[u8] {
        self.memory.data(&self.store).get(range).unwrap_or_default()
    }

    /// Throws it away.
    pub(super) fn into_belongings(self) -> Belongings {
        self.store.into_data().belongings
    }
}

type Ready = (Memory, TypedFunc<u32, u32>, TypedFunc<(u32, u32), u64>);

/// Makes the instance and runs all that comes before the first block.
fn ready(store: &mut Store<State>, module: &Module, alarm: &Alarm, time: Duration) -> Result<Ready, Broken> {
    let instance = within(store, alarm, time, |store| {
        let mut linker = Linker::new(module.engine());
        imports::define(&mut linker)?;
        let instance = linker.instantiate(&mut *store, module)?;
        let version = instance.get_typed_func::<(), u32>(&mut *store, VERSION)?.call(&mut *store, ())?;
        if version != ABI {
            let why =
                format!("it is written for version {version} of the ABI, and this Nightshift knows version {ABI}");
            return Err(wasmtime::Error::new(Refused(why)));
        }
        Ok(instance)
    })?;
    let internal = |error: wasmtime::Error| Broken::Fails(format!("{error:#}"));
    let memory = instance.get_memory(&mut *store, MEMORY);
    let memory = memory.ok_or_else(|| Broken::Fails(format!("it does not export its memory as {MEMORY}")))?;
    let alloc = instance.get_typed_func(&mut *store, ALLOC).map_err(internal)?;
    let process = instance.get_typed_func(&mut *store, PROCESS).map_err(internal)?;
    if let Ok(open) = instance.get_typed_func::<(), u64>(&mut *store, OPEN) {
        let said = within(store, alarm, time * OPEN_TIMES, |store| open.call(store, ()))?;
        if said != 0 {
            let range = bytes_at(said, memory.data_size(&*store)).map_err(Broken::Fails)?;
            let why = String::from_utf8_lossy(&memory.data(&*store)[range]).into_owned();
            return Err(Broken::Fails(format!("its open says: {why}")));
        }
    }
    Ok((memory, alloc, process))
}

/// A place as guests return it: the address in the upper half, the length in the lower.
fn bytes_at(packed: u64, memory: usize) -> Result<Range<usize>, String> {
    let (start, length) = ((packed >> 32) as usize, (packed & u64::from(u32::MAX)) as usize);
    match start.checked_add(length) {
        Some(end) if end <= memory => Ok(start..end),
        _ => Err(format!("it returned {length} bytes at {start}, and its memory has {memory}")),
    }
}

/// Calls the guest within `time` and the work that fits into it.
fn within<T>(
    store: &mut Store<State>,
    alarm: &Alarm,
    time: Duration,
    call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
) -> Result<T, Broken> {
    alarm.set(time);
    let _ticks = Ticks::begin();
    store.set_epoch_deadline(1);
    let called = match store.set_fuel(bounds::fuel(time)) {
        Ok(()) => call(store),
        Err(error) => Err(error),
    };
    alarm.off();
    let refused = store.data_mut().bounds.refused();
    called.map_err(|error| match error.downcast_ref() {
        _ if alarm.is_stopped() => Broken::Stopped,
        Some(QueryError::Away { replica, reason }) => {
            Broken::DataAway { replica: replica.as_str().into(), reason: reason.as_str().into() }
        }
        _ => {
            let why = explained(&error, time);
            Broken::Fails(refused.map_or_else(|| why.clone(), |refused| format!("{why}; {refused}")))
        }
    })
}

/// Why a call came to nothing.
fn explained(error: &wasmtime::Error, time: Duration) -> String {
    if let Some(Refused(why)) = error.downcast_ref() {
        return why.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => format!("it was not done after {} s", time.as_secs_f32()),
        Some(Trap::OutOfFuel) => format!("it worked more than fits into {} s", time.as_secs_f32()),
        Some(Trap::StackOverflow) => format!("its calls nest deeper than a stack of {} KiB holds", STACK >> 10),
        Some(trap) => format!("it trapped: {}", trap.to_string().trim_start_matches("wasm trap: ")),
        None => error.root_cause().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_outside_of_the_memory_is_none() {
        let packed = |start: u64, length: u64| bytes_at(start << 32 | length, 65_536);
        assert_eq!(packed(65_530, 6), Ok(65_530..65_536));
        assert_eq!(packed(0, 0), Ok(0..0));
        for (start, length) in [(65_530, 7), (0, 65_537), (u64::from(u32::MAX), u64::from(u32::MAX)), (65_537, 0)] {
            assert!(packed(start, length).is_err(), "{length} bytes at {start}");
        }
    }
}
