//! The core's stdin: orders arrive on it, and its end means that the launcher is gone.
//!
//! It is read on a thread of its own that nothing else can delay. At its end the process ends at once, whatever it is
//! doing: nobody watches over it any more, so nobody could stop it. What is on disk is consistent at every instant.
#![allow(clippy::disallowed_methods, reason = "a core without its launcher ends at once, whatever its threads do")]

use std::io::{self, BufRead};

use nightshift_contract::exit::Exit;
use nightshift_contract::message::ToCore;
use tokio::sync::watch;

use crate::orders::Orders;

/// Reads orders from stdin for as long as the process lives.
///
/// # Errors
/// When no thread can be started.
pub fn hold(orders: watch::Sender<Orders>) -> io::Result<()> {
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
        tracing::warn!("the launcher is gone, and so the core ends");
        std::process::exit(i32::from(Exit::Failed.code()));
    })?;
    Ok(())
}
