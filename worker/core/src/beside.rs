//! What goes on beside the work on a job: heartbeats, which also bring the news that the job is no longer wanted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightshift_contract::message::FromCore;
use nightshift_wire::{Claim, Heartbeat};
use tokio::time::sleep;

use crate::causes::with_causes;
use crate::control::{ControlError, JobControl, Refusal, judge};
use crate::telling::Telling;

/// A launcher hears of the core at least this often while a single block takes long; the plugin's own limit ends it.
const LONGEST_SILENCE: Duration = Duration::from_secs(4 * 60);

/// When the first heartbeat is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// After a third of the lease: the attempt is new.
    Later,
    /// At once: the attempt was taken up again, and its lease may be over.
    AtOnce,
}

/// Sends heartbeats until the attempt is not wanted any more, and returns why. A server that is away changes nothing:
/// late work is accepted while the job still needs it.
pub(crate) async fn until_not_wanted(
    control: &dyn JobControl,
    telling: &Telling,
    claim: &Claim,
    done: &AtomicU64,
    first: First,
) -> String {
    let mut lease = Duration::from_millis(claim.lease_ms);
    let mut wait = if first == First::AtOnce { Duration::ZERO } else { lease / 3 };
    loop {
        sleep(wait.min(LONGEST_SILENCE)).await;
        let done = done.load(Ordering::Relaxed);
        let heartbeat = Heartbeat { secret: claim.secret.clone(), done };
        match control.heartbeat(claim.attempt, &heartbeat).await {
            Ok(renewed) => match renewed.lease_ms {
                Some(ms) => lease = Duration::from_millis(ms),
                None => return renewed.reason,
            },
            Err(ControlError::Refused(problem)) if judge(&problem) == Refusal::NotWanted => return problem.detail,
            Err(error) => tracing::info!(attempt = claim.attempt, "no heartbeat: {}", with_causes(&error)),
        }
        telling.say(FromCore::Working { job: claim.job, plugin: claim.plugin.clone(), done, total: claim.records });
        wait = (lease / 3).max(Duration::from_millis(10));
    }
}
