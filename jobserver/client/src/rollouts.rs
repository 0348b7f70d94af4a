//! How releases spread, as the job server judges it.
//!
//! Every error is as at [`Client::claim`]: the server is away, breaks off or refuses.

use nightshift_wire::{Rollout, Rollouts};

use crate::ask::Ask;
use crate::{Client, ClientError};

impl Client {
    /// How releases spread. For a `worker` with the tags that admins gave it; without the releases when they are as they
    /// were under the etag `seen` (empty for none).
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn rollouts(&self, worker: Option<&str>, seen: &str) -> Result<Rollouts, ClientError> {
        let ask = Ask::get("asking which rings are open", "v1/rollouts").query("seen", seen);
        let ask = worker.into_iter().fold(ask, |ask, worker| ask.query("worker", worker));
        self.ask(ask).await?.json().await
    }

    /// How a release spreads; `tag` is its name, such as `v1.5.0`.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn rollout(&self, tag: &str) -> Result<Rollout, ClientError> {
        let ask = Ask::get(format!("asking how {tag} spreads"), "v1/rollouts").below(tag);
        self.ask(ask).await?.json().await
    }
}
