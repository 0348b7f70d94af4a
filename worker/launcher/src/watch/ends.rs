//! Signals that ask a launcher to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that ask a launcher to end.
pub(super) struct Ends(Vec<Signal>);

impl Ends {
    /// Listens; a signal that cannot be listened to keeps its own effect, which also ends the launcher.
    pub(super) fn new() -> Ends {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let listening: io::Result<Vec<Signal>> = kinds.into_iter().map(signal).collect();
        Ends(listening.unwrap_or_default())
    }

    pub(super) async fn asked(&mut self) {
        match self.0.as_mut_slice() {
            [terminate, interrupt, hangup] => tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            },
            _ => std::future::pending().await,
        }
    }
}
