//! Heartbeats for an attempt, which also bring the news that the job is no longer wanted.

use std::sync::Mutex;
use std::time::Duration;

use nightshift_wire::{Claim, Heartbeat};
use tokio::time::sleep;

use crate::causes::with_causes;
use crate::clock::Stopwatch;
use crate::control::{ControlError, JobControl, Refusal, judge};
use crate::desk::lock;

/// The lease of an attempt, kept while the attempt goes from hand to hand.
pub(crate) struct Pulse(Mutex<Beat>);

#[derive(Clone, Copy)]
struct Beat {
    lease: Duration,
    /// Since it was renewed last; `None` when a heartbeat is overdue.
    since: Option<Stopwatch>,
}

impl Pulse {
    /// A lease that was given just now.
    pub(crate) fn fresh(claim: &Claim) -> Pulse {
        let lease = Duration::from_millis(claim.lease_ms);
        Pulse(Mutex::new(Beat { lease, since: Some(Stopwatch::start()) }))
    }

    /// A lease that an earlier core had: it may be over, and the first heartbeat goes out at once.
    pub(crate) fn overdue(claim: &Claim) -> Pulse {
        Pulse(Mutex::new(Beat { lease: Duration::from_millis(claim.lease_ms), since: None }))
    }

    /// How long until the next heartbeat.
    fn wait(&self, longest: Duration) -> Duration {
        let Beat { lease, since } = *lock(&self.0);
        since.map_or(Duration::ZERO, |since| {
            (lease / 3).clamp(Duration::from_millis(10), longest).saturating_sub(since.elapsed())
        })
    }

    fn beaten(&self, renewed: Option<Duration>) {
        let mut beat = lock(&self.0);
        *beat = Beat { lease: renewed.unwrap_or(beat.lease), since: Some(Stopwatch::start()) };
    }
}

/// Sends heartbeats until the attempt is not wanted any more, and returns why. A server that is away changes nothing:
/// late work is accepted while the job still needs it. After each heartbeat `beaten` hears how many records are done.
pub(crate) async fn until_not_wanted(
    control: &dyn JobControl,
    claim: &Claim,
    pulse: &Pulse,
    longest: Duration,
    done: impl Fn() -> u64,
    beaten: impl Fn(u64),
) -> String {
    loop {
        sleep(pulse.wait(longest)).await;
        let done = done();
        let heartbeat = Heartbeat { secret: claim.secret.clone(), done };
        let mut renewed_for = None;
        match control.heartbeat(claim.attempt, &heartbeat).await {
            Ok(renewed) => match renewed.lease_ms {
                Some(ms) => renewed_for = Some(Duration::from_millis(ms)),
                None => return renewed.reason,
            },
            Err(ControlError::Refused(problem)) if judge(&problem) == Refusal::NotWanted => return problem.detail,
            Err(error) => tracing::info!(attempt = claim.attempt, "no heartbeat: {}", with_causes(&error)),
        }
        pulse.beaten(renewed_for);
        beaten(done);
    }
}
