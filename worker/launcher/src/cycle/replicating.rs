//! The replica within a cycle: kept for as long as the release in force needs it, ended while the worker is stopped. How it is
//! made current is in [`crate::replica`].

use std::time::Duration;

use nightshift_wire::{ReplicaReport, ReplicaState};
use tokio::runtime::Runtime;

use super::Cycle;
use crate::decide;
use crate::replica::{self, Keeper, Needs};
use crate::report::Step;
use crate::settings::ReplicaServer;

/// How long a cycle waits for the first word about the replica; what is not known then is learnt while the core runs.
const FIRST_WORD: Duration = Duration::from_secs(20);

impl Cycle<'_> {
    /// Begins to keep the replica, and waits for the first word about it.
    pub(super) fn look_at_replica(&mut self, runtime: &Runtime) {
        runtime.block_on(async {
            self.keep_replica().await;
            if let Some(keeper) = &mut self.replica {
                let _ = tokio::time::timeout(FIRST_WORD, keeper.changed()).await;
            }
        });
        self.hear_of_replica();
    }

    /// Keeps the replica for the release in force, if a plugin of it needs one.
    pub async fn keep_replica(&mut self) {
        let Some(release) = self.visit.as_ref().and_then(|visit| visit.release.as_ref()) else { return };
        if self.kept_for.as_ref() == Some(&release.slot) {
            return;
        }
        self.kept_for = Some(release.slot.clone());
        let needs = Needs::of(release);
        if self.replica.as_ref().is_some_and(|keeper| *keeper.needs() == needs) {
            return;
        }
        let (settings, client) = (self.settings, self.sender.client());
        if let Some(before) = self.replica.take() {
            before.leave().await;
        }
        let begun = Keeper::begin(&settings.replica, &settings.state, &self.reporter.worker, client, needs);
        self.replica = begun.unwrap_or_else(|error| {
            tracing::error!("nobody looks after the replica: {error}");
            None
        });
        if self.replica.is_none() || !matches!(settings.replica.server, ReplicaServer::Own { .. }) {
            replica::end(&settings.state).await;
        }
    }

    /// Takes in how the replica stands.
    pub fn hear_of_replica(&mut self) {
        self.standing = self.replica.as_ref().map(Keeper::standing).unwrap_or_default();
        match &self.standing.report {
            None => {}
            Some(report) if report.state == ReplicaState::Current || self.standing.next.is_empty() => {
                self.findings.good(Step::Replica, report.reason.clone());
            }
            Some(report) => self.findings.bad(Step::Replica, report.reason.clone(), self.standing.next.clone()),
        }
    }

    /// Why nothing could run for want of data.
    pub(super) fn no_data(&self) -> Option<String> {
        let all = self.replica.as_ref().is_some_and(|keeper| keeper.needs().all);
        self.standing.stuck_in_words().filter(|_| all)
    }

    /// Keeps the replica no longer: the worker's own server runs on, unless nothing may run here.
    pub(super) fn leave_replica(&mut self, runtime: &Runtime) {
        if !decide::next(&self.facts()).is_stopped() {
            return;
        }
        let keeper = self.replica.take();
        runtime.block_on(async {
            if let Some(keeper) = keeper {
                keeper.leave().await;
            }
            replica::end(&self.settings.state).await;
        });
        if let Some(ReplicaReport { state, reason, .. }) = &mut self.standing.report
            && matches!(self.settings.replica.server, ReplicaServer::Own { .. })
        {
            *state = ReplicaState::Away;
            "its server was ended, because the worker is stopped".clone_into(reason);
            self.findings.good(Step::Replica, reason.clone());
        }
    }
}
