//! The life of a job: every legal move, and nothing else.
//!
//! The store asks [`after`] before it writes a job's state, and writes it only if the state is still the one it asked
//! about. A test prints the table into `docs/diagrams/job-life.md`.

use std::fmt;

use nightshift_wire::JobState;

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobEvent {
    /// The last byte of its batch arrived.
    Sealed,
    /// A worker claimed it.
    Claimed,
    /// The attempt's lease ran out, or its worker no longer holds it.
    Lost,
    /// A lost attempt gave a sign of life while nobody else had the job.
    TakenUp,
    /// Its worker stops, drains or changes release.
    Stopped,
    /// The plugin could not process it, and it may be tried again.
    Failed,
    /// The plugin could not process it, for the last time.
    GivenUp,
    /// Its lease ran out once more than PCs can be switched off by chance.
    LostTooOften,
    /// Results of one of its attempts were accepted.
    Accepted,
    /// An admin put it aside; an attempt that held it is lost and hears so at its next sign of life.
    Suspended,
    /// An admin put it back.
    Resumed,
    /// An admin wants it processed anew.
    Retried,
    /// An admin changed whom it is for or when it goes out; an attempt that held it is lost.
    Edited,
    /// An admin wants nobody to work on it any more; an attempt that held it is lost.
    Deleted,
}

impl JobEvent {
    /// Whether the job has a higher revision from then on: attempts from before are refused.
    pub fn revises(self) -> bool {
        matches!(self, JobEvent::Retried | JobEvent::Edited)
    }

    /// Whether failures and losses from before do not count any more.
    pub fn forgives(self) -> bool {
        self == JobEvent::Retried
    }

    /// How many failures it adds.
    pub fn failures(self) -> u32 {
        u32::from(matches!(self, JobEvent::Failed | JobEvent::GivenUp))
    }

    /// How many lost leases it adds.
    pub fn losses(self) -> u32 {
        u32::from(matches!(self, JobEvent::Lost | JobEvent::LostTooOften))
    }
}

/// A move that no job makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {} cannot be {}", name(.state), name(.event))]
pub struct IllegalMove {
    /// Where the job stands.
    pub state: JobState,
    /// What cannot happen to it there.
    pub event: JobEvent,
}

/// Where a job stands after an event.
pub fn after(state: JobState, event: JobEvent) -> Result<JobState, IllegalMove> {
    use JobEvent::{
        Accepted, Claimed, Edited, Failed, GivenUp, Lost, LostTooOften, Resumed, Retried, Sealed, Stopped, TakenUp,
    };
    use JobState::{Done, Quarantined, Receiving, Running, Suspended, Waiting};
    Ok(match (state, event) {
        (Receiving, Sealed) => Waiting,
        (Waiting, Claimed) => Running,
        (Waiting, TakenUp) => Running,
        (Running, Lost) => Waiting,
        (Running, LostTooOften) => Quarantined,
        (Running, Stopped) => Waiting,
        (Running, Failed) => Waiting,
        (Running, GivenUp) => Quarantined,
        (Waiting | Running | Suspended, Accepted) => Done,
        (Waiting | Running, JobEvent::Suspended) => JobState::Suspended,
        (Suspended, Resumed) => Waiting,
        (Quarantined | Done, Retried) => Waiting,
        (Waiting | Running, Edited) => Waiting,
        (Suspended, Edited) => Suspended,
        (Quarantined, Edited) => Quarantined,
        (Waiting | Running | Suspended | Quarantined, JobEvent::Deleted) => JobState::Deleted,
        _ => return Err(IllegalMove { state, event }),
    })
}

/// A state or event as people read it: `TakenUp` is "taken up".
fn name(value: &impl fmt::Debug) -> String {
    let mut words = String::new();
    for letter in format!("{value:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{JobState::*, *};
    use crate::life::JobEvent as Event;

    const STATES: [JobState; 7] = [Receiving, Waiting, Running, Done, Quarantined, Suspended, Deleted];
    const EVENTS: [Event; 14] = [
        Event::Sealed,
        Event::Claimed,
        Event::Lost,
        Event::TakenUp,
        Event::Stopped,
        Event::Failed,
        Event::GivenUp,
        Event::LostTooOften,
        Event::Accepted,
        Event::Suspended,
        Event::Resumed,
        Event::Retried,
        Event::Edited,
        Event::Deleted,
    ];

    #[test]
    fn the_diagram_shows_the_table() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/diagrams/job-life.md");
        let diagram = diagram();
        if std::env::var_os("UPDATE_DIAGRAMS").is_some() {
            std::fs::write(file, &diagram).expect("write the diagram");
        }
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert_eq!(written, diagram, "run the tests with UPDATE_DIAGRAMS=1 to write {file}");
    }

    #[test]
    fn a_done_job_never_moves_again_but_by_a_retry() {
        for event in EVENTS {
            let moves = if event == Event::Retried { Ok(Waiting) } else { Err(IllegalMove { state: Done, event }) };
            assert_eq!(after(Done, event), moves);
        }
    }

    #[test]
    fn a_deleted_job_never_moves_again() {
        for event in EVENTS {
            assert_eq!(after(Deleted, event), Err(IllegalMove { state: Deleted, event }));
        }
    }

    #[test]
    fn a_job_is_never_claimed_twice_at_a_time_nor_before_its_batch_is_whole() {
        for state in STATES.into_iter().filter(|state| *state != Waiting) {
            assert!(after(state, Event::Claimed).is_err(), "{state:?}");
        }
    }

    #[test]
    fn only_a_job_that_runs_has_failures_and_losses() {
        for event in EVENTS.into_iter().filter(|event| event.failures() + event.losses() > 0) {
            assert_eq!(event.failures() + event.losses(), 1, "{event:?}");
            for state in STATES.into_iter().filter(|state| *state != Running) {
                assert!(after(state, event).is_err(), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_job_that_runs_and_is_put_aside_changed_or_deleted_runs_no_more() {
        for event in [Event::Suspended, Event::Edited, Event::Deleted] {
            assert_ne!(after(Running, event), Ok(Running));
        }
    }

    #[test]
    fn retry_and_edit_raise_the_revision_and_only_a_retry_forgives() {
        let revising: Vec<Event> = EVENTS.into_iter().filter(|event| event.revises()).collect();
        assert_eq!(revising, [Event::Retried, Event::Edited]);
        assert!(EVENTS.into_iter().filter(|event| event.forgives()).eq([Event::Retried]));
    }

    #[test]
    fn results_once_accepted_stay_the_jobs_until_its_revision_rises() {
        for event in EVENTS.into_iter().filter(|event| after(Done, *event).is_ok()) {
            assert!(event.revises(), "{event:?}");
        }
    }

    #[test]
    fn every_state_is_reached_and_every_event_happens() {
        for state in STATES {
            let reached = STATES.iter().any(|from| EVENTS.iter().any(|&event| after(*from, event) == Ok(state)));
            assert!(reached || state == Receiving, "{state:?} cannot be reached");
        }
        for event in EVENTS {
            assert!(STATES.iter().any(|&state| after(state, event).is_ok()), "{event:?} cannot happen");
        }
    }

    #[test]
    fn an_illegal_move_says_what_was_tried() {
        let illegal = after(Done, Event::TakenUp).expect_err("a done job");
        assert_eq!(illegal.to_string(), "a job that is done cannot be taken up");
    }

    /// The table and the picture, both from [`after`].
    fn diagram() -> String {
        let mut text = String::from(
            "# The life of a job\n\n\
             Printed by a test of `jobserver/rules/src/life.rs` (`UPDATE_DIAGRAMS=1 cargo test -p nightshift-rules`). \
             An empty cell is a move that no job makes.\n\n| |",
        );
        for event in EVENTS {
            let _ = write!(text, " {} |", name(&event));
        }
        text += "\n|---|";
        text += &"---|".repeat(EVENTS.len());
        for state in STATES {
            let _ = write!(text, "\n| **{}** |", name(&state));
            for event in EVENTS {
                let cell = after(state, event).map(|next| name(&next)).unwrap_or_default();
                let _ = write!(text, " {cell} |");
            }
        }
        text += "\n\n```mermaid\nstateDiagram-v2\n    [*] --> receiving\n";
        for state in STATES {
            for next in STATES {
                let events: Vec<String> =
                    EVENTS.iter().filter(|&&event| after(state, event) == Ok(next)).map(name).collect();
                if !events.is_empty() {
                    let _ = writeln!(text, "    {} --> {}: {}", name(&state), name(&next), events.join(", "));
                }
            }
        }
        text + "```\n"
    }
}
