//! What people do to jobs: suspend, resume, retry, edit, delete, some of them at a time.
//!
//! The store finds jobs that a filter chooses; here each is judged once more as it is now, so that a job that moved in
//! between is left alone. An attempt that holds a job which is suspended, edited or deleted is lost; its worker hears so at
//! its next sign of life. That loss does not count against the job.

use nightshift_rules::{action, life::JobEvent};
use nightshift_wire::{AttemptState, Job, JobAction, JobFilter, JobId, JobPage, JobState, Moment, Unchanged};

use super::{
    moves::{self, Move},
    rows::{JobRow, LaneId},
    set::{Halt, Need, ResultsChange, WorkingSet},
    task::Verb,
};
use crate::{Changed, JobChange};

/// So many jobs are changed in one step.
pub(crate) const CHANGED_AT_ONCE: u32 = 200;

/// A step ends where it would supersede more results than this, so that claims wait no longer for it than for any other
/// group of verbs; a larger job is a step of its own.
const SUPERSEDED_AT_ONCE: u64 = 2_000;

/// One step of a change, on its way to the store.
#[derive(Debug)]
pub(crate) struct ChangesJobs {
    change: JobChange,
    /// What the filter chose a moment ago.
    jobs: Vec<JobId>,
    /// So many results are superseded.
    results: u64,
    now: Moment,
}

impl ChangesJobs {
    /// The next step of a change, of what the filter chose, and where the one after it begins.
    pub(crate) fn step(change: &JobChange, page: JobPage, now: Moment) -> (ChangesJobs, Option<JobId>) {
        let JobPage { jobs: mut chosen, mut next } = page;
        let retries = !change.dry_run && change.action == JobAction::Retry;
        let supersedes = |job: &Job| if retries && job.state == JobState::Done { job.records } else { 0 };
        let mut results = chosen.first().map_or(0, supersedes);
        let mut fit = 1;
        while let Some(more) = chosen.get(fit).map(supersedes).filter(|more| results + more <= SUPERSEDED_AT_ONCE) {
            results += more;
            fit += 1;
        }
        if let Some(left) = chosen.get(fit) {
            next = Some(left.id);
            chosen.truncate(fit);
        }
        let jobs = chosen.iter().map(|job| job.id).collect();
        (ChangesJobs { change: change.clone(), jobs, results, now }, next)
    }

    /// Asks for everything at once that the loop would ask for one by one.
    fn load(&self, set: &WorkingSet) -> Result<(), Halt> {
        let jobs: Vec<Need> = self.jobs.iter().filter(|job| !set.has_job(**job)).map(|job| Need::Job(*job)).collect();
        if !jobs.is_empty() {
            return Err(Halt::Missing(jobs));
        }
        let mut holders = Vec::new();
        for &job in &self.jobs {
            let holder = set.job(job)?.and_then(|job| job.holder.as_ref()).map(|(holder, _)| *holder);
            holders.extend(holder.filter(|holder| !set.has_attempt(*holder)).map(Need::Attempt));
        }
        if holders.is_empty() { Ok(()) } else { Err(Halt::Missing(holders)) }
    }

    fn change(&self, set: &mut WorkingSet, job: &JobRow, event: JobEvent, lane: Option<LaneId>) -> Result<(), Halt> {
        let action = &self.change.action;
        let reason = match (self.change.reason.trim(), action) {
            ("", JobAction::Suspend) => "suspended by an admin",
            ("", JobAction::Delete) => "deleted by an admin",
            // Why it waits or is quarantined stays as it was unless somebody says more.
            ("", JobAction::Edit(_)) if job.state != JobState::Running => job.reason.as_str(),
            (reason, _) => reason,
        };
        if job.state == JobState::Running
            && let Some((holder, _)) = &job.holder
        {
            let ended = match action {
                JobAction::Suspend => "the job was suspended",
                JobAction::Delete => "the job was deleted",
                JobAction::Edit(_) | JobAction::Resume | JobAction::Retry => "the job was edited",
            };
            moves::end(set, *holder, AttemptState::Lost, ended, self.now)?;
        }
        if job.state == JobState::Done {
            set.change_results(ResultsChange::Superseded { first: job.first_record, records: job.records });
        }
        moves::make(set, job.id, &Move { lane, ..Move::released(event, reason) }, self.now)
    }
}

/// Whether a filter still chooses a job. Whose it is never changes and is not asked again.
fn chooses(set: &WorkingSet, filter: &JobFilter, job: &JobRow) -> Result<bool, Halt> {
    let JobFilter { ids, batch, state, plugin, release, worker, owner: _ } = filter;
    let mut chosen = !filter.is_empty()
        && (ids.is_empty() || ids.contains(&job.id))
        && batch.is_none_or(|batch| batch == job.batch)
        && state.is_none_or(|state| state == job.state)
        && worker.as_ref().is_none_or(|worker| job.holder.as_ref().is_some_and(|(_, holder)| holder == worker));
    if let Some(plugin) = plugin.as_ref().filter(|_| chosen) {
        chosen = set.kind(job.lane)?.plugin == *plugin;
    }
    if let Some(release) = release.as_ref().filter(|_| chosen) {
        chosen = match &job.holder {
            Some((attempt, _)) if job.state == JobState::Done => set.known_attempt(*attempt)?.release == *release,
            _ => false,
        };
    }
    Ok(chosen)
}

impl Verb for ChangesJobs {
    type Answer = Changed;

    fn needs(&self, set: &WorkingSet, needs: &mut Vec<Need>) {
        needs.extend(self.jobs.iter().filter(|job| !set.has_job(**job)).map(|job| Need::Job(*job)));
    }

    fn run(&self, set: &mut WorkingSet) -> Result<Changed, Halt> {
        self.load(set)?;
        let mut changed = Changed::default();
        for &id in &self.jobs {
            let Some(job) = set.job(id)?.cloned() else { continue };
            if !chooses(set, &self.change.filter, &job)? {
                continue;
            }
            changed.matched += 1;
            let before = set.kind(job.lane)?.clone();
            let after = match &self.change.action {
                JobAction::Edit(edit) => before.edited(edit),
                _ => before.clone(),
            };
            let edits = after != before;
            match action::judge(job.state, &self.change.action, edits) {
                Err(why) => changed.unchanged.push(Unchanged { job: id, why: why.to_string() }),
                Ok(event) => {
                    changed.changed += 1;
                    if !self.change.dry_run {
                        let lane = if edits { Some(set.lane(job.batch, after)?) } else { None };
                        self.change(set, &job, event, lane)?;
                    }
                }
            }
        }
        Ok(changed)
    }

    fn weight(&self) -> usize {
        self.jobs.len() + usize::try_from(self.results).unwrap_or(usize::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use nightshift_wire::JobEdit;

    use super::*;

    fn job(id: JobId, state: JobState, records: u64) -> Job {
        Job {
            id,
            batch: 1,
            seq: 0,
            plugin: String::new(),
            priority: 0,
            requirements: nightshift_wire::Requirements::default(),
            revision: 1,
            state,
            reason: String::new(),
            records,
            pickups: 1,
            failures: 0,
            losses: 0,
            not_before: None,
            worker: None,
            started_at: None,
            finished_at: None,
        }
    }

    /// How many of these jobs are in the first step, what it weighs, and where the next one begins.
    fn first(action: JobAction, jobs: &[(JobState, u64)], next: Option<JobId>) -> (usize, usize, Option<JobId>) {
        let jobs = (10..).zip(jobs).map(|(id, &(state, records))| job(id, state, records)).collect();
        let change = JobChange { action, filter: JobFilter::default(), reason: String::new(), dry_run: false };
        let (step, next) = ChangesJobs::step(&change, JobPage { jobs, next }, 0);
        (step.jobs.len(), step.weight(), next)
    }

    #[test]
    fn a_step_supersedes_the_results_of_some_jobs_and_never_of_a_whole_batch() {
        use JobState::{Done, Quarantined};
        let retried = |jobs: &[(JobState, u64)]| first(JobAction::Retry, jobs, Some(99));
        assert_eq!(retried(&[(Done, 1_000), (Done, 1_000), (Done, 1)]), (2, 2_002, Some(12)));
        assert_eq!(retried(&[(Done, 100_000), (Done, 1)]), (1, 100_001, Some(11)), "a large one by itself");
        assert_eq!(
            retried(&[(Quarantined, 100_000), (Done, 7)]),
            (2, 9, Some(99)),
            "what has no results weighs nothing"
        );
        assert_eq!(first(JobAction::Retry, &[], None), (0, 0, None));
        let edit = JobAction::Edit(JobEdit::default());
        assert_eq!(first(edit, &[(Done, 5_000), (Done, 5_000)], None), (2, 2, None), "a done job is not edited");
    }
}
