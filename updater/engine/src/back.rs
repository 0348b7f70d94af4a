//! One step back: the release that was in force before comes into force again.
//!
//! For a release that is denied, or whose ring was sent back. It needs nobody's signature and never goes further than one
//! step. It brings back nothing that was put out for good: no release that is denied itself, and none whose key was revoked
//! since, since whoever can push to the control branch can ask for it.
//! A release on trial is left by ending its trial: nothing is said against it, and the last good one is in force. Else:
//! 1. the slot before says itself which release it is (`slot.json`), and its files are hashed against that release's
//!    signed tree; a slot that is damaged is staged again from the clone, and one that cannot be made good is not gone
//!    back to; its tag has to be signed by a key that still counts;
//! 2. the memory is replaced: **this is the switch**. The floor stays, and so the release that was left is not taken again;
//! 3. boot's state and the link `in-force` follow.

use std::io;
use std::path::PathBuf;

use nightshift_manifest::rollout::Holds;
use nightshift_manifest::trial::Event;
use nightshift_manifest::trust::InForce;

use crate::Engine;
use crate::release::Release;
use crate::safe_mode;
use crate::slot::SlotError;
use crate::state::StateError;
use crate::sync::SyncError;

/// A step back that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WentBack {
    /// The release that was left.
    pub from: Release,
    /// The one that is in force now.
    pub to: Release,
}

/// Why a step back could not be made. The release in force stays.
#[derive(Debug, thiserror::Error)]
pub enum BackError {
    /// There is nothing to go back to: it is the first release here, or the step was made before.
    #[error(
        "going back to the release before: there is none on this worker; release a good one under a higher version \
         (`nightshift release rollback` does that)"
    )]
    NothingBefore,
    /// The release before was put out for good.
    #[error("going back to the release before: {tag} {why}; release a good one under a higher version")]
    PutOut {
        /// Its tag.
        tag: String,
        /// Why, to be read behind the tag.
        why: String,
    },
    /// The slot before does not say which release it is.
    #[error("going back to the release before: {path} cannot be read; release a good one under a higher version")]
    Slot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// Its files are not the signed ones and could not be made good.
    #[error(transparent)]
    Damaged(#[from] SlotError),
    /// The memory or the link could not be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The switch failed half-way; the next sync finishes it.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl Engine {
    /// Makes the release before the one in force again, unless `holds` deny it, too; `why` is noted where a trial ends by it.
    /// Needs the state folder's lock, like a sync.
    pub fn go_back(&mut self, why: &str, holds: &Holds) -> Result<WentBack, BackError> {
        if let Some(from) = self.on_trial() {
            if self.trust.in_force.is_none() {
                return Err(BackError::NothingBefore);
            }
            tracing::warn!("the trial of {} ends: {why}", from.tag);
            self.judge(Event::Hindered(why.to_owned()))?;
            let to = self.in_force().ok_or(BackError::NothingBefore)?;
            return Ok(WentBack { from, to });
        }
        let (Some(from), Some(slot)) = (self.in_force(), self.trust.previous_slot.clone()) else {
            return Err(BackError::NothingBefore);
        };
        let path = self.state.slots().join(&slot).join("slot.json");
        let unreadable = |source| BackError::Slot { path: path.clone(), source };
        let text = std::fs::read(&path).map_err(unreadable)?;
        let before: InForce = serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))?;
        if before.slot != slot || self.trust.floor.is_none_or(|floor| before.version > floor) {
            return Err(unreadable(io::Error::other("it is another release's")));
        }
        let to = Release::new(&before, &self.state);
        let put_out = |why: String| BackError::PutOut { tag: to.tag.clone(), why };
        if let Some(denied) = self.trust.denial(&to.tag, &before.tag_id) {
            return Err(put_out(format!("is denied ({})", denied.why)));
        }
        if let Some(reason) = holds.denied(before.version) {
            return Err(put_out(format!("is denied ({reason})")));
        }
        self.verify_slot(&to)?;
        safe_mode::vouch(&to.slot, &slot, &self.source, &self.trust.revoked).map_err(put_out)?;
        tracing::warn!("going back from {} to {}", from.tag, to.tag);
        let mut trust = self.trust.clone();
        trust.go_back(before);
        self.remember(trust)?;
        self.settle()?;
        Ok(WentBack { from, to })
    }
}
