//! Which worker a person means: by its identity, the beginning of it, its name or its host.

use std::collections::BTreeSet;

use nightshift_client::{Client, ClientError};
use nightshift_contract::exit::Exit;
use nightshift_wire::{Enrolment, EnrolmentState, Worker, access_code};

use crate::refusal::refusal;

/// Shorter beginnings of an identity are not taken for one.
const SHORTEST: usize = 4;
/// So many are listed when several may be meant.
const LISTED: usize = 5;

/// A worker as people may call it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    id: String,
    name: String,
    host: String,
}

/// The identity of the worker that a person calls `said`.
///
/// # Errors
/// No worker is called so, or several are.
pub(crate) async fn meant(client: &Client, said: &str) -> anyhow::Result<String> {
    match known(client).await? {
        Some(known) => pick(said, &known),
        // Who may not see the workers names one by its identity, and the job server judges it.
        None => Ok(said.to_owned()),
    }
}

/// The same for a filter that may name none.
pub(crate) async fn meant_if_any(client: &Client, said: Option<&str>) -> anyhow::Result<Option<String>> {
    match said {
        Some(said) => meant(client, said).await.map(Some),
        None => Ok(None),
    }
}

/// The identity of the worker that waits to join and is called `said`; of any that is called so when none waits.
pub(crate) async fn meant_to_join(client: &Client, said: &str) -> anyhow::Result<String> {
    let waiting: Vec<Known> = waiting(&client.enrolments().await?).map(Known::from).collect();
    match pick(said, &waiting) {
        Ok(id) => Ok(id),
        Err(error) if waiting.iter().any(|known| known.is_called(said)) => Err(error),
        Err(_) => meant(client, said).await,
    }
}

/// Those that asked to join and were not decided about.
pub(crate) fn waiting(enrolments: &[Enrolment]) -> impl Iterator<Item = &Enrolment> {
    enrolments.iter().filter(|enrolment| enrolment.state == EnrolmentState::Pending)
}

/// Those that were let in and have not reported since.
pub(crate) fn awaited<'e>(workers: &[Worker], enrolments: &'e [Enrolment]) -> Vec<&'e Enrolment> {
    let heard_of: BTreeSet<&str> = workers.iter().map(|worker| worker.report.worker.as_str()).collect();
    let is_awaited = |enrolment: &&Enrolment| {
        enrolment.state == EnrolmentState::Approved && !heard_of.contains(enrolment.worker.as_str())
    };
    enrolments.iter().filter(is_awaited).collect()
}

/// Everybody that was heard of or asked to join; `None` for who may not see them.
async fn known(client: &Client) -> Result<Option<Vec<Known>>, ClientError> {
    let workers = match client.workers().await {
        Err(error) if error.problem().is_some_and(|problem| problem.code == access_code::NOT_ALLOWED) => {
            return Ok(None);
        }
        workers => workers?,
    };
    let mut known: Vec<Known> = workers.iter().map(Known::from).collect();
    // Who may not decide about them is not told of them.
    for enrolment in &client.enrolments().await.unwrap_or_default() {
        if !known.iter().any(|worker| worker.id == enrolment.worker) {
            known.push(Known::from(enrolment));
        }
    }
    Ok(Some(known))
}

impl From<&Worker> for Known {
    fn from(worker: &Worker) -> Known {
        let report = &worker.report;
        Known { id: report.worker.clone(), name: worker.name.clone(), host: report.host.clone() }
    }
}

impl From<&Enrolment> for Known {
    fn from(enrolment: &Enrolment) -> Known {
        let Enrolment { worker, name, host, .. } = enrolment;
        Known { id: worker.clone(), name: name.clone(), host: host.clone() }
    }
}

impl Known {
    fn is_called(&self, said: &str) -> bool {
        let is = |called: &str| !called.is_empty() && called.eq_ignore_ascii_case(said);
        is(&self.name) || is(&self.host) || (said.len() >= SHORTEST && self.id.starts_with(said))
    }
}

fn pick(said: &str, known: &[Known]) -> anyhow::Result<String> {
    if known.iter().any(|worker| worker.id == said) {
        return Ok(said.to_owned());
    }
    let called: Vec<&Known> = known.iter().filter(|worker| worker.is_called(said)).collect();
    match called.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => {
            let text = format!("there is no worker {said}; see which there are with `nightshift worker list`");
            Err(refusal(Exit::NotFound, text))
        }
        several => {
            let listed: Vec<String> =
                several.iter().take(LISTED).map(|one| format!("{} on {}", one.id, one.host)).collect();
            let more = if several.len() > LISTED { ", …" } else { "" };
            let text = format!(
                "{} workers are called {said}: {}{more}; name one by its identity",
                several.len(),
                listed.join(", ")
            );
            Err(refusal(Exit::Usage, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(id: &str, name: &str, host: &str) -> Known {
        Known { id: id.into(), name: name.into(), host: host.into() }
    }

    #[test]
    fn a_worker_is_meant_by_its_identity_its_beginning_its_name_or_its_host() {
        let known =
            [worker("0193aa-1", "", "desk-1"), worker("0193bb-2", "Anna's desk", "desk-2"), worker("x", "", "")];
        for said in ["0193bb-2", "0193b", "anna's desk", "DESK-2"] {
            assert_eq!(pick(said, &known).expect(said), "0193bb-2");
        }
        assert_eq!(pick("x", &known).expect("an identity may be short"), "x");
    }

    #[test]
    fn a_worker_that_nobody_or_several_are_called_is_refused_with_those_that_are() {
        let known = [worker("0193aa-1", "", "desk"), worker("0193bb-2", "", "desk")];
        let none = pick("pc-9", &known).expect_err("nobody").to_string();
        assert_eq!(none, "there is no worker pc-9; see which there are with `nightshift worker list`");
        assert!(pick("", &known).is_err() && pick("019", &known).is_err(), "too short to mean one");
        let several = pick("desk", &known).expect_err("two").to_string();
        assert!(several.contains("2 workers are called desk: 0193aa-1 on desk, 0193bb-2 on desk;"), "{several}");
    }
}
