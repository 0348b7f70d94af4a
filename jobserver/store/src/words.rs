//! States as they stand in the tables: the words of the API and of the CHECK constraints, the same in every store.

use nightshift_rules::attempt::AttemptState;
use nightshift_wire::{BatchState, JobState, TrialState, WorkerState};

/// A value that is one word in a column.
pub(crate) trait Word: Copy {
    /// The word.
    fn word(self) -> &'static str;
    /// What the word means; `None` for a word this version does not know.
    fn of(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($type:ident { $($variant:ident: $text:literal),* $(,)? }) => {
        impl Word for $type {
            fn word(self) -> &'static str {
                match self { $($type::$variant => $text,)* }
            }

            fn of(word: &str) -> Option<Self> {
                match word {
                    $($text => Some($type::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

words!(JobState {
    Receiving: "receiving",
    Waiting: "waiting",
    Running: "running",
    Done: "done",
    Quarantined: "quarantined",
    Suspended: "suspended",
    Deleted: "deleted",
});

words!(BatchState { Receiving: "receiving", Open: "open", Done: "done", Incomplete: "incomplete" });

words!(AttemptState {
    Running: "running",
    Lost: "lost",
    GivenBack: "given_back",
    Accepted: "accepted",
    Superseded: "superseded",
});

words!(WorkerState {
    Working: "working",
    Waiting: "waiting",
    Resting: "resting",
    Stopped: "stopped",
    Blocked: "blocked",
});

words!(TrialState { Running: "running", Good: "good", Bad: "bad", Unknown: "unknown" });
