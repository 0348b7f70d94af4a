//! What a story plays on: a grid as it is shipped, which speaks TLS and asks who comes.

use anyhow::{Context, Result};
use nightshift_e2e::scene::Scene;
use nightshift_testbed::grid::{Cycle, Process, Worker};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::{EnrolmentDecision, EnrolmentState, NewToken, Role};

/// Every page, once there is a batch 1 with a job 1; `WORKER` is a worker's identity.
pub(crate) const PAGES: [&str; 12] = [
    "/",
    "/batches",
    "/batches/1",
    "/batches/1/errors",
    "/batches/1/receipt",
    "/jobs",
    "/jobs/1",
    "/workers",
    "/workers/WORKER",
    "/releases",
    "/stops",
    "/acts",
];
/// The page that those may not see who only look.
pub(crate) const HAND_IN: &str = "/batches/new";

/// A central repository, a job server that asks for tokens, and a folder of everything.
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    admin_token: String,
    /// Lines of a worker's image.
    image: String,
}

/// A worker that was let in, and its running cycle.
pub(crate) struct AtWork {
    /// Ends before its worker.
    _cycle: Cycle,
    worker: Worker,
    /// Its identity.
    pub(crate) id: String,
}

impl AtWork {
    /// Stops all of it from running, without ending it.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.worker.processes().iter().try_for_each(Process::freeze)
    }
}

impl Stage {
    /// A stage whose release has the plugin `twice`: input `n`, output `twice`.
    pub(crate) fn set() -> Result<Stage> {
        Stage::on(Scene::with_release()?)
    }

    /// A stage on a scene that has its release.
    pub(crate) fn on(mut scene: Scene) -> Result<Stage> {
        let guard = scene.grid.server.ask_for_tokens()?;
        let mut stage = Stage { scene, admin_token: guard.admin_token, image: String::new() };
        let join_token = stage.token("image", Role::Join)?;
        stage.image = format!("jobserver_ca = {:?}\njoin_token = {join_token:?}\n", guard.pin);
        wait::until("the job server to know the release", SOON, || {
            stage.scene.ask(async |client| client.status().await).ok()?.release
        })?;
        Ok(stage)
    }

    /// Where its dashboard is.
    pub(crate) fn url(&self) -> String {
        self.scene.grid.server.url()
    }

    /// The first admin's token.
    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// A new token for somebody of this name.
    pub(crate) fn token(&self, name: &str, role: Role) -> Result<String> {
        let wanted = NewToken { name: name.to_owned(), role, network: None, limit: None, expires_in_ms: None };
        Ok(self.scene.ask(async |client| client.make_token(&wanted).await)?.token)
    }

    /// A worker that asks to join, is let in under this name, and works from then on.
    pub(crate) fn worker(&self, name: &str) -> Result<AtWork> {
        let worker = self.scene.grid.worker(name, &self.image)?;
        // Not let in yet, a cycle says so and ends.
        worker.cycle()?;
        let asked = self.scene.ask(async |client| client.enrolments().await)?;
        let pending = asked.iter().find(|asked| asked.state == EnrolmentState::Pending);
        let id = pending.context("nobody asks to join")?.worker.clone();
        let approve = EnrolmentDecision::Approve { name: Some(name.to_owned()) };
        self.scene.ask(async |client| client.decide(&id, &approve).await)?;
        Ok(AtWork { _cycle: worker.start_cycle()?, worker, id })
    }
}
