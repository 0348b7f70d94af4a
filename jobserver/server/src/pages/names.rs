//! What people call the workers of a page, by their identities.

use std::collections::HashMap;

use super::frame::Can;
use super::words::worker_name;
use crate::app::App;

/// The names of some workers.
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// Looks these up, each once; none for who may not see workers. What is not known is left out: a name is a courtesy.
    pub(super) async fn of_all<'w>(app: &App, can: Can, workers: impl Iterator<Item = &'w str>) -> Names {
        let mut names = HashMap::new();
        for worker in workers.filter(|_| can.see_all) {
            if !names.contains_key(worker) {
                let name = app.store.worker(worker).await.map(|worker| worker_name(&worker)).unwrap_or_default();
                names.insert(worker.to_owned(), name);
            }
        }
        Names(names)
    }

    /// What a worker is called; empty when it has no name besides its identity.
    pub(super) fn of(&self, worker: &str) -> String {
        self.0.get(worker).filter(|name| *name != worker).cloned().unwrap_or_default()
    }
}
