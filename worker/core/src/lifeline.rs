//! The core's stdin: orders arrive on it, and its end means that the launcher is gone.
//!
//! It is read on a thread of its own that nothing else can delay. At its end everything below this process is ended, and
//! then the process itself, at once, whatever it is doing: nobody watches over it any more, so nobody could stop it. What
//! is on disk is consistent at every instant.
#![allow(clippy::disallowed_methods, reason = "a core without its launcher ends at once, whatever its threads do")]

use std::io::{self, BufRead};
use std::time::Duration;

use nightshift_contract::exit::Exit;
use nightshift_contract::message::ToCore;
use nightshift_kin::Roots;
use nightshift_plugin::process::with_running;
use tokio::sync::watch;

use crate::orders::Orders;

/// How long everything below the core may take to end. What survives has the mark, and the next cycle's care.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// Reads orders from stdin for as long as the process lives. `mark` is what its launcher put into its environment.
///
/// # Errors
/// When no thread can be started.
pub fn hold(orders: watch::Sender<Orders>, mark: Option<String>) -> io::Result<()> {
    std::thread::Builder::new().name("lifeline".to_owned()).spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut line = Vec::new();
        // A line that is not UTF-8 is one this version does not know.
        while matches!(stdin.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            if let Some(message) = ToCore::parse(&String::from_utf8_lossy(&line)) {
                tracing::info!("the launcher says: {}", message.for_log());
                orders.send_modify(|orders| orders.take(message));
            }
            line.clear();
        }
        tracing::warn!("the launcher is gone, and so the core ends with everything it started");
        end_descendants(mark.as_deref());
        std::process::exit(i32::from(Exit::Failed.code()));
    })?;
    Ok(())
}

/// Ends everything that descends from this process or has its mark.
pub fn end_descendants(mark: Option<&str>) {
    let me = std::process::id();
    let roots = Roots { below: Some(me), mark, spare: &[me], ..Roots::default() };
    let ended = with_running(|running| nightshift_kin::end(&roots, running, ENDED_WITHIN));
    if let Err(survivors) = ended {
        tracing::error!("ending what this core started: {survivors}");
    }
}
