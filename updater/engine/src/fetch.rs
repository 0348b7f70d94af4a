//! Which tags are fetched, and what becomes of those that cannot be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use git2::Oid;
use nightshift_manifest::select::{Ballot, Candidate};
use nightshift_manifest::version::ReleaseVersion;

use crate::git::{CloneDamage, GitError, LocalClone};
use crate::{clock, ref_of};

/// Why tags could not be fetched.
pub(crate) type Faults = BTreeMap<ReleaseVersion, GitError>;

/// How long tags are fetched one by one, once one of them failed again.
const ONE_BY_ONE: Duration = Duration::from_secs(120);

/// Fetches the tags that are not here, in one go; when that fails, one by one, so that a tag nobody can fetch does not
/// keep the good ones out. Fails when the repository cannot be reached at all, and when the clone may be at fault: the
/// caller then tries a fresh one. Tags that a fresh one could not take either are noted and tried by themselves; those
/// that broke the bounds of a fetch are not tried again.
pub(crate) fn fetch_missing(clone: &LocalClone, candidates: &[Candidate]) -> Result<Faults, GitError> {
    let (noted, oversized) = (clone.unfetchable(), clone.oversized());
    let mut faults = Faults::new();
    let (mut fresh, mut hopeless) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match Oid::from_str(&candidate.id) {
            Ok(id) if clone.has(id) => {}
            Ok(id) if oversized.contains(&id) => drop(faults.insert(candidate.version, clone.too_large())),
            Ok(id) if noted.contains(&id) => hopeless.push((candidate, id)),
            Ok(id) => fresh.push((candidate, id)),
            Err(_) => {}
        }
    }
    if !fresh.is_empty() {
        let refs: Vec<String> = fresh.iter().map(|(candidate, _)| ref_of(&candidate.version.tag())).collect();
        match clone.connected(|connection| Ok::<_, GitError>(connection.fetch(&refs)))? {
            Ok(()) => fresh.clear(),
            Err(error) if error.is_clone_damage() || error.is_broken_off() => return Err(error),
            Err(_) => {}
        }
    }
    let mut unfetchable = BTreeSet::new();
    let begun = clock::moment().since_boot_ms;
    for (candidate, id) in fresh.into_iter().chain(hopeless) {
        // A repository that cannot be reached any more is no fault of a tag.
        let refs = [ref_of(&candidate.version.tag())];
        let fetched = clone.connected(|connection| Ok::<_, GitError>(connection.fetch(&refs)))?;
        let spent = Duration::from_millis(clock::moment().since_boot_ms.saturating_sub(begun));
        let Err(error) = fetched else { continue };
        if error.is_broken_off() || (error.is_clone_damage() && !noted.contains(&id)) {
            return Err(error);
        }
        if error.is_too_large() {
            clone.note_oversized(id);
        } else if spent >= ONE_BY_ONE {
            // One that falls silent at every tag must not cost a timeout for each of a thousand.
            return Err(error);
        } else {
            unfetchable.insert(id);
        }
        faults.insert(candidate.version, error);
    }
    if unfetchable != noted {
        clone.note_unfetchable(&unfetchable);
    }
    Ok(faults)
}

/// Fetches the approvals and promotions that are not here, apart from the releases: one that cannot be fetched counts for
/// nothing and keeps no release out. How many these are.
pub(crate) fn fetch_votes(clone: &LocalClone, ballots: &[Ballot]) -> Result<usize, GitError> {
    let oversized = clone.oversized();
    let missing: Vec<(String, Oid)> = ballots
        .iter()
        .filter_map(|ballot| Some((ref_of(&ballot.vote.to_string()), Oid::from_str(&ballot.id).ok()?)))
        .filter(|(_, id)| !clone.has(*id))
        .collect();
    let wanted: Vec<String> =
        missing.iter().filter(|(_, id)| !oversized.contains(id)).map(|(name, _)| name.clone()).collect();
    if wanted.is_empty() || clone.connected(|connection| Ok::<_, GitError>(connection.fetch(&wanted)))?.is_ok() {
        return Ok(missing.len() - wanted.len());
    }
    let begun = clock::moment().since_boot_ms;
    for (name, id) in &missing {
        let refs = std::slice::from_ref(name);
        let fetched = clone.connected(|connection| Ok::<_, GitError>(connection.fetch(refs)))?;
        if fetched.as_ref().is_err_and(GitError::is_too_large) {
            clone.note_oversized(*id);
        }
        if fetched.as_ref().is_err_and(GitError::is_broken_off) {
            break;
        }
        if Duration::from_millis(clock::moment().since_boot_ms.saturating_sub(begun)) >= ONE_BY_ONE {
            break;
        }
    }
    Ok(missing.iter().filter(|(_, id)| !clone.has(*id)).count())
}
