//! The one engine of the process, and the thread that ticks while guests run: at each tick a guest looks whether its time
//! is over.

use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use wasmtime::{Config, Engine};

/// How often a running guest looks at its alarm.
const TICK: Duration = Duration::from_millis(10);
/// What a guest's calls may nest into, in bytes of stack; threads that run plugins have four times as much.
pub(super) const STACK: usize = 512 << 10;

static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
/// How many guests run now.
static RUNNING: Mutex<u32> = Mutex::new(0);
static BEGUN: Condvar = Condvar::new();

/// The engine; the error says why this machine has none.
pub(super) fn engine() -> Result<&'static Engine, String> {
    ENGINE.get_or_init(start).as_ref().map_err(Clone::clone)
}

fn start() -> Result<Engine, String> {
    let mut config = Config::new();
    config.consume_fuel(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK);
    // What the ABI has no use for, and what may give other answers on another machine.
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_relaxed_simd(false);
    let engine = Engine::new(&config).map_err(|error| format!("starting the WebAssembly engine: {error:#}"))?;
    let ticking = engine.clone();
    std::thread::Builder::new()
        .name("ticks for wasm".to_owned())
        .spawn(move || tick(&ticking))
        .map_err(|error| format!("starting the thread that limits WebAssembly: {error}"))?;
    Ok(engine)
}

/// Ticks while a guest runs, and waits while none does.
fn tick(engine: &Engine) {
    let mut running = lock();
    loop {
        running = match *running {
            0 => BEGUN.wait(running).unwrap_or_else(PoisonError::into_inner),
            _ => BEGUN.wait_timeout(running, TICK).unwrap_or_else(PoisonError::into_inner).0,
        };
        engine.increment_epoch();
    }
}

/// There are ticks as long as it lives.
pub(super) struct Ticks;

impl Ticks {
    /// Begins to tick.
    pub(super) fn begin() -> Ticks {
        *lock() += 1;
        BEGUN.notify_one();
        Ticks
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        *lock() -= 1;
    }
}

fn lock() -> MutexGuard<'static, u32> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
