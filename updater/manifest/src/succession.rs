//! Which keys count: key sets follow one another in version order, and a revocation is heard before anything else.
//!
//! Releases are judged lowest version first, each by the keys in force before it ([`crate::trust::Trust::keys_for`]). That
//! alone would let somebody with a stolen key slip a release in *below* the one that revokes it, for workers that slept
//! through the revocation. So the tags above the floor are gone through twice:
//! 1. [`heard_first`]: what the recovery key revokes counts first of all; then what the keys in force revoke, all at once.
//!    Two keys that revoke each other are both revoked: then nothing new comes in until the recovery key (or a person who
//!    pins a new key) says whose word it is. A thief can hold updates up that way, and can bring nothing in.
//! 2. In version order, with those revocations in force from the first tag on. Keys that come in on the way may revoke,
//!    too; a release whose signer was revoked by a later one is not taken, though the key set it brought has been passed
//!    on.

use crate::revoked::Revoked;
use crate::signers::Signers;

/// What a believed tag says about keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The fingerprint of the key that signed it.
    pub signer: String,
    /// It is the recovery key.
    pub by_recovery: bool,
    /// The keys it revokes.
    pub revokes: Revoked,
    /// What is remembered about a key it revokes.
    pub remark: String,
}

/// The keys revoked, `before` and by these claims of keys in force, before any of them is judged in its turn. `recovery` is
/// the fingerprint of the recovery key, which nothing revokes.
pub fn heard_first(before: &Revoked, claims: &[Claim], recovery: Option<&str>) -> Revoked {
    let mut revoked = before.clone();
    for by_recovery in [true, false] {
        let known = revoked.clone();
        let count = claims.iter().filter(|claim| claim.by_recovery == by_recovery && !known.has(&claim.signer));
        for claim in count {
            add(&mut revoked, claim, recovery);
        }
    }
    revoked
}

/// Adds what a believed tag revokes. The recovery key is out of reach.
pub fn add(revoked: &mut Revoked, claim: &Claim, recovery: Option<&str>) {
    for fingerprint in claim.revokes.fingerprints().filter(|fingerprint| Some(*fingerprint) != recovery) {
        revoked.add(fingerprint, &claim.remark);
    }
}

/// What is wrong with what a release says about keys: `left` are those that sign releases after it, and `needed` people
/// have to stand behind each from then on. A release may not lock everybody out.
pub fn check_keys(claim: &Claim, left: &Signers, needed: u32) -> Result<(), String> {
    if claim.revokes.has(&claim.signer) && !claim.by_recovery {
        return Err(
            "keys/revoked names the key that signed it: sign it with another key, or with the recovery key".into()
        );
    }
    let people = left.people();
    if people == 0 {
        return Err("keys/revoked names every key of keys/allowed_signers: nobody could sign a release any more".into());
    }
    if people < needed as usize {
        return Err(format!(
            "threshold = {needed} asks for more people than keys/allowed_signers has ({people}): nobody could release any \
             more"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked(keys: &[&str]) -> Revoked {
        let mut revoked = Revoked::default();
        keys.iter().for_each(|key| revoked.add(key, ""));
        revoked
    }

    fn claim(signer: &str, revokes: &[&str]) -> Claim {
        Claim {
            signer: signer.into(),
            by_recovery: signer == "recovery",
            revokes: revoked(revokes),
            remark: String::new(),
        }
    }

    fn heard(claims: &[Claim]) -> Vec<String> {
        heard_first(&Revoked::default(), claims, Some("recovery")).fingerprints().map(str::to_owned).collect()
    }

    #[test]
    fn a_revocation_counts_for_releases_below_it() {
        assert_eq!(heard(&[claim("stolen", &[]), claim("ann", &["stolen"])]), ["stolen"]);
    }

    #[test]
    fn keys_that_revoke_each_other_are_both_revoked() {
        let claims = [claim("stolen", &["ann"]), claim("ann", &["stolen"])];
        assert_eq!(heard(&claims), ["ann", "stolen"]);
        assert_eq!(heard(&[claims[1].clone(), claims[0].clone()]), ["ann", "stolen"], "whoever came first");
    }

    #[test]
    fn the_recovery_key_is_heard_before_all_others() {
        let claims = [claim("stolen", &["ann"]), claim("recovery", &["stolen"])];
        assert_eq!(heard(&claims), ["stolen"]);
    }

    #[test]
    fn nothing_revokes_the_recovery_key() {
        assert_eq!(heard(&[claim("stolen", &["recovery", "ann"])]), ["ann"]);
    }

    #[test]
    fn a_key_revoked_before_revokes_nobody() {
        let after = heard_first(&revoked(&["stolen"]), &[claim("stolen", &["ann"])], None);
        assert_eq!(after, revoked(&["stolen"]));
    }

    const ANN: &str = "ann ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqi";
    const BEN: &str = "ben ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn signers(lines: &[&str]) -> Signers {
        Signers::parse(&lines.join("\n")).expect("a key set")
    }

    fn fingerprint(line: &str) -> String {
        signers(&[line]).iter().map(|signer| signer.fingerprint().to_string()).collect()
    }

    #[test]
    fn a_release_does_not_revoke_the_key_that_signed_it() {
        let ben = signers(&[BEN]);
        let revokes = [&fingerprint(ANN)[..]];
        let problem = check_keys(&claim(&fingerprint(ANN), &revokes), &ben, 1).expect_err("its own");
        assert!(problem.contains("sign it with another key"), "{problem}");
        assert_eq!(check_keys(&claim(&fingerprint(BEN), &revokes), &ben, 1), Ok(()));
    }

    #[test]
    fn a_release_does_not_lock_everybody_out() {
        let none = signers(&[ANN]).without(&revoked(&[&fingerprint(ANN)]));
        assert!(check_keys(&claim("recovery", &[]), &none, 1).expect_err("nobody left").contains("nobody could sign"));
        let problem = check_keys(&claim("ann", &[]), &signers(&[ANN]), 2).expect_err("too many");
        assert!(problem.contains("asks for more people than keys/allowed_signers has (1)"), "{problem}");
        assert_eq!(check_keys(&claim("ann", &[]), &signers(&[ANN, BEN]), 2), Ok(()));
    }
}
