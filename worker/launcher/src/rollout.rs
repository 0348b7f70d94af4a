//! What the job server says about rings: asked in each visit to the repository, remembered over restarts, made into the
//! gate that releases have to pass ([`Heard::gate`]).
//!
//! It is asked after the look, so that it never delays a stop, and only when a release is offered or the one in force has
//! a plan: a grid without plans asks nobody. What it says can open later rings and send this worker back one step; what
//! it does not say opens nothing. While it is away everything stays as it was heard last.
//!
//! It blocks, as the engine does. The time that counts for windows is the server's, carried on by this machine's clock
//! that nobody sets.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use nightshift_client::{Access, Client, ClientError, Timeouts};
use nightshift_contract::layout::StateDir;
use nightshift_engine::{Held, Verified};
use nightshift_manifest::rollout::{Heard, HeldBack, Holds, Opening, Plan, RingOpening};
use nightshift_manifest::version::ReleaseVersion;
use nightshift_wire::{RingState, Rollout, Rollouts};
use tokio::runtime::{Builder, Runtime};

use crate::clock;
use crate::repository::chain;
use crate::swap::{self, Keep};

/// What was heard of rings, and whom to ask.
pub struct Openings {
    worker: String,
    asked: Option<(Runtime, Client)>,
    within: Duration,
    path: PathBuf,
    heard: Heard,
    /// The etag of what was heard; empty when nothing was heard by this process.
    etag: String,
    /// The server's clock, and this machine's when it was told.
    clock: Option<(Timestamp, u64)>,
}

impl std::fmt::Debug for Openings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Openings").field("worker", &self.worker).field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl Drop for Openings {
    /// The watch over a core is asynchronous and ends with what it holds: a runtime that waited for its threads there would
    /// end the launcher.
    fn drop(&mut self) {
        if let Some((runtime, _)) = self.asked.take() {
            runtime.shutdown_background();
        }
    }
}

impl Openings {
    /// What `worker` heard last, and the job servers to ask from now on; none when the store is used directly. A request
    /// takes `within` at most.
    ///
    /// # Errors
    /// When an address cannot be one of a job server.
    pub fn of(
        worker: &str,
        servers: &[String],
        access: &Access,
        within: Duration,
        state: &StateDir,
    ) -> Result<Openings, ClientError> {
        let asked = match (servers.is_empty(), Builder::new_current_thread().enable_all().build()) {
            (true, _) => None,
            (false, Ok(runtime)) => {
                let client = Client::with_access(servers.iter().cloned(), Timeouts::all(within), access)?;
                Some((runtime, client))
            }
            (false, Err(error)) => {
                tracing::warn!("nobody is asked which rings are open: {error}");
                None
            }
        };
        let path = state.rollout();
        // Torn or of another version: as if nothing had been heard.
        let heard = fs::read(&path).ok().and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default();
        Ok(Openings { worker: worker.to_owned(), asked, within, path, heard, etag: String::new(), clock: None })
    }

    /// Asks. When nobody answers, everything stays as it is.
    pub fn ask(&mut self) {
        let Some((runtime, client)) = &self.asked else { return };
        let asking = async { tokio::time::timeout(self.within, client.rollouts(Some(&self.worker), &self.etag)).await };
        match runtime.block_on(asking) {
            Ok(Ok(answer)) => self.hear(answer),
            Ok(Err(error)) => tracing::debug!("which rings are open was not heard: {}", chain(&error)),
            Err(_) => tracing::debug!("which rings are open was not heard within {} ms", self.within.as_millis()),
        }
    }

    fn hear(&mut self, answer: Rollouts) {
        if let Ok(now) = Timestamp::from_millisecond(answer.now) {
            self.clock = Some((now, clock::since_start()));
        }
        let Some(rollouts) = answer.rollouts else { return };
        self.etag = answer.etag;
        let heard = Heard { tags: answer.tags.unwrap_or_default(), releases: openings(&rollouts) };
        if heard == self.heard {
            return;
        }
        self.heard = heard;
        let content = serde_json::to_vec_pretty(&self.heard).map_err(std::io::Error::from);
        // It may be lost: then nothing is open until the server is heard again.
        if let Err(error) = content.and_then(|content| swap::replace(&self.path, &content, Keep::UntilPowerCut)) {
            tracing::warn!("keeping which rings are open in {}: {error}", self.path.display());
        }
    }

    /// What holds a release back from this worker; `None` when nothing does.
    pub fn gate(&self, release: &Verified<'_>, holds: &Holds) -> Option<Held> {
        self.heard.gate(release, holds, &self.worker, self.now())
    }

    /// Why this worker has to leave the release it has for the one before.
    pub fn go_back(&self, release: ReleaseVersion, plan: Option<&Plan>, holds: &Holds) -> Option<HeldBack> {
        self.heard.go_back(release, plan, holds, &self.worker)
    }

    /// The ring of a plan that this worker belongs to.
    pub fn ring(&self, tag: &str, plan: &Plan) -> String {
        let place = plan.ring_of(&self.worker, &self.heard.tags, tag);
        plan.rings.get(place).map(|ring| ring.name.clone()).unwrap_or_default()
    }

    fn now(&self) -> Option<Timestamp> {
        let (told, at) = self.clock?;
        let passed = Duration::from_millis(clock::since_start().saturating_sub(at));
        told.checked_add(passed).ok()
    }
}

/// What a job server says, as the rules of releases understand it.
pub fn openings(rollouts: &[Rollout]) -> BTreeMap<String, Opening> {
    let opening = |rollout: &Rollout| {
        let rings = rollout.rings.iter().map(|ring| {
            let said = match ring.state {
                RingState::Open => RingOpening::Open,
                RingState::Waiting => RingOpening::Waiting(ring.reason.clone()),
                RingState::SentBack => RingOpening::SentBack(ring.reason.clone()),
            };
            (ring.name.clone(), said)
        });
        (rollout.release.clone(), Opening { rings: rings.collect() })
    };
    rollouts.iter().map(opening).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Openings of a worker that can ask nobody.
    fn alone(state: &StateDir) -> Openings {
        Openings::of("w", &[], &Access::default(), Duration::from_secs(1), state).expect("no addresses")
    }

    fn said(state: RingState, etag: &str) -> Rollouts {
        let ring = nightshift_wire::RolloutRing {
            name: "all".to_owned(),
            state,
            reason: "slow".to_owned(),
            workers: 1,
            on_release: 0,
            jobs: 0,
            records: 0,
            errors: 0,
            expected_errors: None,
            failures: 0,
            pace: None,
            samples_passed: 0,
            bad_trials: 0,
            not_before: None,
            window: None,
        };
        let rollout = Rollout {
            release: "v1.5.0".to_owned(),
            held: None,
            denied: None,
            rings: vec![ring],
            on_release: 0,
            found_bad: None,
        };
        let tags = Some(BTreeSet::from(["canary".to_owned()]));
        Rollouts { now: 1_772_000_000_000, etag: etag.to_owned(), tags, rollouts: Some(vec![rollout]) }
    }

    #[test]
    fn what_was_heard_is_known_after_a_restart_and_while_the_job_server_is_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::new(folder.path());
        let mut openings = alone(&state);
        assert_eq!(openings.heard, Heard::default());
        openings.hear(said(RingState::Open, "a"));
        let again = alone(&state);
        assert_eq!(again.heard, openings.heard);
        assert_eq!(again.heard.tags, BTreeSet::from(["canary".to_owned()]));
        assert_eq!((again.now(), openings.now().is_some()), (None, true), "the time has to be heard anew");
    }

    #[test]
    fn an_answer_without_releases_changes_nothing_but_the_clock() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut openings = alone(&StateDir::new(folder.path()));
        openings.hear(said(RingState::SentBack, "a"));
        let before = openings.heard.clone();
        let later = Rollouts { now: 1_772_000_060_000, tags: None, rollouts: None, ..said(RingState::Open, "a") };
        openings.hear(later);
        assert_eq!(openings.heard, before);
        let now = openings.now().expect("a time").as_millisecond();
        assert!((1_772_000_060_000..1_772_000_120_000).contains(&now), "{now}");
        let version = ReleaseVersion::new(1, 5, 0);
        assert_eq!(openings.go_back(version, None, &Holds::default()), None, "a release without a plan has no rings");
    }

    #[test]
    fn a_file_that_is_torn_opens_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::new(folder.path());
        fs::write(state.rollout(), "{\"tags\"").expect("written");
        assert_eq!(alone(&state).heard, Heard::default());
    }
}
