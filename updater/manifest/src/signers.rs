//! Who may sign releases: a parser for OpenSSH's `allowed_signers` format that fails closed.
//!
//! A line is `NAME [OPTIONS] KEYTYPE KEY [COMMENT]`. Of the options only `namespaces="git"` is understood. Whatever
//! else stands there (certificates, dates, patterns, other key types) makes the whole file invalid: a limit that is not
//! understood must not be read as no limit. Dates in particular limit nothing, because a signer chooses the date of a
//! tag: a key is revoked by taking its line out.

use std::collections::BTreeSet;
use std::fmt;

use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, Fingerprint, HashAlg, PublicKey};

use crate::revoked::Revoked;

/// The namespace git signs in.
pub const GIT_NAMESPACE: &str = "git";

/// A key set. One that was read has at least one key. Two sets with the same lines in the same order are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signers(Vec<Signer>);

/// A person and their key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The line's first field, for people. Nothing is decided by it.
    pub name: String,
    key: KeyData,
}

/// Why a key set cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignersError {
    /// A line that is not wholly understood.
    #[error("line {line} of the allowed signers: {problem}")]
    Line {
        /// 1-based number of the line.
        line: usize,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// No key that may sign releases.
    #[error(
        "the allowed signers name no key: add a line such as \
         ann@example.com namespaces=\"git\" ssh-ed25519 AAAA…"
    )]
    NoKey,
}

impl Signers {
    /// Reads the lines of an `allowed_signers` file. Empty lines and lines starting with `#` are comments. A line for
    /// other namespaces than git's is understood and gives no key.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        let mut signers = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = parse_line(line).map_err(|problem| SignersError::Line { line: index + 1, problem })?;
            signers.extend(read);
        }
        match signers.is_empty() {
            true => Err(SignersError::NoKey),
            false => Ok(Self(signers)),
        }
    }

    /// A key set of one key.
    pub fn one(name: &str, key: &PublicKey) -> Result<Self, SignersError> {
        Self::parse(&line(name, key))
    }

    /// The signer whose key this is.
    pub fn find(&self, key: &KeyData) -> Option<&Signer> {
        self.0.iter().find(|signer| signer.key == *key)
    }

    /// The key set without those of its keys that are revoked; perhaps none is left.
    pub fn without(&self, revoked: &Revoked) -> Signers {
        Self(self.0.iter().filter(|signer| !revoked.has(&signer.fingerprint().to_string())).cloned().collect())
    }

    /// The key set and one key more.
    pub fn and(mut self, signer: &Signer) -> Signers {
        if self.find(&signer.key).is_none() {
            self.0.push(signer.clone());
        }
        self
    }

    /// How many people these are: by their names, and by their keys where two have one name's.
    pub fn people(&self) -> usize {
        let names: BTreeSet<&str> = self.iter().map(|signer| signer.name.as_str()).collect();
        let keys: BTreeSet<String> = self.iter().map(|signer| signer.fingerprint().to_string()).collect();
        names.len().min(keys.len())
    }

    /// The signers, in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = &Signer> {
        self.0.iter()
    }
}

impl fmt::Display for Signer {
    /// The key as a line of `allowed_signers`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.name, &self.key.clone().into()))
    }
}

impl fmt::Display for Signers {
    /// The key set in the format [`Signers::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|signer| writeln!(f, "{signer}"))
    }
}

impl Signer {
    /// Reads one line of an `allowed_signers` file: one key and no more.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        let mut signers = Signers::parse(text)?.0;
        match (signers.pop(), signers.len()) {
            (Some(signer), 0) => Ok(signer),
            (_, more) => {
                Err(SignersError::Line { line: more + 1, problem: "one key is wanted here, and no more".into() })
            }
        }
    }

    /// The key's fingerprint as `ssh-keygen -l` shows it: `SHA256:…`.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint(HashAlg::Sha256)
    }
}

/// A line of `allowed_signers` that lets `key` sign releases and nothing else.
pub fn line(name: &str, key: &PublicKey) -> String {
    let needs_quotes = name.contains(char::is_whitespace) || name.starts_with('#');
    let name = if needs_quotes { format!("\"{name}\"") } else { name.to_owned() };
    let key = PublicKey::from(key.key_data().clone()).to_openssh().unwrap_or_default();
    format!("{name} namespaces=\"{GIT_NAMESPACE}\" {}", key.trim())
}

/// The signer of one line, `None` for a line about other namespaces.
fn parse_line(line: &str) -> Result<Option<Signer>, String> {
    let (name, rest) = first_word(line)?;
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    if name.is_empty() || name.contains('"') {
        return Err("the name is empty or has a double quote in it".to_owned());
    }
    let (word, after) = first_word(rest)?;
    let (options, rest) = match word.parse::<Algorithm>() {
        Ok(Algorithm::Other(_)) | Err(_) => (word, after),
        Ok(_) => ("", rest),
    };
    let for_git = options_allow_git(options)?;
    let mut words = rest.split_whitespace();
    let (Some(key_type), Some(key)) = (words.next(), words.next()) else {
        return Err("there is no key: write NAME namespaces=\"git\" ssh-ed25519 AAAA…".to_owned());
    };
    let key = PublicKey::from_openssh(&format!("{key_type} {key}"))
        .map_err(|_| format!("{key_type} is followed by no such key: copy both from the signer's .pub file"))?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => {}
        _ => return Err(format!("keys of type {key_type} are not taken: use an ssh-ed25519 key")),
    }
    Ok(for_git.then(|| Signer { name: name.to_owned(), key: key.key_data().clone() }))
}

/// The first word, which may hold blanks between double quotes, and what follows it.
fn first_word(text: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        !quoted && c.is_whitespace()
    });
    match end {
        None if quoted => Err("a double quote is not closed".to_owned()),
        None => Ok((text, "")),
        Some(end) => Ok((&text[..end], text[end..].trim_start())),
    }
}

/// Whether a key with these options signs for git; an error for every option that is not understood.
fn options_allow_git(options: &str) -> Result<bool, String> {
    if options.is_empty() {
        return Ok(true);
    }
    let namespaces = options
        .split_once('=')
        .filter(|(name, _)| name.eq_ignore_ascii_case("namespaces"))
        .and_then(|(_, value)| value.strip_prefix('"')?.strip_suffix('"'))
        .filter(|value| !value.contains(['"', '*', '?', '!', ' ', '=']) && !value.is_empty());
    match namespaces {
        Some(namespaces) => Ok(namespaces.split(',').any(|namespace| namespace == GIT_NAMESPACE)),
        None => Err(format!(
            "{options} is not understood, and so nothing of this file is believed: only namespaces=\"git\" may stand \
             there (a key is revoked by removing its line)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqi";
    const RSA_HEAD: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC";

    fn problem(text: &str) -> String {
        Signers::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn a_line_is_a_name_and_a_key() {
        let text =
            format!("# our keys\n\nann@example.com {KEY} ann at home\n\"Ben B.\" namespaces=\"file,git\" {KEY}\n");
        let signers = Signers::parse(&text).expect("well formed");
        assert_eq!(
            signers.iter().map(|signer| signer.name.as_str()).collect::<Vec<_>>(),
            ["ann@example.com", "Ben B."]
        );
        assert!(signers.iter().all(|signer| signer.fingerprint().to_string().starts_with("SHA256:")));
    }

    #[test]
    fn a_key_set_is_read_as_it_was_written() {
        let text = format!("\"Ann A\" {KEY} comment\nben {KEY}\n\"#cem\" {KEY}\n");
        let signers = Signers::parse(&text).expect("well formed");
        assert_eq!(signers.iter().count(), 3);
        assert_eq!(Signers::parse(&signers.to_string()), Ok(signers));
    }

    #[test]
    fn a_key_for_other_purposes_does_not_sign_releases() {
        assert_eq!(Signers::parse(&format!("ann namespaces=\"file\" {KEY}\n")), Err(SignersError::NoKey));
    }

    #[test]
    fn an_option_that_is_not_understood_makes_the_whole_file_invalid() {
        for options in [
            "cert-authority",
            "valid-before=\"20300101\"",
            "valid-after=\"20200101\"",
            "namespaces=\"git\",valid-before=\"20300101\"",
            "namespaces=\"*\"",
            "namespaces=\"!git\"",
            "namespaces=git",
            "namespaces=\"\"",
            "verify-required",
        ] {
            let message = problem(&format!("ann {KEY}\nben {options} {KEY}\n"));
            assert!(
                message.starts_with("line 2 of the allowed signers: ") && message.contains("not understood"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_or_is_of_another_type_makes_the_whole_file_invalid() {
        assert!(problem("ann\n").contains("there is no key"));
        assert!(problem("ann ssh-ed25519\n").contains("there is no key"));
        assert!(problem("ann ssh-ed25519 AAAA\n").contains("no such key"));
        assert!(problem(&format!("ann {RSA_HEAD}\n")).starts_with("line 1"));
        assert!(problem(&format!("\"ann {KEY}\n")).contains("double quote"));
        assert!(problem(&format!("\"\" {KEY}\n")).contains("the name is empty"));
        assert!(problem(&format!("a\"b\"c {KEY}\n")).contains("double quote"));
        assert!(problem(&KEY.replace("ssh-ed25519", "ann ecdsa-sha2-nistp256")).contains("no such key"));
    }

    #[test]
    fn a_key_set_without_a_key_is_no_key_set() {
        assert_eq!(Signers::parse(""), Err(SignersError::NoKey));
        assert_eq!(Signers::parse("# nobody\n\n"), Err(SignersError::NoKey));
    }
}
