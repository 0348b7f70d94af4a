//! A job moves: the one place where a job's state, its attempt and its batch's counters change together.
//!
//! The procedure: ask the rules what the event leads to; change the job; count the move in its batch. Whoever held the
//! job is dealt with by the caller ([`end`] ends a running attempt), in the same verb.

use nightshift_rules::{
    life::{self, JobEvent},
    retry,
};
use nightshift_wire::{AttemptId, AttemptState, JobId, JobState, Moment};

use super::{
    rows::{JobRow, LaneId},
    set::{Halt, WorkingSet},
};

/// What happens to a job, and what shall be known of it afterwards.
pub(super) struct Move<'a> {
    pub(super) event: JobEvent,
    /// The attempt that holds or did the job from now on, and its worker.
    pub(super) holder: Option<(AttemptId, &'a str)>,
    /// Why it stands there, for people.
    pub(super) reason: &'a str,
    /// Of its accepted results, those that are errors.
    pub(super) errors: u64,
    /// The lane it belongs to from now on, when that is another.
    pub(super) lane: Option<LaneId>,
}

impl<'a> Move<'a> {
    /// A move after which nobody holds the job.
    pub(super) fn released(event: JobEvent, reason: &'a str) -> Move<'a> {
        Move { event, holder: None, reason, errors: 0, lane: None }
    }
}

/// Moves a job as the rules say.
pub(super) fn make(set: &mut WorkingSet, job: JobId, change: &Move<'_>, now: Moment) -> Result<(), Halt> {
    let before = set.known_job(job)?.clone();
    let mut batch = set.known_batch(before.batch)?.clone();
    let event = change.event;
    let to = life::after(before.state, event)?;
    let forgiven = |count: u32| if event.forgives() { 0 } else { count };
    let failures = forgiven(before.failures).saturating_add(event.failures());
    let claimed = event == JobEvent::Claimed;
    let done = to == JobState::Done;
    let after = JobRow {
        state: to,
        reason: change.reason.to_owned(),
        lane: change.lane.unwrap_or(before.lane),
        revision: before.revision + u32::from(event.revises()),
        errors: change.errors,
        pickups: before.pickups.saturating_add(u32::from(claimed)),
        failures,
        losses: forgiven(before.losses).saturating_add(event.losses()),
        not_before: match event {
            JobEvent::Failed => retry::not_before(failures, now),
            JobEvent::Edited => before.not_before,
            _ => 0,
        },
        holder: change.holder.map(|(attempt, worker)| (attempt, worker.to_owned())),
        started_at: if claimed { Some(now) } else { before.started_at },
        finished_at: done.then_some(now),
        ..before
    };

    let counts = &mut batch.counts;
    if let Some(count) = counts.of(before.state) {
        *count -= 1;
    }
    if let Some(count) = counts.of(to) {
        *count += 1;
    }
    // Numbers of records are far below what does not fit.
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    if before.state == JobState::Done {
        counts.results -= signed(before.records);
        counts.errors -= signed(before.errors);
    }
    if done {
        counts.results += signed(after.records);
        counts.errors += signed(after.errors);
        counts.judged_results += signed(after.records);
        counts.judged_errors += signed(after.errors);
    }
    batch.counted_at = now;
    set.put_job(after);
    set.put_batch(batch);
    Ok(())
}

/// Notes that a running attempt ended without results.
pub(super) fn end(
    set: &mut WorkingSet,
    attempt: AttemptId,
    to: AttemptState,
    reason: &str,
    now: Moment,
) -> Result<(), Halt> {
    let mut row = set.known_attempt(attempt)?.clone();
    if row.state != AttemptState::Running {
        return Err(Halt::Contradiction(format!("attempt {attempt} was not running")));
    }
    row.state = to;
    reason.clone_into(&mut row.reason);
    row.lease_until = None;
    row.ended_at = Some(now);
    set.put_attempt(row);
    Ok(())
}

/// Takes a running attempt's job back because nothing is heard of the attempt, or its worker no longer has it.
pub(super) fn lose(set: &mut WorkingSet, attempt: AttemptId, reason: &str, now: Moment) -> Result<JobId, Halt> {
    let job = set.known_attempt(attempt)?.job;
    let losses = set.known_job(job)?.losses.saturating_add(1);
    end(set, attempt, AttemptState::Lost, reason, now)?;
    let event = retry::after_loss(losses);
    let too_often;
    let reason = if event == JobEvent::LostTooOften {
        too_often = retry::lost_too_often(losses, reason);
        &too_often
    } else {
        reason
    };
    make(set, job, &Move::released(event, reason), now)?;
    Ok(job)
}
