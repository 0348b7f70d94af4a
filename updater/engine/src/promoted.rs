//! The rings that signed tags opened early for the release in force, for whoever tells people how it spreads. A worker that
//! has a release needs none of its promotions; those of releases to come are judged with them, in `judge.rs`.

use git2::Oid;
use nightshift_manifest::held::Promotion;
use nightshift_manifest::select::{self, Ballot};
use nightshift_manifest::tag;
use nightshift_manifest::votes::Says;

use crate::Engine;
use crate::fetch::fetch_votes;
use crate::git::{self, LocalClone};
use crate::judge::raw_tag;
use crate::look::Look;
use crate::sync::SyncError;

impl Engine {
    /// The rings of the release in force that were opened early, among the tags that `look` saw. One that cannot be fetched
    /// or believed opens nothing. Needs the state folder's lock, like a sync.
    ///
    /// # Errors
    /// When the repository or the clone fails.
    pub fn promotions_in_force(&self, look: &Look) -> Result<Vec<Promotion>, SyncError> {
        let Some(release) = &self.trust.in_force else { return Ok(Vec::new()) };
        let mut ballots = select::votes_on(&look.tags, release.version);
        ballots.retain(|ballot| matches!(ballot.vote.says, Says::Promote(_)));
        if ballots.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.trust.keys_for(&release.version.tag(), &release.tag_id)?;
        let signer_of = |clone: &LocalClone, ballot: &Ballot| -> Result<Option<String>, SyncError> {
            let Some(id) = Oid::from_str(&ballot.id).ok().filter(|id| clone.has(*id)) else { return Ok(None) };
            let Ok(raw) = raw_tag(clone, id)? else { return Ok(None) };
            let voice = tag::verify_vote(&raw, &ballot.vote.to_string(), &ballot.vote, &release.commit, &keys);
            Ok(voice.ok().map(|voice| voice.name))
        };
        git::with_clone(self.origin(), |clone| {
            fetch_votes(clone, &ballots)?;
            let mut promotions = Vec::new();
            for ballot in &ballots {
                if let (Says::Promote(ring), Some(signer)) = (&ballot.vote.says, signer_of(clone, ballot)?) {
                    promotions.push(Promotion { version: release.version, ring: ring.clone(), signer });
                }
            }
            Ok(promotions)
        })
    }
}
