//! Plugins that are stopped while the rest of the core goes on.
//!
//! A stopped plugin's jobs are not claimed; one that is ready but not begun goes back to the server; the one in hand goes
//! back at once, its block broken off, unless the stop lets it be finished. Stopping never counts against a job.

use std::collections::BTreeMap;

use nightshift_contract::message::PluginStop;
use tokio::time::timeout;

use crate::desk::Desk;
use crate::orders::{self, Orders};
use crate::run::CoreError;

/// The plugins that are stopped, by name.
pub(crate) type Stopped = BTreeMap<String, PluginStop>;

/// Why a job of the plugin in hand has to end at once.
fn at_once(orders: &Orders, plugin: &str) -> Option<String> {
    let stop = orders.stopped.get(plugin).filter(|stop| !stop.after_job)?;
    Some(in_words(stop))
}

fn in_words(stop: &PluginStop) -> String {
    format!("plugin {} is stopped: {}", stop.plugin, stop.reason)
}

impl Desk {
    /// The plugins that are stopped now.
    pub(crate) fn stopped(&self) -> Stopped {
        self.orders.borrow().stopped.clone()
    }

    /// Why no job of a plugin may be begun; `None` when one may.
    pub(crate) fn why_stopped(&self, plugin: &str) -> Option<String> {
        self.orders.borrow().stopped.get(plugin).map(in_words)
    }

    /// Waits until a job of a plugin in hand has to end at once, and breaks its block off.
    pub(crate) async fn until_stopped(&self, plugin: &str) -> String {
        let reason = orders::until(&mut self.orders.clone(), |orders| at_once(orders, plugin)).await;
        let (bench, name) = (self.bench.clone(), plugin.to_owned());
        // Ending a program's processes takes a moment.
        drop(tokio::task::spawn_blocking(move || bench.break_off(&name)));
        reason
    }

    /// Waits until a plugin that was broken off has left its block: the next one would wait behind it.
    ///
    /// # Errors
    /// When it does not. SQLite looks at nothing within a single function.
    pub(crate) async fn until_out_of_block(&self, plugin: &str) -> Result<(), CoreError> {
        let at_most = self.pace.halt;
        match timeout(at_most, self.bench.rests()).await {
            Ok(rests) => Ok(rests?),
            Err(_) => {
                let seconds = at_most.as_secs_f32();
                Err(CoreError::Stuck(format!(
                    "plugin {plugin} is stopped and did not leave its block within {seconds} s"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_contract::message::ToCore;

    #[test]
    fn a_stop_ends_the_job_in_hand_unless_it_lets_it_be_finished_and_the_last_word_counts() {
        let stop = |plugin: &str, after_job| PluginStop { plugin: plugin.into(), after_job, reason: "fire".into() };
        let mut orders = Orders::default();
        orders.take(ToCore::Stopped(vec![stop("a", false), stop("b", true)]));
        assert_eq!(at_once(&orders, "a").as_deref(), Some("plugin a is stopped: fire"));
        assert_eq!((at_once(&orders, "b"), at_once(&orders, "c")), (None, None));
        orders.take(ToCore::Stopped(vec![stop("b", true)]));
        assert_eq!(at_once(&orders, "a"), None);
        assert_eq!(orders.stopped.len(), 1);
    }
}
