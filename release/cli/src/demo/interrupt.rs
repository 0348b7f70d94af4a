//! Hears ctrl-c and requests to end, so that the demo can end what it started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use nightshift_contract::exit::Exit;
use tokio::signal::unix::{SignalKind, signal};

use crate::refusal::refusal;

/// Whether somebody asked the program to end.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let heard = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting to listen for ctrl-c")?;
        let (mut interrupt, mut terminate, mut hangup) = {
            let _inside = runtime.enter();
            let listen = |kind| signal(kind).context("starting to listen for ctrl-c");
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?)
        };
        let hear = heard.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            hear.store(true, Ordering::Relaxed);
        });
        Ok(Self(heard))
    }

    /// Somebody asked.
    pub(crate) fn heard(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error once somebody asked.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.heard() { Err(refusal(Exit::Failed, "interrupted")) } else { Ok(()) }
    }
}
