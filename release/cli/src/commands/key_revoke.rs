//! `nightshift key revoke`: a key that never counts again.
//!
//! One release takes the key's line out of `keys/allowed_signers` and puts its fingerprint into `keys/revoked`. Another key
//! in force signs it, or the recovery key; a key cannot revoke itself, or a thief could make its last word count. When the
//! revoked key is the person's own, a new one takes its place.

use std::path::PathBuf;

use nightshift_contract::exit::Exit;
use nightshift_manifest::SIGNERS_FILE;
use nightshift_manifest::revoked::Revoked;
use nightshift_manifest::signers::Signer;
use serde::Serialize;

use super::key_rotate::{Successor, new_key, put_in_place};
use super::release_cut::Cut;
use crate::key_change::KeyChange;
use crate::refusal::refusal;
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;

/// Revoke a signing key for good
///
/// Cuts a release that takes the key out of keys/allowed_signers and puts it into keys/revoked. Workers hear of it before
/// they judge anything else, also those that slept: releases that the key signed and that they have not taken yet are
/// refused, above and below this one. It has to be signed by another key in force, yours, or by the recovery key. Two keys
/// that revoke each other are both revoked, and then nothing new comes in until the recovery key speaks: use it at once
/// when a key was stolen.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose key: a name in keys/allowed_signers, or the key's fingerprint, SHA256:…
    key: String,
    /// The release's version [default: the next above the newest release]
    version: Option<String>,
    /// Sign with the recovery key in this file
    #[arg(long, value_name = "FILE")]
    recovery: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A key that was revoked, for scripts.
#[derive(Debug, Serialize)]
struct RevokedKey {
    /// Its fingerprint, `SHA256:…`.
    fingerprint: String,
    /// Whose it was.
    name: String,
    /// The release that revokes it.
    release: Cut,
    /// The key that signs from now on, when it was the person's own.
    successor: Option<Successor>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let mut change = KeyChange::begin(around)?;
    let own = SigningKey::open(&around.config.signing_key)?;
    let (fingerprint, name) = find(&args.key, &change.signers)?;
    let recovery = args.recovery.as_ref().map(|path| SigningKey::open(&around.resolve(path))).transpose()?;
    let is_own = fingerprint == own.fingerprint();
    if is_own && recovery.is_none() {
        let text = format!(
            "{fingerprint} is your own signing key, and a key cannot revoke itself; sign with the recovery key \
             (--recovery FILE), or have another signer revoke yours"
        );
        return Err(refusal(Exit::Usage, text));
    }
    let new = if is_own { Some(new_key(around)?) } else { None };
    match &new {
        Some(new) if change.signers.iter().any(|signer| signer.fingerprint().to_string() == fingerprint) => {
            change.exchange(&own, new)?;
        }
        _ => change.signers.retain(|signer| signer.fingerprint().to_string() != fingerprint),
    }
    let version = change.version(args.version.as_deref())?;
    change.revoked.add(&fingerprint, format!("{name}, revoked by {}", version.tag()));
    let next = new.as_ref().unwrap_or(&own);
    let release = change.cut(version, recovery.as_ref().unwrap_or(&own), next, around)?;
    let successor = new.map(|new| put_in_place(new, around)).transpose()?;
    around.screen.good(format!("revoked {fingerprint} ({name}), for good"));
    match args.json {
        true => around.screen.json("revoked", &RevokedKey { fingerprint, name, release, successor })?,
        false => around.screen.data(&format!("{}\n", release.tag))?,
    }
    Ok(Exit::Done)
}

/// Fingerprint and name of the key that was meant.
fn find(typed: &str, signers: &[Signer]) -> anyhow::Result<(String, String)> {
    if let Ok(read) = Revoked::parse(typed)
        && let Some(fingerprint) = read.fingerprints().next()
    {
        let named = signers.iter().find(|signer| signer.fingerprint().to_string() == fingerprint);
        let name = named.map_or_else(|| "no longer named".to_owned(), |signer| signer.name.clone());
        return Ok((fingerprint.to_owned(), name));
    }
    let named: Vec<&Signer> = signers.iter().filter(|signer| signer.name == typed).collect();
    match named[..] {
        [signer] => Ok((signer.fingerprint().to_string(), signer.name.clone())),
        [] => {
            let names: Vec<&str> = signers.iter().map(|signer| signer.name.as_str()).collect();
            let text = format!("{SIGNERS_FILE} names no {typed:?}; it names {}", names.join(", "));
            Err(refusal(Exit::NotFound, text))
        }
        _ => {
            let keys: Vec<String> = named.iter().map(|signer| signer.fingerprint().to_string()).collect();
            let text = format!("{typed:?} has several keys; name one of {}", keys.join(", "));
            Err(refusal(Exit::Usage, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "ann ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqi";

    #[test]
    fn a_key_is_found_by_name_or_fingerprint() {
        let ann = Signer::parse(ANN).expect("one key");
        let fingerprint = ann.fingerprint().to_string();
        for typed in ["ann", &fingerprint] {
            assert_eq!(find(typed, std::slice::from_ref(&ann)).expect(typed), (fingerprint.clone(), "ann".into()));
        }
        let other = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
        assert_eq!(find(other, std::slice::from_ref(&ann)).expect("any key").0, other);
        assert!(find("ben", std::slice::from_ref(&ann)).expect_err("nobody").to_string().contains("it names ann"));
        assert!(find("ann", &[ann.clone(), ann]).expect_err("two").to_string().contains("several keys"));
    }
}
