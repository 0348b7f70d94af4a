//! Rows that wait for what servers do after a time of their own wait side by side, however few threads the harness has: whoever
//! comes first has all of them played that were asked for, each on a thread of its own.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// A row: its name, and how it is played.
pub(crate) type Row = (&'static str, fn());

static PLAYING: OnceLock<Mutex<BTreeMap<&'static str, JoinHandle<()>>>> = OnceLock::new();

/// Makes a test of each row that waits, and the list of them.
macro_rules! rows_that_wait {
    ($(fn $row:ident() $play:block)*) => {
        pub(crate) const WAITING: &[crate::overlap::Row] = &[$((concat!(module_path!(), "::", stringify!($row)), || $play)),*];
        $(
            #[test]
            fn $row() {
                crate::overlap::join(concat!(module_path!(), "::", stringify!($row)));
            }
        )*
    };
}
pub(crate) use rows_that_wait;

/// Has the rows played that wait and were asked for.
pub(crate) fn begin() {
    PLAYING.get_or_init(|| {
        let asked_for = |row: &Row| {
            let mut filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
            filters.peek().is_none() || filters.any(|filter| row.0.contains(&filter))
        };
        let rows = [crate::identities::WAITING, crate::silence::WAITING, crate::standing_still::WAITING].concat();
        let rows = rows.into_iter().filter(asked_for);
        Mutex::new(rows.map(|(name, play)| (name, std::thread::spawn(play))).collect())
    });
}

/// Waits until a row was played, which fails where it failed.
pub(crate) fn join(row: &'static str) {
    begin();
    let playing = PLAYING.get().and_then(|rows| rows.lock().unwrap_or_else(PoisonError::into_inner).remove(row));
    // It was asked for in another way than this module understands.
    let playing = playing.unwrap_or_else(|| {
        let rows = [crate::identities::WAITING, crate::silence::WAITING, crate::standing_still::WAITING].concat();
        let play = rows.iter().find(|(name, _)| *name == row).map(|(_, play)| *play);
        std::thread::spawn(play.expect("it is in the list"))
    });
    if let Err(panic) = playing.join() {
        std::panic::resume_unwind(panic);
    }
}
