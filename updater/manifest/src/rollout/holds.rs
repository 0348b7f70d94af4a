//! `rollout.toml` on the control branch: unsigned, and so it can only hold back.
//!
//! ```toml
//! pause = "month's end"            # nobody takes any release
//!
//! [[cap]]                          # this release goes no further than this ring
//! release = "1.5.0"
//! ring = "early"
//! reason = "the report of Monday first"
//!
//! [[deny]]                         # nobody takes this one; who has it goes back to the one before
//! release = "1.4.2"
//! reason = "wrong prices"
//! ```
//! One that cannot be read holds everything back and sends nobody anywhere.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::file_error::{FileError, read_toml};
use crate::version::ReleaseVersion;

/// The file's name on the control branch.
pub const ROLLOUT_FILE: &str = "rollout.toml";

/// Letters of a reason that are kept.
const LONGEST_REASON: usize = 200;

/// Whether a root entry of the control branch is this file, in any spelling: one that was meant to hold back must not be
/// overlooked.
pub fn is_rollout_entry(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(ROLLOUT_FILE.as_bytes())
}

/// What holds releases back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// Why nobody takes any release, when somebody paused rollouts.
    pub pause: Option<String>,
    /// Releases that go no further than a ring.
    pub caps: Vec<Cap>,
    /// Releases that nobody takes or keeps.
    pub denies: Vec<Deny>,
    /// Why the file cannot be read, when it cannot: nobody takes any release.
    pub unreadable: Option<String>,
}

/// A release goes no further than a ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// The release.
    pub release: ReleaseVersion,
    /// The last ring that takes it.
    pub ring: String,
    /// Why.
    pub reason: String,
}

/// A release that nobody takes or keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deny {
    /// The release.
    pub release: ReleaseVersion,
    /// Why.
    pub reason: String,
}

/// Why the file cannot be read.
pub type HoldsError = FileError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pause: Option<String>,
    #[serde(default)]
    cap: Vec<CapTable>,
    #[serde(default)]
    deny: Vec<DenyTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapTable {
    release: Spanned<String>,
    ring: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyTable {
    release: Spanned<String>,
    #[serde(default)]
    reason: String,
}

impl Holds {
    /// What the files of that name say together: `None` stands for one that is no file, or too large.
    pub fn of_entries<'a>(files: impl IntoIterator<Item = Option<&'a [u8]>>) -> Holds {
        let mut files = files.into_iter();
        let (Some(file), rest) = (files.next(), files.next()) else { return Holds::default() };
        if rest.is_some() {
            return Holds::unreadable(format!("there are several files named {ROLLOUT_FILE}: leave one"));
        }
        let Some(Ok(text)) = file.map(str::from_utf8) else {
            return Holds::unreadable(format!("{ROLLOUT_FILE} is no file of text: put one in its place, or remove it"));
        };
        Holds::parse(text).unwrap_or_else(|error| Holds::unreadable(error.to_string()))
    }

    fn unreadable(why: String) -> Holds {
        Holds { unreadable: Some(why), ..Holds::default() }
    }

    /// Reads the file.
    pub fn parse(text: &str) -> Result<Holds, HoldsError> {
        let file: File = read_toml(ROLLOUT_FILE, text)?;
        let version = |release: &Spanned<String>| {
            let name = release.get_ref();
            let version = name.strip_prefix('v').unwrap_or(name).parse::<ReleaseVersion>();
            version.map_err(|error| FileError::at(ROLLOUT_FILE, text, release.span().start, error.to_string()))
        };
        let mut holds = Holds { pause: file.pause.map(|why| words(&why)), ..Holds::default() };
        for cap in file.cap {
            holds.caps.push(Cap { release: version(&cap.release)?, ring: cap.ring, reason: words(&cap.reason) });
        }
        for deny in file.deny {
            holds.denies.push(Deny { release: version(&deny.release)?, reason: words(&deny.reason) });
        }
        Ok(holds)
    }

    /// The file that says this; for the commands that change it.
    pub fn to_file(&self) -> String {
        let mut table = toml::Table::new();
        let text = |text: &str| toml::Value::String(text.to_owned());
        if let Some(why) = &self.pause {
            table.insert("pause".to_owned(), text(why));
        }
        let of = |release: ReleaseVersion, keys: &[(&str, &str)]| {
            let release = release.to_string();
            let keys = [("release", release.as_str())].into_iter().chain(keys.iter().copied());
            toml::Value::Table(keys.map(|(key, value)| (key.to_owned(), text(value))).collect())
        };
        let cap = |cap: &Cap| of(cap.release, &[("ring", &cap.ring), ("reason", &cap.reason)]);
        let caps: Vec<_> = self.caps.iter().map(cap).collect();
        let denies: Vec<_> = self.denies.iter().map(|deny| of(deny.release, &[("reason", &deny.reason)])).collect();
        for (name, list) in [("cap", caps), ("deny", denies)] {
            if !list.is_empty() {
                table.insert(name.to_owned(), toml::Value::Array(list));
            }
        }
        let head = "# Holds releases back; `nightshift release pause | resume | deny` writes it. Unsigned: it never lets \
                    anything through.\n";
        format!("{head}{table}")
    }

    /// Why a release is denied, when it is.
    pub fn denied(&self, release: ReleaseVersion) -> Option<&str> {
        self.denies.iter().find(|deny| deny.release == release).map(|deny| deny.reason.as_str())
    }

    /// What caps a release: each cap counts, and so there may be several.
    pub fn caps_of(&self, release: ReleaseVersion) -> impl Iterator<Item = &Cap> {
        self.caps.iter().filter(move |cap| cap.release == release)
    }

    /// Whether anything is held back.
    pub fn is_empty(&self) -> bool {
        *self == Holds::default()
    }
}

/// A person's words on one line, and not a whole page of them.
fn words(text: &str) -> String {
    let line: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect();
    if line.is_empty() { "no reason given".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "pause = \"month's end\"\n[[cap]]\nrelease = \"1.5.0\"\nring = \"early\"\n\
                        reason = \"a report first\"\n[[deny]]\nrelease = \"v1.4.2\"\nreason = \"wrong prices\"\n";

    #[test]
    fn what_holds_back_is_read() {
        let holds = Holds::parse(TEXT).expect("well formed");
        assert_eq!(holds.pause.as_deref(), Some("month's end"));
        assert_eq!(holds.denied(ReleaseVersion::new(1, 4, 2)), Some("wrong prices"));
        assert_eq!(holds.denied(ReleaseVersion::new(1, 5, 0)), None);
        let caps = holds.caps_of(ReleaseVersion::new(1, 5, 0)).map(|cap| (cap.ring.as_str(), cap.reason.as_str()));
        assert_eq!(caps.collect::<Vec<_>>(), [("early", "a report first")]);
        assert_eq!(Holds::of_entries([]), Holds::default());
        assert_eq!(Holds::of_entries([Some(TEXT.as_bytes())]), holds);
        assert_eq!(Holds::parse("").map(|holds| holds.is_empty()), Ok(true));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let holds = Holds::parse(TEXT).expect("well formed");
        assert_eq!(Holds::parse(&holds.to_file()), Ok(holds));
        assert_eq!(Holds::parse(&Holds::default().to_file()), Ok(Holds::default()));
    }

    #[test]
    fn a_reason_that_was_not_given_holds_back_all_the_same() {
        let text = "pause = \"\"\n[[cap]]\nrelease = \"1.1.0\"\nring = \"early\"\n[[deny]]\nrelease = \"1.0.0\"\n";
        let holds = Holds::parse(text).expect("well formed");
        assert_eq!(holds.pause.as_deref(), Some("no reason given"));
        assert_eq!(holds.caps[0].reason, "no reason given");
        assert_eq!(holds.denied(ReleaseVersion::new(1, 0, 0)), Some("no reason given"));
    }

    #[test]
    fn a_file_that_cannot_be_read_says_why_and_holds_everything() {
        let why = |content: Option<&[u8]>| Holds::of_entries([content]).unreadable.expect("unreadable");
        assert_eq!(
            why(Some(b"pause = \"x\"\n[[deny]]\nrelease = \"newest\"\n")),
            "rollout.toml, line 3: \"newest\" is no release's name: a release is three numbers and nothing else, write 1.5.0"
        );
        assert!(why(Some(b"open = \"1.5.0\"\n")).contains("`open`"), "it can only hold back");
        assert!(why(Some(b"pause = true\n")).contains("line 1"));
        assert!(why(Some(b"\xff")).contains("no file of text"));
        assert!(why(None).contains("no file of text"));
        let two = Holds::of_entries([Some(&b""[..]), Some(&b""[..])]);
        assert!(two.unreadable.expect("unreadable").contains("several files"));
    }

    #[test]
    fn any_spelling_of_its_name_counts() {
        for name in ["rollout.toml", "ROLLOUT.TOML", "Rollout.toml"] {
            assert!(is_rollout_entry(name.as_bytes()), "{name}");
        }
        for name in ["rollout", "rollout.toml.bak", "README.md"] {
            assert!(!is_rollout_entry(name.as_bytes()), "{name}");
        }
    }
}
