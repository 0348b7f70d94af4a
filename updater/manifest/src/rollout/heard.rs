//! What a worker has heard from the job server, and the gates it makes of that.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::holds::Holds;
use super::opening::Opening;
use super::plan::Plan;
use super::rules::{Asks, HeldBack, may_keep, may_take};
use crate::held::{Held, Verified};
use crate::version::ReleaseVersion;

/// What was heard last, kept over restarts. While the job server is away it stays as it is, so nobody moves forward.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The tags an admin gave this worker.
    pub tags: BTreeSet<String>,
    /// What the job server makes of releases, by tag.
    pub releases: BTreeMap<String, Opening>,
}

impl Heard {
    /// The gate for a release that this worker might take: what holds it back, if anything does.
    pub fn gate(&self, release: &Verified<'_>, holds: &Holds, worker: &str, now: Option<Timestamp>) -> Option<Held> {
        let promoted = release.promotions.iter().filter(|promotion| promotion.version == release.version);
        let promotions = promoted.map(|promotion| promotion.ring.clone()).collect();
        let asks = Asks {
            release: release.version,
            plan: release.content.settings.rollout.as_ref(),
            holds,
            promotions: &promotions,
            opening: self.releases.get(&release.version.tag()),
            worker,
            tags: &self.tags,
            now,
        };
        may_take(&asks).err().map(|held| release.held(held.kind(), held.to_string()))
    }

    /// Why this worker has to go back from the release it has, when it has to.
    pub fn go_back(
        &self,
        release: ReleaseVersion,
        plan: Option<&Plan>,
        holds: &Holds,
        worker: &str,
    ) -> Option<HeldBack> {
        let asks = Asks {
            release,
            plan,
            holds,
            promotions: &BTreeSet::new(),
            opening: self.releases.get(&release.tag()),
            worker,
            tags: &self.tags,
            now: None,
        };
        may_keep(&asks).err()
    }
}

#[cfg(test)]
mod tests {
    use super::super::RingOpening;
    use super::*;
    use crate::content::Content;
    use crate::held::{HeldBy, Promotion};
    use crate::settings::GridSettings;

    const PLAN: &str = "[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n[[rollout.ring]]\nname = \"all\"\n";

    #[test]
    fn the_gate_speaks_of_the_release_it_was_asked_about() {
        let settings = GridSettings::parse(PLAN, "nightshift.toml").expect(PLAN);
        let content = Content { settings, settings_text: String::new(), plugins: Vec::new(), binaries: None };
        let version = ReleaseVersion::new(1, 5, 0);
        let promotion = |minor| Promotion {
            version: ReleaseVersion::new(1, minor, 0),
            ring: "all".to_owned(),
            signer: "ann".to_owned(),
        };
        let gate = |heard: &Heard, promotions: &[Promotion]| {
            let release =
                Verified { version, tag_id: "11", commit: "22", signer: "ann", content: &content, promotions };
            heard.gate(&release, &Holds::default(), "w", None).map(|held| (held.tag, held.kind))
        };
        let nothing = Heard::default();
        assert_eq!(gate(&nothing, &[]), Some(("v1.5.0".to_owned(), HeldBy::Ring)));
        assert_eq!(gate(&nothing, &[promotion(5)]), None);
        assert!(gate(&nothing, &[promotion(4)]).is_some(), "another release's promotion");
        let canary = Heard { tags: BTreeSet::from(["canary".to_owned()]), ..Heard::default() };
        assert_eq!(gate(&canary, &[]), None);

        let plan = content.settings.rollout.as_ref();
        let mut heard = Heard::default();
        assert_eq!(heard.go_back(version, plan, &Holds::default(), "w"), None);
        let back = Opening { rings: BTreeMap::from([("all".to_owned(), RingOpening::SentBack("slow".to_owned()))]) };
        heard.releases.insert("v1.5.0".to_owned(), back);
        let why = heard.go_back(version, plan, &Holds::default(), "w").map(|why| why.to_string());
        assert_eq!(why.as_deref(), Some("ring all was sent back: slow"));
        assert_eq!(heard.go_back(ReleaseVersion::new(1, 4, 0), plan, &Holds::default(), "w"), None);
    }
}
