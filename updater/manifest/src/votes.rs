//! Tags about a release: `approve/vX.Y.Z/WHO` says that somebody else looked at it, `promote/vX.Y.Z/RING` opens a ring
//! early.
//!
//! Both are signed like releases, annotated tags on the release's own commit, with the name inside equal to the name
//! they stand under; [`crate::tag::verify_vote`] holds them to that. Here: their names, and when approvals are enough.

use std::fmt;

use crate::version::{NameError, ReleaseVersion};

/// A vote's last part is this long at most.
const MAX_PART: usize = 64;

/// What a tag says about a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// The release.
    pub version: ReleaseVersion,
    /// What is said.
    pub says: Says,
}

/// What can be said about a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Says {
    /// It may come into force, says somebody. The name is for people; whose approval it is, its signature says.
    Approve(String),
    /// This ring is open for it.
    Promote(String),
}

/// Somebody whose signature counts for a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// The name beside the key.
    pub name: String,
    /// The key's fingerprint.
    pub fingerprint: String,
}

impl Vote {
    /// Reads a tag's name; `None` when it is no vote's. A name that is nearly one is an error.
    pub fn parse_tag(tag: &str) -> Option<Result<Self, NameError>> {
        let (word, rest) = tag.split_once('/')?;
        if !matches!(word, "approve" | "promote") {
            return None;
        }
        let wrong = || {
            let last = if word == "approve" { "WHO" } else { "RING" };
            NameError { name: tag.to_owned(), write: format!("{word}/v1.5.0/{last}") }
        };
        let read = || {
            let (version, last) = rest.split_once('/').ok_or_else(wrong)?;
            let version = ReleaseVersion::parse_tag(version).map_err(|_| wrong())?;
            let plain = last.len() <= MAX_PART
                && last.starts_with(|c: char| c.is_ascii_alphanumeric())
                && last.chars().all(|c| c.is_ascii_alphanumeric() || "._@+-".contains(c));
            let last = if plain { last.to_owned() } else { return Err(wrong()) };
            let says = if word == "approve" { Says::Approve(last) } else { Says::Promote(last) };
            Ok(Self { version, says })
        };
        Some(read())
    }
}

impl fmt::Display for Vote {
    /// The tag's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = self.version.tag();
        match &self.says {
            Says::Approve(who) => write!(f, "approve/{tag}/{who}"),
            Says::Promote(ring) => write!(f, "promote/{tag}/{ring}"),
        }
    }
}

/// Whether enough people stand behind a release: `needed` of them, the one who signed it among them. A person with two
/// keys is one, and so are two people with one key. Otherwise what is missing.
pub fn enough(needed: u32, signer: &Voice, approvals: &[Voice]) -> Result<(), String> {
    let mut counted = vec![signer];
    for approval in approvals {
        if counted.iter().all(|other| other.name != approval.name && other.fingerprint != approval.fingerprint) {
            counted.push(approval);
        }
    }
    let missing = (needed as usize).saturating_sub(counted.len());
    if missing == 0 {
        return Ok(());
    }
    let names: Vec<&str> = counted.iter().map(|voice| voice.name.as_str()).collect();
    let approvals = if missing == 1 { "1 approval is" } else { &format!("{missing} approvals are") };
    Err(format!("{approvals} missing, {needed} people have to stand behind a release and it has {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(name: &str, fingerprint: &str) -> Voice {
        Voice { name: name.into(), fingerprint: fingerprint.into() }
    }

    #[test]
    fn votes_are_named_strictly() {
        let version = ReleaseVersion::new(1, 5, 0);
        let approve = Vote { version, says: Says::Approve("ann".into()) };
        assert_eq!(Vote::parse_tag("approve/v1.5.0/ann"), Some(Ok(approve.clone())));
        let promote = Vote { version, says: Says::Promote("ring-2".into()) };
        assert_eq!(Vote::parse_tag("promote/v1.5.0/ring-2"), Some(Ok(promote.clone())));
        assert_eq!(
            (approve.to_string(), promote.to_string()),
            ("approve/v1.5.0/ann".into(), "promote/v1.5.0/ring-2".into())
        );
        for other in ["v1.5.0", "approved/v1.5.0/ann", "approve", "latest/x"] {
            assert_eq!(Vote::parse_tag(other), None, "{other}");
        }
        for wrong in [
            "approve/1.5.0/ann",
            "approve/v1.5.0",
            "approve/v1.5.0/",
            "approve/v1.5.0/a/b",
            "promote/v1.5/x",
            "promote/v1.5.0/a b",
            "approve/v1.5.0/-x",
        ] {
            let error = Vote::parse_tag(wrong).expect("nearly a vote").expect_err(wrong);
            assert_eq!(error.name, wrong);
        }
        let long = format!("approve/v1.5.0/{}", "x".repeat(65));
        Vote::parse_tag(&long).expect("nearly a vote").expect_err("too long");
    }

    #[test]
    fn approvals_of_other_people_with_other_keys_add_up() {
        let (ann, ben, cem) = (voice("ann", "1"), voice("ben", "2"), voice("cem", "3"));
        assert_eq!(enough(1, &ann, &[]), Ok(()));
        assert_eq!(enough(2, &ann, std::slice::from_ref(&ben)), Ok(()));
        assert_eq!(enough(3, &ann, &[ben.clone(), cem]), Ok(()));
        let missing = enough(3, &ann, &[ben]).expect_err("one is missing");
        assert_eq!(missing, "1 approval is missing, 3 people have to stand behind a release and it has ann, ben");
    }

    #[test]
    fn nobody_approves_twice_or_their_own_release() {
        let ann = voice("ann", "1");
        for same in [voice("ann", "1"), voice("ann", "9"), voice("someone else", "1")] {
            enough(2, &ann, &[same]).expect_err("the same person or key");
        }
        let ben = [voice("ben", "2"), voice("ben", "3")];
        enough(3, &ann, &ben).expect_err("ben counts once");
    }
}
