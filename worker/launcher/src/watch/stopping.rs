//! Stops of single plugins, as the core has to hear of them, and looking anew after time jumped.

use nightshift_contract::message::{PluginStop, ToCore};
use nightshift_manifest::stop::When;

use super::visiting::Place;
use super::{ASKED_WITHIN, Watch};
use crate::heard;
use crate::hearing::Hearing;

impl Watch<'_, '_> {
    /// Tells a running core which plugins are stopped, when that changed.
    pub(super) async fn tell_stops(&mut self) {
        let Some(core) = &mut self.core else { return };
        let stops = self.cycle.stops().plugins.into_iter();
        let stops: Vec<PluginStop> = stops
            .map(|(plugin, stop)| PluginStop { plugin, after_job: stop.when == When::AfterJob, reason: stop.reason })
            .collect();
        if stops != self.told_stops {
            tracing::info!("telling the core which plugins are stopped: {} of them", stops.len());
            core.tell(&ToCore::Stopped(stops.clone())).await;
            self.told_stops = stops;
        }
    }

    /// Looks at the repository and asks the job server, both beginning now.
    pub(super) fn look_anew(&mut self) {
        self.look_again = matches!(self.place, Place::Visiting(_));
        self.begin_visit();
        self.hearing = Hearing::begin(self.cycle.sender.client(), &self.cycle.heard);
        if let Some(before) = self.asking.take() {
            before.abort();
        }
        self.asking = Some(match self.cycle.sender.client() {
            Some(client) => tokio::spawn(async move { heard::ask(&client, ASKED_WITHIN).await }),
            None => tokio::spawn(async { None }),
        });
    }

    /// Tells a core that woke that everything was looked at.
    pub(super) async fn pay_what_is_owed(&mut self) {
        let Some(core) = &mut self.core else { return };
        if let Some(number) = self.owed.due() {
            core.tell(&ToCore::Looked(number)).await;
        }
    }
}
