//! What is verified and may not come into force yet: nothing is wrong with its signature or its files, and so it is no
//! refusal.
//!
//! Which of the good releases above the floor is taken is decided in [`choose`]: the highest one that nothing holds
//! back. What may hold one back is decided elsewhere, one gate each: approvals, trials that went bad, the rings and
//! windows of a rollout, a pause, a download that is not done.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::version::ReleaseVersion;

/// A release above the floor that is believed and good, as gates judge it.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'r> {
    /// Its version.
    pub version: ReleaseVersion,
    /// Id of the signed tag object, 40 hex digits.
    pub tag_id: &'r str,
    /// Id of the commit, 40 hex digits.
    pub commit: &'r str,
    /// Who signed it.
    pub signer: &'r str,
    /// Its settings and plugins.
    pub content: &'r Content,
    /// The rings that were opened early for it, by signed tags that are believed.
    pub promotions: &'r [Promotion],
}

/// A ring that somebody opened early for a release, by a signed tag `promote/vX.Y.Z/RING`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The release.
    pub version: ReleaseVersion,
    /// The ring.
    pub ring: String,
    /// Who signed it.
    pub signer: String,
}

/// A release that is held back, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The tag's name.
    pub tag: String,
    /// The object it pointed at: 40 hex digits.
    pub tag_id: String,
    /// What holds it back.
    pub kind: HeldBy,
    /// Why, and what it is waiting for, in words for the person who pushed it.
    pub why: String,
}

/// What holds a release back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBy {
    /// Signed approvals are missing.
    Approval,
    /// Its rollout plan cannot be read.
    Plan,
    /// No ring that this worker is in is open.
    Ring,
    /// It is not time yet.
    Window,
    /// The rollout is paused.
    Paused,
    /// It is denied on the control branch.
    Denied,
    /// Its trial on this worker went bad.
    Trial,
    /// Its binaries are not here yet.
    Download,
}

impl HeldBy {
    /// The gate's name, as status and logs show it.
    pub const fn name(self) -> &'static str {
        match self {
            HeldBy::Approval => "approval",
            HeldBy::Plan => "plan",
            HeldBy::Ring => "ring",
            HeldBy::Window => "window",
            HeldBy::Paused => "paused",
            HeldBy::Denied => "denied",
            HeldBy::Trial => "trial",
            HeldBy::Download => "download",
        }
    }
}

impl fmt::Display for HeldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is held back ({}): {}", self.tag, self.kind, self.why)
    }
}

impl Verified<'_> {
    /// This release, held back.
    pub fn held(&self, kind: HeldBy, why: impl Into<String>) -> Held {
        Held { tag: self.version.tag(), tag_id: self.tag_id.to_owned(), kind, why: why.into() }
    }
}

/// Chooses the release to take among `good` ones, lowest version first: the highest that `hold` lets pass. With it come
/// those above it and what holds them back, highest first.
pub fn choose<R>(mut good: Vec<R>, hold: impl Fn(&R) -> Option<Held>) -> (Option<R>, Vec<Held>) {
    let mut held = Vec::new();
    while let Some(release) = good.pop() {
        match hold(&release) {
            Some(why) => held.push(why),
            None => return (Some(release), held),
        }
    }
    (None, held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(tag: &str) -> Held {
        Held { tag: tag.into(), tag_id: String::new(), kind: HeldBy::Ring, why: "ring 2 is not open yet".into() }
    }

    fn choice(hold: &[&str]) -> (Option<&'static str>, Vec<String>) {
        let hold = |tag: &&str| hold.contains(tag).then(|| held(tag));
        let (chosen, held) = choose(vec!["v1.1.0", "v1.2.0", "v1.3.0"], hold);
        (chosen, held.into_iter().map(|held| held.tag).collect())
    }

    #[test]
    fn the_highest_release_that_nothing_holds_back_is_chosen() {
        assert_eq!(choice(&[]), (Some("v1.3.0"), vec![]));
        assert_eq!(choice(&["v1.3.0", "v1.2.0"]), (Some("v1.1.0"), vec!["v1.3.0".into(), "v1.2.0".into()]));
    }

    #[test]
    fn what_a_higher_release_stands_in_for_is_not_told_as_held_back() {
        assert_eq!(choice(&["v1.2.0"]), (Some("v1.3.0"), vec![]));
    }

    #[test]
    fn all_may_be_held_back() {
        assert_eq!(choice(&["v1.1.0", "v1.2.0", "v1.3.0"]).0, None);
    }

    #[test]
    fn what_is_held_back_says_by_what_and_why() {
        assert_eq!(held("v1.5.0").to_string(), "v1.5.0 is held back (ring): ring 2 is not open yet");
    }
}
