//! Judges the releases of somebody's own clone as a worker would that joins the grid today.
//!
//! For people who release: what would be refused, before it is pushed or after. The same judgement as in a sync; but
//! nothing is fetched, staged, switched or remembered.

use std::path::Path;

use nightshift_manifest::held::{Held, Promotion};
use nightshift_manifest::refusal::Refusal;
use nightshift_manifest::revoked::Revoked;
use nightshift_manifest::select::{self, RemoteTag};
use nightshift_manifest::signers::{Signer, Signers};
use nightshift_manifest::trust::Trust;
use nightshift_manifest::version::ReleaseVersion;

use crate::fetch::Faults;
use crate::git::LocalClone;
use crate::judge::judge_all;
use crate::slot::{self, SlotError, StagedFile};
use crate::sync::SyncError;

/// The releases of a clone.
pub struct Review {
    /// Every tag that looks like a release, and what is refused of those about one: misnamed ones first, then by version.
    pub tags: Vec<Reviewed>,
    /// The keys that are revoked after all of them.
    pub revoked: Revoked,
    /// How many people have to stand behind the next release, the one who signs it among them.
    pub needed: u32,
    clone: LocalClone,
}

/// A tag that is meant as a release.
#[derive(Debug)]
pub struct Reviewed {
    /// The tag.
    pub tag: RemoteTag,
    /// What workers think of it.
    pub verdict: Result<Believed, Refusal>,
}

/// A release that workers believe.
#[derive(Debug)]
pub struct Believed {
    /// Its version.
    pub version: ReleaseVersion,
    /// Its commit, 40 hex digits.
    pub commit: String,
    /// Who signed it.
    pub signer: String,
    /// What holds it back on every worker: approvals that are missing.
    pub held: Option<Held>,
    /// The rings opened for it early.
    pub promotions: Vec<Promotion>,
    files: Vec<StagedFile>,
}

/// Judges `tags`, whose objects are all in the clone at `repository`, beginning with the keys that workers have pinned.
///
/// # Errors
/// When the clone cannot be read.
pub fn review(
    repository: &Path,
    tags: &[RemoteTag],
    pinned: &Signers,
    recovery: Option<&Signer>,
) -> Result<Review, SyncError> {
    let clone = LocalClone::at(repository)?;
    let mut trust = Trust::default();
    trust.pin(pinned, recovery);
    let plan = select::plan(tags, &trust);
    let judged = judge_all(&clone, &plan, &Faults::new(), &trust)?;
    let refused = |refusal: Refusal| Reviewed {
        tag: RemoteTag { name: refusal.tag.clone(), id: refusal.tag_id.clone() },
        verdict: Err(refusal),
    };
    let good = judged.good.into_iter().map(|good| Reviewed {
        tag: RemoteTag { name: good.release.version.tag(), id: good.release.tag_id.clone() },
        verdict: Ok(Believed {
            version: good.release.version,
            commit: good.release.commit,
            signer: good.release.signer,
            held: good.held,
            promotions: good.promotions,
            files: good.files,
        }),
    });
    let mut tags: Vec<Reviewed> = plan.refused.into_iter().chain(judged.refused).map(refused).chain(good).collect();
    // Approvals and promotions, which are no releases, come first with the misnamed.
    tags.sort_by_key(|reviewed| ReleaseVersion::parse_tag(&reviewed.tag.name).ok());
    Ok(Review { tags, needed: judged.trust.needed(), revoked: judged.trust.revoked, clone })
}

impl Review {
    /// The newest release that is believed, held back or not.
    pub fn newest(&self) -> Option<&Believed> {
        self.tags.iter().filter_map(|reviewed| reviewed.verdict.as_ref().ok()).next_back()
    }

    /// What workers think of a tag; `None` when there is no such tag.
    pub fn verdict(&self, tag: &str) -> Option<&Result<Believed, Refusal>> {
        self.tags.iter().find(|reviewed| reviewed.tag.name == tag).map(|reviewed| &reviewed.verdict)
    }

    /// Writes the files of a release below `folder`, as a slot's tree has them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_files(&self, release: &Believed, folder: &Path) -> Result<(), SlotError> {
        slot::write_files(&self.clone, &release.files, folder)
    }
}
