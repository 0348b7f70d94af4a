//! When the trust state is lost although releases were in force here.
//!
//! Floor, denied releases and revoked keys were in it. Without them the repository could bring in anything it ever held,
//! so nothing new is believed until a person decides. The release in force may go on: it was judged when it was taken, by
//! everything that was known then, and going on with it adds nothing. But it has to prove that it is that release:
//! 1. the link `in-force` names a slot;
//! 2. `slot.json` in it says which release it is, and which keys judged it;
//! 3. the tag object beside it has the id that `slot.json` says, carries a good signature of one of those keys, and names
//!    the commit;
//! 4. the commit object beside it has the id that the tag names, and names the tree;
//! 5. the files hash to that tree ([`crate::Engine::verify_slot`], before every start).
//!
//! Damage breaks one of these. Whoever can write all of them owns the state folder, and needs no release to run code.

use std::path::Path;

use git2::{ObjectType, Oid};
use nightshift_contract::layout::StateDir;
use nightshift_manifest::revoked::Revoked;
use nightshift_manifest::signers::Signers;
use nightshift_manifest::tag;
use nightshift_manifest::trust::{InForce, Trust};

use crate::Source;
use crate::slot;

/// What may go on, and the sentence that says why nothing else may.
pub(crate) fn enter(state: &StateDir, source: &Source, lost: &str) -> (Trust, String) {
    let vouched = in_force(state, source);
    let goes_on = match &vouched {
        Ok(release) => {
            format!("{} goes on, its slot proves to be what {} signed", release.version.tag(), release.signer)
        }
        Err(why) => format!("nothing is in force, because {why}"),
    };
    let why = format!(
        "safe mode: what is trusted here is lost ({lost}), and with it the version floor and the revoked keys, so no \
         release is taken; {goes_on}"
    );
    let mut trust = Trust::default();
    if let Ok(release) = vouched {
        trust.floor = Some(release.version);
        trust.in_force = Some(release);
    }
    (trust, why)
}

/// The release that the link `in-force` names, when its slot proves to be that release.
fn in_force(state: &StateDir, source: &Source) -> Result<InForce, String> {
    let target = std::fs::read_link(state.in_force()).map_err(|_| "the link in-force is gone".to_owned())?;
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if target != Path::new("slots").join(name) {
        return Err("the link in-force leads elsewhere".to_owned());
    }
    vouch(&state.slots().join(name), name, source, &Revoked::default()).map_err(|why| format!("the slot {name} {why}"))
}

/// The release in a slot, when the slot proves to be what a key signed that may sign and is none of the revoked ones; or
/// what it is instead, to be read behind the slot's name.
pub(crate) fn vouch(folder: &Path, name: &str, source: &Source, revoked: &Revoked) -> Result<InForce, String> {
    let read = |file: &str| std::fs::read(folder.join(file)).map_err(|_| format!("has no {file}"));
    let release: InForce = serde_json::from_slice(&read(slot::RECORD)?)
        .map_err(|_| format!("has a {} that cannot be read", slot::RECORD))?;
    if release.slot != name {
        return Err("says that it is another".to_owned());
    }
    let has_id = |kind, raw: &[u8], id: &str| Oid::hash_object(kind, raw).is_ok_and(|found| found.to_string() == id);
    let raw = read(slot::TAG)?;
    if !has_id(ObjectType::Tag, &raw, &release.tag_id) {
        return Err("holds another tag than it says".to_owned());
    }
    let mut signers = Signers::parse(&release.judged_by).map_err(|_| "does not say who may sign".to_owned())?;
    for pinned in source.signers.iter() {
        signers = signers.and(pinned);
    }
    signers = signers.without(revoked);
    // Nothing revokes the recovery key.
    if let Some(recovery) = &source.recovery {
        signers = signers.and(recovery);
    }
    let tag = tag::verify(&raw, &release.version.tag(), &signers)
        .map_err(|refusal| format!("is not signed by a key that counts: {}", refusal.knowing(revoked)))?;
    let raw = read(slot::COMMIT)?;
    let tree = format!("tree {}\n", release.tree);
    if tag.commit != release.commit
        || !has_id(ObjectType::Commit, &raw, &tag.commit)
        || !raw.starts_with(tree.as_bytes())
    {
        return Err("holds another commit than was signed".to_owned());
    }
    Ok(release)
}
