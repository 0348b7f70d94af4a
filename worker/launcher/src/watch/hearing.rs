//! Hears of stops at once: asks the job server by long-poll whether its view of the stop flag has changed.
//!
//! Its word alone stops and starts nothing. It only makes the launcher look at the repository now instead of within the
//! minute, and not more often than every few seconds, whatever a job server says. One that cannot be reached does no
//! harm: it is asked again later, and later still, at a moment of this worker's own so that thousands do not come back
//! together; the launcher looks every minute all the same.

use std::sync::Arc;
use std::time::Duration;

use nightshift_client::Client;
use nightshift_wire::StopView;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock;
use crate::repository::chain;

/// How long a job server may wait before it answers that nothing changed.
const WAIT: Duration = Duration::from_secs(55);
/// The least time between two looks that are owed to what was heard.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Listens as long as it is kept.
#[derive(Debug)]
pub(super) struct Hearing {
    changes: watch::Receiver<()>,
    task: Option<JoinHandle<()>>,
}

impl Hearing {
    /// Begins to listen; without a job server nothing is ever heard.
    pub(super) fn begin(client: Option<Arc<Client>>) -> Hearing {
        let (changed, changes) = watch::channel(());
        let task = client.map(|client| tokio::spawn(listen(client, changed)));
        Hearing { changes, task }
    }

    /// Returns when a look at the repository is due because of what was heard.
    pub(super) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn listen(client: Arc<Client>, changed: watch::Sender<()>) {
    let mut ear = Ear::default();
    loop {
        let asked = clock::since_start();
        let answer = client.stop(ear.seen.as_deref().unwrap_or_default(), WAIT).await;
        let took = Duration::from_millis(clock::since_start().saturating_sub(asked));
        if let Err(error) = &answer {
            tracing::debug!("listening for stops: {}", chain(error));
        }
        let next = ear.hear(answer.ok().as_ref(), took);
        if next.look {
            tracing::info!("the job server's view of the stop flag has changed: looking at the repository now");
            changed.send_replace(());
        }
        tokio::time::sleep(next.pause.mul_f64(fastrand::f64().mul_add(0.5, 0.5))).await;
    }
}

/// What was heard so far.
#[derive(Debug, Default)]
struct Ear {
    seen: Option<String>,
    failures: u32,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
struct Next {
    /// Look at the repository.
    look: bool,
    /// Ask again after this time, or a part of it.
    pause: Duration,
}

impl Ear {
    /// Takes an answer in (`None` when there was none), which took so long.
    fn hear(&mut self, view: Option<&StopView>, took: Duration) -> Next {
        let Some(view) = view else { return self.failed() };
        let look = match &self.seen {
            // The launcher has just looked itself, and it runs: it knows of no flag.
            None => view.stopped.is_some(),
            Some(seen) => *seen != view.etag,
        };
        let first = self.seen.replace(view.etag.clone()).is_none();
        if look {
            self.failures = 0;
            return Next { look, pause: BETWEEN_LOOKS };
        }
        if !first && took < FIRST_PAUSE {
            // It does not wait: it is ending, or something in between answers for it.
            return self.failed();
        }
        self.failures = 0;
        Next { look, pause: Duration::ZERO }
    }

    fn failed(&mut self) -> Next {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        Next { look: false, pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TIME: Duration = Duration::ZERO;

    fn view(stopped: Option<&str>) -> StopView {
        StopView { etag: stopped.unwrap_or("none").to_owned(), stopped: stopped.map(ToOwned::to_owned) }
    }

    #[test]
    fn a_changed_view_makes_the_launcher_look_and_the_same_view_does_not() {
        let mut ear = Ear::default();
        assert_eq!(ear.hear(Some(&view(None)), NO_TIME), Next { look: false, pause: NO_TIME });
        assert_eq!(ear.hear(Some(&view(None)), WAIT), Next { look: false, pause: NO_TIME });
        assert_eq!(ear.hear(Some(&view(Some("fire"))), WAIT), Next { look: true, pause: BETWEEN_LOOKS });
        assert!(ear.hear(Some(&view(None)), NO_TIME).look);
        assert!(Ear::default().hear(Some(&view(Some("fire"))), NO_TIME).look, "a flag that stood before it listened");
    }

    #[test]
    fn a_job_server_that_changes_its_mind_all_the_time_costs_one_look_every_few_seconds() {
        let mut ear = Ear::default();
        for flag in ["a", "b", "a", "b"] {
            assert_eq!(ear.hear(Some(&view(Some(flag))), NO_TIME).pause, BETWEEN_LOOKS);
        }
    }

    #[test]
    fn a_job_server_that_is_away_or_does_not_wait_is_asked_more_and_more_rarely() {
        let (mut away, mut hasty) = (Ear::default(), Ear::default());
        hasty.hear(Some(&view(None)), NO_TIME);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = Next { look: false, pause: Duration::from_secs(pause) };
            assert_eq!(away.hear(None, NO_TIME), pause);
            assert_eq!(hasty.hear(Some(&view(None)), NO_TIME), pause);
        }
        assert_eq!(away.hear(Some(&view(None)), NO_TIME).pause, NO_TIME);
        assert_eq!(away.hear(None, NO_TIME).pause, FIRST_PAUSE, "one good answer forgets the failures");
    }
}
