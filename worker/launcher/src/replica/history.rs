//! Whether the primary still has the history that the replica has: asked of the primary itself now and then, because a primary
//! that begins a new one under its old name (its logs thrown away, a backup brought back) sends nothing and shows nothing.

use std::time::Duration;

use nightshift_replica::facts::Facts;
use nightshift_replica::position::Gtids;
use nightshift_replica::rebuild;
use nightshift_replica::verdict::{Seen, Verdict};
use nightshift_wire::Replication;

use crate::clock;
use crate::repository::chain;

/// The primary is asked no more often.
const EVERY: Duration = Duration::from_secs(60);

/// When it was asked last, in milliseconds since the machine's start.
#[derive(Debug, Default)]
pub(super) struct History(Option<u64>);

impl History {
    /// The verdict on what was just seen, with what the primary says of it.
    pub(super) async fn judge(&mut self, seen: &Seen, verdict: Verdict, way: Option<&Replication>) -> Verdict {
        let (Ok(facts), Some(way)) = (seen, way) else { return verdict };
        // Others are found out to be of another history by themselves, or have to be mended first.
        if !matches!(verdict, Verdict::Current { .. } | Verdict::Behind { .. }) || !self.is_due() {
            return verdict;
        }
        self.0 = Some(clock::since_start());
        ask(facts, way).await.unwrap_or(verdict)
    }

    fn is_due(&self) -> bool {
        let every = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
        self.0.is_none_or(|asked| clock::since_start().saturating_sub(asked) >= every)
    }
}

/// What the primary says against the replica; `None` where it says nothing, or is another by now.
async fn ask(facts: &Facts, way: &Replication) -> Option<Verdict> {
    let primary = match rebuild::look(way).await {
        Ok(primary) => primary,
        Err(error) => {
            tracing::debug!("whether the replica has the primary's history is not known: {}", chain(&error));
            return None;
        }
    };
    let copies = |channel: &nightshift_replica::facts::Channel| channel.primary.as_deref() == Some(&*primary.primary);
    let has = Gtids::parse(facts.version.make, &primary.position).ok()?;
    facts.channels.iter().any(copies).then(|| Verdict::on_history(facts, &has)).flatten()
}
