//! Notes who did what, as soon as it is done, whether by the API or on a page.
//!
//! The act counts and not its note: one that cannot be kept, because the store is away in that very moment, is told in the
//! log alone.

use nightshift_store::NewAct;

use crate::access::Caller;
use crate::app::App;
use crate::refused::{chain, one_line};

/// The longest reason that is kept.
const LONGEST: usize = 500;

pub(crate) async fn note(app: &App, caller: &Caller, did: String, why: &str) {
    let why = one_line(why).chars().take(LONGEST).collect();
    let act = NewAct { at: app.clock.now(), by: caller.name().to_owned(), did, why };
    if let Err(error) = app.gate.store.note_act(&act).await {
        tracing::error!("{}: {} {}", chain(&error), act.by, act.did);
    }
}
