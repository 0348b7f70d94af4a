//! Which jobs somebody chooses: as it stands in a form, as a query, in words, and as it is asked of the store.

use std::fmt::Write as _;

use nightshift_wire::{JobFilter, JobState};
use serde::Deserialize;

use crate::pages::errors::escaped;
use crate::pages::frame::filled;
use crate::refused::Refused;

pub(super) const STATES: [JobState; 6] = [
    JobState::Waiting,
    JobState::Running,
    JobState::Done,
    JobState::Quarantined,
    JobState::Suspended,
    JobState::Deleted,
];

/// A filter as it stands in a form; what is empty chooses all.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::pages) struct Filter {
    #[serde(default)]
    pub(in crate::pages) batch: String,
    #[serde(default)]
    pub(in crate::pages) state: String,
    #[serde(default)]
    pub(in crate::pages) plugin: String,
    #[serde(default)]
    pub(in crate::pages) worker: String,
    #[serde(default)]
    pub(in crate::pages) release: String,
    #[serde(default)]
    pub(in crate::pages) id: String,
}

impl Filter {
    pub(super) fn read(&self, doing: &str) -> Result<JobFilter, Refused> {
        let number = |what: &str, text: &str| match filled(text) {
            None => Ok(None),
            Some(text) => text.parse::<i64>().map(Some).map_err(|_| {
                Refused::bad_request(format!("{doing}: {text:?} is no number of a {what}; it is written in digits"))
            }),
        };
        let state = match filled(&self.state) {
            None => None,
            Some(word) => Some(STATES.into_iter().find(|state| state.word() == word).ok_or_else(|| {
                let states = STATES.map(JobState::word).join(", ");
                Refused::bad_request(format!("{doing}: {word:?} is no state of a job; there are {states}"))
            })?),
        };
        Ok(JobFilter {
            ids: number("job", &self.id)?.into_iter().collect(),
            batch: number("batch", &self.batch)?,
            state,
            plugin: filled(&self.plugin),
            release: filled(&self.release),
            worker: filled(&self.worker),
            owner: None,
        })
    }

    /// As a query.
    pub(super) fn written(&self) -> String {
        let Filter { batch, state, plugin, worker, release, id } = self;
        let parts = [
            ("batch", batch),
            ("state", state),
            ("plugin", plugin),
            ("worker", worker),
            ("release", release),
            ("id", id),
        ];
        let parts = parts.iter().filter(|(_, value)| !value.trim().is_empty());
        parts.map(|(name, value)| format!("{name}={}", escaped(value.trim()))).collect::<Vec<_>>().join("&")
    }

    /// Which jobs these are.
    pub(super) fn in_words(&self) -> String {
        let mut words = format!("{} jobs", if self.state.is_empty() { "all" } else { &self.state });
        for (before, part) in [
            (" of batch ", &self.batch),
            (" of plugin ", &self.plugin),
            (" on worker ", &self.worker),
            (" done by release ", &self.release),
            (", number ", &self.id),
        ] {
            if !part.is_empty() {
                let _ = write!(words, "{before}{part}");
            }
        }
        words
    }
}
