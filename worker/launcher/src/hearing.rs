//! Hears of stops at once: asks the job server by long-poll whether its view of what is stopped has changed.
//!
//! What it says is stopped, is stopped, because stopping is the easy direction: whoever may stop there may stop. It
//! starts nothing that the repository's own flags stop: a changed view also makes the launcher look at the repository
//! now instead of within the minute, and not more often than every second or so, whatever a job server says. One that
//! cannot be reached does no harm: it is asked again later, and later still, at a moment of this worker's own so that
//! thousands do not come back together; the launcher looks every minute all the same, and what was heard last stands.

use std::sync::Arc;
use std::time::Duration;

use nightshift_client::Client;
use nightshift_engine::StopFlag;
use nightshift_wire::StopView;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock;
use crate::heard::flags_of;
use crate::repository::chain;

/// How long a job server may wait before it answers that nothing changed.
const WAIT: Duration = Duration::from_secs(55);
/// The least time between two looks that are owed to what was heard.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Listens as long as it is kept.
#[derive(Debug)]
pub(crate) struct Hearing {
    heard: watch::Receiver<Told>,
    task: Option<JoinHandle<()>>,
}

/// What was heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// What the job server says is stopped.
    pub(crate) stops: Vec<StopFlag>,
    /// It is another view than before: look at the repository.
    pub(crate) look: bool,
}

impl Hearing {
    /// Begins to listen, with the stops known already; without a job server nothing is ever heard.
    pub(crate) fn begin(client: Option<Arc<Client>>, known: &[StopFlag]) -> Hearing {
        let (tell, heard) = watch::channel(Told::default());
        let known = known.to_vec();
        let task = client.map(|client| tokio::spawn(listen(client, known, tell)));
        Hearing { heard, task }
    }

    /// Returns when something was heard that was not known.
    pub(crate) async fn changed(&mut self) -> Told {
        if self.heard.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.heard.borrow_and_update().clone()
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn listen(client: Arc<Client>, mut known: Vec<StopFlag>, tell: watch::Sender<Told>) {
    let mut ear = Ear::default();
    loop {
        let asked = clock::since_start();
        let answer = client.stop(ear.seen.as_deref().unwrap_or_default(), WAIT).await;
        let took = Duration::from_millis(clock::since_start().saturating_sub(asked));
        if let Err(error) = &answer {
            tracing::debug!("listening for stops: {}", chain(error));
        }
        let answer = answer.ok();
        let next = ear.hear(answer.as_ref(), took);
        if let Some(stops) = answer.as_ref().map(flags_of)
            && (next.look || stops != known)
        {
            tracing::info!("the job server's view of what is stopped has changed");
            known = stops.clone();
            tell.send_replace(Told { stops, look: next.look });
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
        let etag = stopped.unwrap_or("none").to_owned();
        StopView { etag, stopped: stopped.map(ToOwned::to_owned), stops: Vec::new() }
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
    fn a_job_server_that_changes_its_mind_all_the_time_costs_one_look_every_second() {
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
