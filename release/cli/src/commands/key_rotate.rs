//! `nightshift key rotate`: a new signing key in the place of the old one.
//!
//! In this order: (1) make the new key beside the old one; (2) cut a release, signed by the old key, that names the new
//! one; (3) only then put the new key in the old one's place, which is kept. A rotation that fails at (2) leaves the new key
//! for the next try; one that is killed before (3) is finished by running it again.

use std::path::PathBuf;

use nightshift_contract::exit::Exit;
use serde::Serialize;

use super::release_cut::Cut;
use crate::key_change::KeyChange;
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;

/// Sign the releases from now on with a new key
///
/// Makes a new signing key and cuts a release, signed by the old one, whose keys/allowed_signers names the new one in its
/// place. Workers follow key sets in version order. The old key is kept beside the new one; if it may have been stolen,
/// revoke it as well (`nightshift key revoke`). Nothing else may be uncommitted in the clone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The release's version [default: the next above the newest release]
    version: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of a rotation, for scripts.
#[derive(Debug, Serialize)]
struct Rotated {
    /// The release that names the new key; `null` when a rotation was finished that had been cut off.
    release: Option<Cut>,
    /// The key that signs from now on.
    key: Successor,
}

/// A key that took the place of another, for scripts.
#[derive(Debug, Serialize)]
pub(crate) struct Successor {
    /// Its fingerprint, `SHA256:…`.
    fingerprint: String,
    /// Where its private half stands.
    path: PathBuf,
    /// Where the one before it is kept.
    retired: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let mut change = KeyChange::begin(around)?;
    let place = &around.config.signing_key;
    let old = SigningKey::open(place)?;
    let new = new_key(around)?;
    if change.signers.iter().any(|signer| signer.fingerprint().to_string() == new.fingerprint()) {
        around.screen.say("the release that names the new key is there already; a rotation before was cut off");
        let key = put_in_place(new, around)?;
        return show(args, &Rotated { release: None, key }, around);
    }
    change.exchange(&old, &new)?;
    let version = change.version(args.version.as_deref())?;
    let release = Some(change.cut(version, &old, &new, around)?);
    let key = put_in_place(new, around)?;
    around.screen.say(format!("If the old key may be in other hands: nightshift key revoke {}", old.fingerprint()));
    show(args, &Rotated { release, key }, around)
}

fn show(args: &Args, rotated: &Rotated, around: &Surroundings) -> anyhow::Result<Exit> {
    match (args.json, &rotated.release) {
        (true, _) => around.screen.json("rotated", rotated)?,
        (false, Some(release)) => around.screen.data(&format!("{}\n", release.tag))?,
        (false, None) => {}
    }
    Ok(Exit::Done)
}

/// The next signing key, made now or by a try before, saved beside the one in use.
pub(crate) fn new_key(around: &Surroundings) -> anyhow::Result<SigningKey> {
    let mut path = around.config.signing_key.clone().into_os_string();
    path.push(".next");
    let mut new = SigningKey::open_or_make(path.as_ref(), &around.user)?;
    new.save()?;
    Ok(new)
}

/// Puts the new key in the place of the one in use.
pub(crate) fn put_in_place(new: SigningKey, around: &Surroundings) -> anyhow::Result<Successor> {
    let fingerprint = new.fingerprint();
    let place = &around.config.signing_key;
    let retired = new.replace(place)?;
    around.screen.good(format!("new signing key     {} ({fingerprint})", place.display()));
    around.screen.good(format!("the old one         {}", retired.display()));
    Ok(Successor { fingerprint, path: place.clone(), retired })
}
