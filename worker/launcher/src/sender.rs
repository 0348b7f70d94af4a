//! Sends reports to the job server; a worker that uses the store directly has none, and tells nobody. A report that does
//! not arrive is noted and nothing more: work never waits for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nightshift_client::{Access, Client, ClientError, Timeouts};
use nightshift_wire::{Report, access_code};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::repository::chain;
use crate::settings::JobSource;

/// The time between two reports while a core runs; what changes faster is told together.
const AT_MOST_EVERY: Duration = Duration::from_secs(2);
/// The time after which a report that did not arrive is sent again, or a newer one in its place.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Sends reports.
#[derive(Debug, Clone)]
pub struct Sender {
    /// `None` when there is no job server.
    client: Option<Arc<Client>>,
    within: Duration,
    /// Why the job server refused the last report, when it does not let this worker in.
    shut_out: Arc<Mutex<Option<String>>>,
}

impl Sender {
    /// A sender to the job servers, that spends at most `within` on a report and gets in by `access`.
    ///
    /// # Errors
    /// When an address cannot be one of a job server.
    pub fn new(jobs: &JobSource, within: Duration, access: &Access) -> Result<Sender, ClientError> {
        let client = match jobs {
            JobSource::Servers(urls) => {
                let client = Client::with_access(urls.iter().cloned(), Timeouts::all(within), access)?;
                Some(Arc::new(client))
            }
            JobSource::Store { .. } => None,
        };
        Ok(Sender { client, within, shut_out: Arc::default() })
    }

    /// The client by which reports are sent, when there is a job server.
    pub fn client(&self) -> Option<Arc<Client>> {
        self.client.clone()
    }

    /// Why the job server does not let this worker in, when it said so to the last report.
    pub fn shut_out(&self) -> Option<String> {
        self.shut_out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends one report; whether it arrived.
    pub async fn send(&self, report: &Report) -> bool {
        let Some(client) = &self.client else { return true };
        let sent = tokio::time::timeout(self.within, client.report(report)).await;
        match &sent {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("a report did not arrive: {}", chain(error)),
            Err(_) => tracing::warn!("a report did not arrive within {} ms", self.within.as_millis()),
        }
        if let Ok(said) = &sent {
            let problem = said.as_ref().err().and_then(ClientError::problem);
            let out = problem.filter(|problem| problem.status == 401 || problem.code == access_code::NOT_APPROVED);
            *self.shut_out.lock().unwrap_or_else(PoisonError::into_inner) = out.map(|problem| problem.detail.clone());
        }
        matches!(sent, Ok(Ok(())))
    }

    /// Sends reports one after the other beside everything else; always the latest, and not too often.
    pub fn stream(&self) -> Stream {
        let (latest, mut changes) = watch::channel(None::<Report>);
        let sender = self.clone();
        let task = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                loop {
                    let report = changes.borrow_and_update().clone();
                    let Some(report) = report else { break };
                    let arrived = sender.send(&report).await;
                    tokio::time::sleep(if arrived { AT_MOST_EVERY } else { AGAIN_AFTER }).await;
                    if arrived {
                        break;
                    }
                }
            }
        });
        Stream { latest, task }
    }
}

/// Reports on their way. Dropping it stops sending.
#[derive(Debug)]
pub struct Stream {
    latest: watch::Sender<Option<Report>>,
    task: JoinHandle<()>,
}

impl Stream {
    /// The latest report; one that was not sent yet is forgotten.
    pub fn put(&self, report: Report) {
        self.latest.send_replace(Some(report));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
