//! What admins do to jobs, batches and workers, and what came of it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{BatchId, Job, JobId, JobState, Requirements};

/// Which jobs. Every part that is there narrows the choice; a filter without any part chooses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobFilter {
    /// These jobs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<JobId>,
    /// Jobs of this batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// Jobs that stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// Jobs for this plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Done jobs whose results were computed by this release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Jobs that this worker holds or did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Jobs of this owner's batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl JobFilter {
    /// Whether it has no part at all and so chooses nothing.
    pub fn is_empty(&self) -> bool {
        *self == JobFilter::default()
    }
}

/// Which jobs, in words, as they stand behind `jobs`: `of batch 7, quarantined`.
impl fmt::Display for JobFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
        let parts = [
            (!ids.is_empty()).then(|| format!("numbered {}", ids.join(" "))),
            self.batch.map(|batch| format!("of batch {batch}")),
            self.state.map(|state| state.word().to_owned()),
            self.plugin.as_ref().map(|plugin| format!("for plugin {plugin}")),
            self.release.as_ref().map(|release| format!("computed by {release}")),
            self.worker.as_ref().map(|worker| format!("of worker {worker}")),
            self.owner.as_ref().map(|owner| format!("handed in by {owner}")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// The query of `GET /v1/jobs`; without any part it lists every job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct JobQuery {
    /// Jobs of this batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// Jobs that stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<JobState>,
    /// Jobs for this plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Done jobs whose results were computed by this release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Jobs that this worker holds or did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Jobs of this owner's batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The lowest job number to show; the answer's [`JobPage::next`] goes on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<JobId>,
    /// The most jobs to show at once; the server may show fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl JobQuery {
    /// Which jobs it asks for.
    pub fn filter(&self) -> JobFilter {
        JobFilter {
            ids: Vec::new(),
            batch: self.batch,
            state: self.state,
            plugin: self.plugin.clone(),
            release: self.release.clone(),
            worker: self.worker.clone(),
            owner: self.owner.clone(),
        }
    }
}

/// Some of the jobs that a [`JobQuery`] asks for, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where to go on with `from`; absent when these were the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<JobId>,
}

/// What shall happen to jobs. What it leads to is one table in `jobserver/rules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// Nobody works on it until it is resumed; a worker that does hears so at its next sign of life.
    Suspend,
    /// A suspended job waits again.
    Resume,
    /// A quarantined or done job is processed anew, at a higher revision; results it had are kept as superseded.
    Retry,
    /// Nobody works on it any more; its records come back with an error that says so.
    Delete,
    /// It is for other workers, or goes sooner or later; at a higher revision.
    Edit(JobEdit),
}

/// What was done, in words: `retried`, `edited (priority 5)`.
impl fmt::Display for JobAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edit = match self {
            JobAction::Suspend => return f.write_str("suspended"),
            JobAction::Resume => return f.write_str("resumed"),
            JobAction::Retry => return f.write_str("retried"),
            JobAction::Delete => return f.write_str("deleted"),
            JobAction::Edit(edit) => edit,
        };
        let parts = [
            edit.priority.map(|priority| format!("priority {priority}")),
            edit.plugin.as_ref().map(|plugin| format!("plugin {plugin}")),
            edit.requirements.as_ref().map(|asked| format!("requirements {asked}")),
        ];
        write!(f, "edited ({})", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// What of a job shall be another; the rest stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobEdit {
    /// Higher goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// What it asks of a worker, as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Requirements>,
    /// The plugin that shall process it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
}

/// Does something to every job a filter chooses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionRequest {
    /// What shall happen.
    pub action: JobAction,
    /// To which jobs.
    pub filter: JobFilter,
    /// Why, in a sentence; people read it at the job.
    #[serde(default)]
    pub reason: String,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an action did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ActionReport {
    /// Jobs the filter chooses.
    pub matched: u64,
    /// Jobs that were changed, or would be.
    pub changed: u64,
    /// Some hundred at most of those that were left as they are; there are `matched - changed` in all.
    pub unchanged: Vec<Unchanged>,
}

/// A job that an action left as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unchanged {
    /// The job.
    pub job: JobId,
    /// Why, in a sentence.
    pub why: String,
}

/// Why a person does something, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reason {
    /// The sentence; may be empty.
    pub reason: String,
}

/// What an admin changes about a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerChange {
    /// It gets no further jobs until it is resumed; what it has it may finish.
    Drain(Reason),
    /// It gets jobs again.
    Resume,
    /// It has these tags and no others.
    Tags(BTreeSet<String>),
    /// What people call it; empty for the name of its host.
    Name(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_reads_as_its_word_and_an_edit_as_what_it_changes() {
        let read = |text: &str| serde_json::from_str::<ActionRequest>(text).expect(text);
        let retry = read(r#"{"action":"retry","filter":{"batch":7,"state":"quarantined"}}"#);
        assert_eq!((retry.action, retry.dry_run), (JobAction::Retry, false));
        let edit = read(r#"{"action":{"edit":{"priority":5}},"filter":{"ids":[1,2]},"dry_run":true}"#);
        assert_eq!(edit.action, JobAction::Edit(JobEdit { priority: Some(5), ..JobEdit::default() }));
    }

    #[test]
    fn what_is_done_to_which_jobs_stands_in_words() {
        let filter = JobFilter { batch: Some(7), state: Some(JobState::Quarantined), ..JobFilter::default() };
        assert_eq!(filter.to_string(), "of batch 7, quarantined");
        let some = JobFilter { ids: vec![3, 4], owner: Some("anna".into()), ..JobFilter::default() };
        assert_eq!(some.to_string(), "numbered 3 4, handed in by anna");
        let requirements = Requirements { memory_mb: 512, tags: ["gpu".to_owned()].into(), ..Requirements::default() };
        let edit = JobEdit { priority: Some(5), requirements: Some(requirements), plugin: None };
        assert_eq!(JobAction::Edit(edit).to_string(), "edited (priority 5, requirements 512 MB of memory, tag gpu)");
        assert_eq!(JobAction::Retry.to_string(), "retried");
    }

    #[test]
    fn a_misspelt_part_of_a_filter_never_widens_it() {
        assert!(serde_json::from_str::<JobFilter>(r#"{"bacth":7,"state":"quarantined"}"#).is_err());
        assert!(serde_json::from_str::<JobFilter>("{}").expect("empty").is_empty());
    }

    #[test]
    fn changes_of_a_worker_are_one_word_each() {
        let text = |change: &WorkerChange| serde_json::to_string(change).expect("text");
        assert_eq!(text(&WorkerChange::Resume), r#""resume""#);
        assert_eq!(text(&WorkerChange::Tags(["gpu".to_owned()].into())), r#"{"tags":["gpu"]}"#);
        let drain = WorkerChange::Drain(Reason { reason: "hot".to_owned() });
        assert_eq!(text(&drain), r#"{"drain":{"reason":"hot"}}"#);
    }
}
