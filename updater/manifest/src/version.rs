//! Versions of releases and the names of their tags: `vX.Y.Z`, strict, and nothing else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The version of a release. Ordered as people order versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseVersion {
    major: u64,
    minor: u64,
    patch: u64,
}

/// A name that no release can have, and how to write it instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no release's name: a release is three numbers and nothing else, write {write}")]
pub struct NameError {
    /// The name as it was found.
    pub name: String,
    /// What was probably meant.
    pub write: String,
}

/// Whether someone probably meant this tag as a release: an optional `v` or `V`, then a digit. Any other tag is none
/// of Nightshift's business.
pub fn looks_like_release(tag: &str) -> bool {
    without_v(tag).starts_with(|c: char| c.is_ascii_digit())
}

impl ReleaseVersion {
    /// A version from its three numbers.
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch }
    }

    /// Reads a tag name, `vX.Y.Z`.
    pub fn parse_tag(tag: &str) -> Result<Self, NameError> {
        strict(tag.strip_prefix('v').unwrap_or_default())
            .ok_or_else(|| NameError { name: tag.to_owned(), write: probably(tag).tag() })
    }

    /// The version with the last number raised.
    pub const fn next(&self) -> Self {
        Self { major: self.major, minor: self.minor, patch: self.patch.saturating_add(1) }
    }

    /// The name of this version's tag, `vX.Y.Z`.
    pub fn tag(&self) -> String {
        format!("v{self}")
    }
}

impl FromStr for ReleaseVersion {
    type Err = NameError;

    /// Reads `X.Y.Z` as people type it, without the `v`.
    fn from_str(text: &str) -> Result<Self, NameError> {
        strict(text).ok_or_else(|| NameError { name: text.to_owned(), write: probably(text).to_string() })
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl TryFrom<String> for ReleaseVersion {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ReleaseVersion> for String {
    fn from(version: ReleaseVersion) -> String {
        version.to_string()
    }
}

fn strict(text: &str) -> Option<ReleaseVersion> {
    let version = semver::Version::parse(text).ok()?;
    (version.pre.is_empty() && version.build.is_empty())
        .then(|| ReleaseVersion::new(version.major, version.minor, version.patch))
}

/// What someone who wrote `text` probably meant.
fn probably(text: &str) -> ReleaseVersion {
    let numbers = without_v(text).split(['-', '+']).next().unwrap_or_default();
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    match parts.next() {
        Some(Some(major)) => {
            let mut next = || parts.next().flatten().unwrap_or(0);
            ReleaseVersion::new(major, next(), next())
        }
        _ => ReleaseVersion::new(1, 5, 0),
    }
}

fn without_v(tag: &str) -> &str {
    tag.strip_prefix(['v', 'V']).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_by_three_numbers_behind_a_v() {
        assert_eq!(ReleaseVersion::parse_tag("v1.5.0"), Ok(ReleaseVersion::new(1, 5, 0)));
        assert_eq!(ReleaseVersion::parse_tag("v10.0.12").map(|version| version.tag()), Ok("v10.0.12".to_owned()));
        assert_eq!("1.5.0".parse(), Ok(ReleaseVersion::new(1, 5, 0)));
    }

    #[test]
    fn a_name_that_is_nearly_a_release_is_refused_and_says_how_to_write_it() {
        for (name, write) in [
            ("1.5.0", "v1.5.0"),
            ("v1.5", "v1.5.0"),
            ("v1", "v1.0.0"),
            ("V1.5.0", "v1.5.0"),
            ("v1.5.0-rc1", "v1.5.0"),
            ("v1.5.0+build", "v1.5.0"),
            ("v01.5.0", "v1.5.0"),
            ("v1.5.0.1", "v1.5.0"),
            ("v1.5.0 ", "v1.5.0"),
            ("v99999999999999999999.0.0", "v1.5.0"),
        ] {
            let error = ReleaseVersion::parse_tag(name).expect_err(name);
            assert!(looks_like_release(name), "{name}");
            assert_eq!(error.name, name);
            if !name.contains(' ') {
                assert_eq!(error.write, write, "{name}");
            }
        }
        assert_eq!("v1.5.0".parse::<ReleaseVersion>().expect_err("with a v").write, "1.5.0");
    }

    #[test]
    fn a_tag_of_another_kind_is_not_taken_for_a_release() {
        for name in ["latest", "vendor", "approve/v1.5.0/ann", "release-1.5", "vv1.0.0", "", "v"] {
            assert!(!looks_like_release(name), "{name}");
        }
    }

    #[test]
    fn versions_are_ordered_as_people_order_them() {
        let mut tags = ["1.10.0", "1.9.3", "2.0.0", "1.9.10"].map(|text| text.parse::<ReleaseVersion>().expect(text));
        tags.sort();
        assert_eq!(tags.map(|version| version.to_string()), ["1.9.3", "1.9.10", "1.10.0", "2.0.0"]);
    }
}
