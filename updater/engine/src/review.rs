//! Judges the releases of somebody's own clone as a worker would that joins the grid today.
//!
//! For people who release: what would be refused, before it is pushed or after. The same judgement as in a sync; but
//! nothing is fetched, staged, switched or remembered.

use std::path::Path;

use git2::Oid;
use nightshift_manifest::refusal::Refusal;
use nightshift_manifest::select::{self, RemoteTag};
use nightshift_manifest::signers::Signers;
use nightshift_manifest::trust::Trust;
use nightshift_manifest::version::ReleaseVersion;

use crate::git::{GitError, LocalClone};
use crate::slot::{self, SlotError, StagedFile};
use crate::sync::{SyncError, judge};

/// The releases of a clone.
pub struct Review {
    /// Every tag that looks like a release: misnamed ones first, then by version.
    pub tags: Vec<Reviewed>,
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
    files: Vec<StagedFile>,
}

/// Judges `tags`, whose objects are all in the clone at `repository`, beginning with the keys that workers have pinned.
///
/// # Errors
/// When the clone cannot be read.
pub fn review(repository: &Path, tags: &[RemoteTag], pinned: &Signers) -> Result<Review, SyncError> {
    let clone = LocalClone::at(repository)?;
    let mut trust = Trust::default();
    trust.pin(pinned);
    let plan = select::plan(tags, &trust);
    let misnamed = plan.refused.into_iter().map(|refusal| Reviewed {
        tag: RemoteTag { name: refusal.tag.clone(), id: refusal.tag_id.clone() },
        verdict: Err(refusal),
    });
    let mut reviewed: Vec<Reviewed> = misnamed.collect();
    for candidate in plan.judge {
        let tag = RemoteTag { name: candidate.version.tag(), id: candidate.id.clone() };
        let id = Oid::from_str(&candidate.id).map_err(|source| GitError::Clone {
            doing: "looking for a tag in",
            path: repository.to_owned(),
            source,
        })?;
        let keys = trust.keys_for(&tag.name, &tag.id)?;
        let outcome = match judge(&clone, id, &candidate, &keys)? {
            Ok(verified) => {
                trust.believe(candidate.version, &candidate.id, &keys, verified.signers.as_ref());
                verified.outcome
            }
            Err(refusal) => Err(refusal),
        };
        let verdict = outcome.map(|good| Believed {
            version: candidate.version,
            commit: good.release.commit,
            signer: good.release.signer,
            files: good.files,
        });
        reviewed.push(Reviewed { tag, verdict });
    }
    Ok(Review { tags: reviewed, clone })
}

impl Review {
    /// The release that workers run: the newest that is believed.
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
