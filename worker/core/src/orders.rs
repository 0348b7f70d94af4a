//! What the launcher has ordered so far. Orders only add up: a stop is never taken back, a later release replaces an
//! earlier one. Only which plugins are stopped is told as a whole each time.

use std::collections::BTreeMap;

use nightshift_contract::handoff::{AccessArgs, ReleaseArgs};
use nightshift_contract::message::{PluginStop, ToCore};
use tokio::sync::watch;

/// The orders in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// Stop now; holds the reason.
    pub stop: Option<String>,
    /// Finish the job in hand and take no other; holds the reason.
    pub drain: Option<String>,
    /// The release to use from the next job on, when it is not the one the core was started with.
    pub release: Option<ReleaseArgs>,
    /// How to get in at the job server, once it was said.
    pub access: Option<AccessArgs>,
    /// The plugins that are stopped, by name.
    pub stopped: BTreeMap<String, PluginStop>,
    /// The launcher has looked for stops since time jumped for the time of this number.
    pub looked: u64,
}

impl Orders {
    /// Takes in a message of the launcher's.
    pub fn take(&mut self, message: ToCore) {
        match message {
            ToCore::Release(release) => self.release = Some(release),
            ToCore::Drain(reason) => self.drain = Some(reason),
            ToCore::Stop(reason) => self.stop = Some(reason),
            ToCore::Access(access) => self.access = Some(access),
            ToCore::Stopped(stops) => {
                self.stopped = stops.into_iter().map(|stop| (stop.plugin.clone(), stop)).collect();
            }
            ToCore::Looked(number) => self.looked = self.looked.max(number),
        }
    }
}

/// Waits until the orders say `wanted`, and returns what they say. For ever when nobody can give orders any more: then
/// the lifeline has ended the process, or there is none.
pub(crate) async fn until<T>(orders: &mut watch::Receiver<Orders>, wanted: impl Fn(&Orders) -> Option<T>) -> T {
    match orders.wait_for(|orders| wanted(orders).is_some()).await.ok().and_then(|orders| wanted(&orders)) {
        Some(said) => said,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_add_up_and_the_last_release_counts() {
        let release = |tag: &str| ReleaseArgs { slot: "/s".into(), tag: tag.to_owned(), commit: "c".repeat(40) };
        let mut orders = Orders::default();
        for message in [ToCore::Release(release("v1.0.0")), ToCore::Drain("night is over".into())] {
            orders.take(message);
        }
        orders.take(ToCore::Release(release("v1.1.0")));
        let drain = Some("night is over".to_owned());
        assert_eq!(orders, Orders { drain, release: Some(release("v1.1.0")), ..Orders::default() });
    }
}
