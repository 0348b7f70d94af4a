//! What an admin may do to a job: the event it leads to, or why the job stays as it is.

use nightshift_wire::{JobAction, JobState};

use crate::life::{self, JobEvent};

/// Why an action leaves a job as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unmoved {
    /// Its batch is still being handed in.
    #[error("its batch is still arriving")]
    Receiving,
    /// It stands there already.
    #[error("it is suspended already")]
    SuspendedAlready,
    /// Only a suspended job can be resumed.
    #[error("it is not suspended")]
    NotSuspended,
    /// Only a quarantined or done job can be retried.
    #[error("it is neither done nor quarantined: it is processed anyway")]
    Unfinished,
    /// Its results are accepted.
    #[error("it is done; retry it to have it processed anew")]
    Done,
    /// It waits for a person.
    #[error("it is quarantined; retry or delete it")]
    Quarantined,
    /// It was deleted, and stays so.
    #[error("it was deleted")]
    Deleted,
    /// The edit changes nothing.
    #[error("it is so already")]
    SameAlready,
}

/// What happens to a job in `state` by an action; `edits` says whether an edit would make it another.
pub fn judge(state: JobState, action: &JobAction, edits: bool) -> Result<JobEvent, Unmoved> {
    let event = match action {
        JobAction::Suspend => JobEvent::Suspended,
        JobAction::Resume => JobEvent::Resumed,
        JobAction::Retry => JobEvent::Retried,
        JobAction::Delete => JobEvent::Deleted,
        JobAction::Edit(_) => JobEvent::Edited,
    };
    if life::after(state, event).is_err() {
        return Err(why(state, action));
    }
    if event == JobEvent::Edited && !edits {
        return Err(Unmoved::SameAlready);
    }
    Ok(event)
}

fn why(state: JobState, action: &JobAction) -> Unmoved {
    match (state, action) {
        (JobState::Receiving, _) => Unmoved::Receiving,
        (JobState::Deleted, _) => Unmoved::Deleted,
        (JobState::Suspended, JobAction::Suspend) => Unmoved::SuspendedAlready,
        (JobState::Waiting | JobState::Running | JobState::Suspended, JobAction::Retry) => Unmoved::Unfinished,
        (_, JobAction::Resume) => Unmoved::NotSuspended,
        (JobState::Done, _) => Unmoved::Done,
        (JobState::Quarantined, _) => Unmoved::Quarantined,
        // Legal moves; `judge` never asks about them.
        (JobState::Waiting | JobState::Running | JobState::Suspended, _) => Unmoved::SameAlready,
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::JobEdit;

    use super::*;

    fn edit() -> JobAction {
        JobAction::Edit(JobEdit { priority: Some(1), ..JobEdit::default() })
    }

    #[test]
    fn each_action_moves_exactly_the_jobs_it_is_for() {
        use JobState::*;
        let all = [Receiving, Waiting, Running, Done, Quarantined, Suspended, Deleted];
        let cases: [(JobAction, &[JobState]); 5] = [
            (JobAction::Suspend, &[Waiting, Running]),
            (JobAction::Resume, &[Suspended]),
            (JobAction::Retry, &[Done, Quarantined]),
            (JobAction::Delete, &[Waiting, Running, Quarantined, Suspended]),
            (edit(), &[Waiting, Running, Quarantined, Suspended]),
        ];
        for (action, moved) in cases {
            for state in all {
                assert_eq!(judge(state, &action, true).is_ok(), moved.contains(&state), "{action:?} {state:?}");
            }
        }
    }

    #[test]
    fn a_job_left_as_it_is_says_why() {
        let why = |state, action: &JobAction| judge(state, action, true).expect_err("unmoved").to_string();
        assert_eq!(why(JobState::Done, &JobAction::Suspend), "it is done; retry it to have it processed anew");
        assert_eq!(why(JobState::Done, &JobAction::Delete), "it is done; retry it to have it processed anew");
        assert_eq!(why(JobState::Deleted, &JobAction::Retry), "it was deleted");
        assert_eq!(why(JobState::Suspended, &JobAction::Suspend), "it is suspended already");
        assert_eq!(why(JobState::Running, &JobAction::Resume), "it is not suspended");
        assert_eq!(why(JobState::Quarantined, &JobAction::Suspend), "it is quarantined; retry or delete it");
        assert_eq!(
            why(JobState::Waiting, &JobAction::Retry),
            "it is neither done nor quarantined: it is processed anyway"
        );
    }

    #[test]
    fn an_edit_that_changes_nothing_raises_no_revision() {
        assert_eq!(judge(JobState::Running, &edit(), false), Err(Unmoved::SameAlready));
        assert_eq!(judge(JobState::Done, &edit(), false), Err(Unmoved::Done));
    }
}
