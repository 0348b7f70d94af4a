//! Keys that never count again: `keys/revoked` in a release's tree.
//!
//! A line is `SHA256:FINGERPRINT [remark]`, as `ssh-keygen -l` shows it, or `KEYTYPE KEY [remark]`, as it stands in a
//! `.pub` file; empty lines and lines starting with `#` are comments. A line that is not understood makes the whole file
//! invalid: a key that somebody meant to revoke must not go on counting because of a slip.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use ssh_key::{Fingerprint, HashAlg, PublicKey};

/// Revoked keys: fingerprint (`SHA256:…`) and a remark for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revoked(BTreeMap<String, String>);

/// A line of `keys/revoked` that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} of the revoked keys is no key: write its fingerprint, as in SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
)]
pub struct RevokedError {
    /// 1-based number of the line.
    pub line: usize,
}

impl Revoked {
    /// Reads the lines of a `keys/revoked` file.
    pub fn parse(text: &str) -> Result<Self, RevokedError> {
        let mut revoked = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (fingerprint, remark) = parse_line(line).ok_or(RevokedError { line: index + 1 })?;
            revoked.add(&fingerprint, remark);
        }
        Ok(revoked)
    }

    /// Adds a key. The first remark about it stays.
    pub fn add(&mut self, fingerprint: &str, remark: impl Into<String>) {
        self.0.entry(fingerprint.to_owned()).or_insert_with(|| remark.into());
    }

    /// What is said about a key; `None` when it is not revoked.
    pub fn remark(&self, fingerprint: &str) -> Option<&str> {
        self.0.get(fingerprint).map(String::as_str)
    }

    /// Whether the key with this fingerprint is revoked.
    pub fn has(&self, fingerprint: &str) -> bool {
        self.0.contains_key(fingerprint)
    }

    /// The fingerprints, in order.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Display for Revoked {
    /// The keys in the format [`Revoked::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(fingerprint, remark)| writeln!(f, "{}", format!("{fingerprint} {remark}").trim()))
    }
}

/// Fingerprint and remark of one line.
fn parse_line(line: &str) -> Option<(String, String)> {
    let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if let Ok(fingerprint @ Fingerprint::Sha256(_)) = first.parse::<Fingerprint>() {
        return Some((fingerprint.to_string(), rest.trim().to_owned()));
    }
    let (key, remark) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    let key = PublicKey::from_openssh(&format!("{first} {key}")).ok()?;
    Some((key.fingerprint(HashAlg::Sha256).to_string(), remark.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqi";

    fn fingerprint() -> String {
        PublicKey::from_openssh(KEY).expect("a key").fingerprint(HashAlg::Sha256).to_string()
    }

    #[test]
    fn a_revoked_key_is_named_by_its_fingerprint_or_itself() {
        for line in [format!("{} left the company", fingerprint()), format!("  {KEY} left the company ")] {
            let revoked = Revoked::parse(&format!("# gone\n\n{line}\n")).expect("well formed");
            assert_eq!(revoked.remark(&fingerprint()), Some("left the company"));
            assert_eq!(Revoked::parse(&revoked.to_string()), Ok(revoked));
        }
        assert_eq!(Revoked::parse("# nobody yet\n"), Ok(Revoked::default()));
    }

    #[test]
    fn a_line_that_is_not_understood_makes_the_whole_list_invalid() {
        for wrong in ["ann", "SHA256:short", "MD5:00:11", "ssh-ed25519 AAAA", "ann ssh-ed25519 AAAA", "SHA256:"] {
            assert_eq!(
                Revoked::parse(&format!("{}\n{wrong}\n", fingerprint())),
                Err(RevokedError { line: 2 }),
                "{wrong}"
            );
        }
    }
}
