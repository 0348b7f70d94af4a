//! Every rule of [`super::verify`], one test each.

use super::*;
use crate::signers;
use ssh_key::Algorithm;
use ssh_key::rand_core::OsRng;

fn key() -> PrivateKey {
    PrivateKey::random(&mut OsRng, Algorithm::Ed25519).expect("a key")
}

fn trusted(key: &PrivateKey) -> Signers {
    Signers::one("ann@example.com", key.public_key()).expect("a key set")
}

fn fields(name: &str) -> TagFields {
    TagFields {
        name: name.to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        tagger: "Ann <ann@example.com>".to_owned(),
        time: Timestamp::from_second(1_772_000_000).expect("a time"),
        message: "Release 1.5.0\n\nFaster.".to_owned(),
    }
}

fn raw(name: &str, key: &PrivateKey) -> Vec<u8> {
    signed(&fields(name), key).expect("signed")
}

#[test]
fn a_tag_signed_by_a_key_in_force_is_believed() {
    let key = key();
    let tag = verify(&raw("v1.5.0", &key), "v1.5.0", &trusted(&key)).expect("good");
    assert_eq!(tag.version, ReleaseVersion::new(1, 5, 0));
    assert_eq!(tag.commit, fields("v1.5.0").commit);
    assert_eq!(tag.signer, "ann@example.com");
    assert_eq!(tag.message, fields("v1.5.0").message);
    assert_eq!(tag.tagger_time, fields("v1.5.0").time);
}

#[test]
fn a_tag_of_another_signer_is_refused_with_the_key_it_names() {
    let (ours, theirs) = (key(), key());
    let fingerprint = theirs.fingerprint(HashAlg::Sha256).to_string();
    let refused = verify(&raw("v1.5.0", &theirs), "v1.5.0", &trusted(&ours)).expect_err("wrong key");
    assert_eq!(refused, TagRefusal::UnknownSigner { fingerprint });
}

#[test]
fn an_unsigned_tag_is_refused() {
    let raw = unsigned(&fields("v1.5.0")).expect("a tag");
    assert_eq!(verify(&raw, "v1.5.0", &trusted(&key())), Err(TagRefusal::Unsigned));
}

#[test]
fn a_tag_signed_with_gpg_is_refused() {
    let mut raw = unsigned(&fields("v1.5.0")).expect("a tag");
    raw.extend_from_slice(b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n");
    assert_eq!(verify(&raw, "v1.5.0", &trusted(&key())), Err(TagRefusal::NotSsh("GPG")));
}

#[test]
fn a_good_tag_under_another_name_is_refused() {
    let key = key();
    let refused = verify(&raw("v1.5.0", &key), "v1.6.0", &trusted(&key)).expect_err("replayed");
    assert_eq!(refused, TagRefusal::OtherName { signer: "ann@example.com".into(), inside: "v1.5.0".into() });
}

#[test]
fn a_tag_changed_after_signing_is_refused() {
    let key = key();
    let text = String::from_utf8(raw("v1.5.0", &key)).expect("text");
    for changed in [
        text.replace("tag v1.5.0", "tag v1.6.0"),
        text.replace("object 0", "object 1"),
        text.replace("Faster", "Slower"),
        text.replace("1772000000", "1772000001"),
    ] {
        let name = if changed.contains("tag v1.6.0") { "v1.6.0" } else { "v1.5.0" };
        let refused = verify(changed.as_bytes(), name, &trusted(&key)).expect_err("changed");
        assert_eq!(refused, TagRefusal::BadSignature { signer: "ann@example.com".into() });
    }
}

#[test]
fn a_signature_made_for_another_purpose_is_refused() {
    let key = key();
    let mut raw = unsigned(&fields("v1.5.0")).expect("a tag");
    let signature = key.sign("file", HashAlg::Sha512, &raw).expect("signed");
    raw.extend_from_slice(signature.to_pem(LineEnding::LF).expect("pem").as_bytes());
    let refused = verify(&raw, "v1.5.0", &trusted(&key)).expect_err("other namespace");
    assert!(matches!(refused, TagRefusal::MalformedSignature(_)), "{refused}");
}

#[test]
fn nothing_may_stand_behind_a_signature() {
    let key = key();
    let mut raw = raw("v1.5.0", &key);
    raw.extend_from_slice(b"more\n");
    let refused = verify(&raw, "v1.5.0", &trusted(&key)).expect_err("trailing text");
    assert!(matches!(refused, TagRefusal::MalformedSignature(_)), "{refused}");
}

#[test]
fn a_second_signature_does_not_hide_behind_a_good_one() {
    let key = key();
    let mut raw = raw("v1.5.0", &key);
    raw.extend_from_slice(b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n");
    assert_eq!(verify(&raw, "v1.5.0", &trusted(&key)), Err(TagRefusal::NotSsh("GPG")));
}

#[test]
fn a_tag_that_git_would_not_write_is_refused() {
    let key = key();
    let good = String::from_utf8(unsigned(&fields("v1.5.0")).expect("a tag")).expect("text");
    for (bad, why) in [
        (good.replace("type commit", "type tree"), "it does not name a commit"),
        (good.replace("object 0123", "object ZZZZ"), "it names no object"),
        (good.replace("tag v1.5.0\n", ""), "it has no name inside"),
        (good.replace("tagger Ann <ann@example.com> 1772000000 +0000\n", ""), "it names no tagger"),
        (good.replace("1772000000", "yesterday"), "it does not say when it was made"),
        (good.replace("+0000\n", "+0000\nencoding latin1\n"), "it has a header that no tag has"),
        (good.replace("\n\n", "\n"), "it has no message"),
    ] {
        let signature = key.sign(GIT_NAMESPACE, HashAlg::Sha512, bad.as_bytes()).expect("signed");
        let raw = bad + &signature.to_pem(LineEnding::LF).expect("pem");
        assert_eq!(verify(raw.as_bytes(), "v1.5.0", &trusted(&key)), Err(TagRefusal::Malformed(why)));
    }
    let huge = vec![b'x'; MAX_TAG_BYTES + 1];
    assert!(matches!(verify(&huge, "v1.5.0", &trusted(&key)), Err(TagRefusal::Malformed(_))));
}

#[test]
fn a_name_that_is_no_releases_is_refused_before_anything_else() {
    assert!(matches!(verify(b"", "v1.5", &trusted(&key())), Err(TagRefusal::Name(_))));
}

#[test]
fn fields_that_would_break_a_tag_are_not_signed() {
    let key = key();
    let with = |change: fn(&mut TagFields)| {
        let mut fields = fields("v1.5.0");
        change(&mut fields);
        signed(&fields, &key).expect_err("not signed").to_string()
    };
    assert!(with(|fields| fields.name = "v1 5".into()).contains("the name"));
    assert!(with(|fields| fields.commit = "HEAD".into()).contains("the commit"));
    assert!(with(|fields| fields.tagger = "Ann\n<a@b>".into()).contains("the tagger"));
    assert!(with(|fields| fields.message = "x\n-----BEGIN SSH SIGNATURE-----".into()).contains("the message"));
}

#[test]
fn a_refusal_says_which_rule_and_what_to_do() {
    let refusal = TagRefusal::Unsigned.of("v1.6.0", "abc");
    assert_eq!((refusal.rule, refusal.signer.as_deref()), (Rule::Signed, None));
    assert!(refusal.to_string().starts_with("v1.6.0 is refused: the tag is not signed; sign it"), "{refusal}");
    let replayed = TagRefusal::OtherName { signer: "ann".into(), inside: "v1.5.0".into() }.of("v1.6.0", "abc");
    assert_eq!((replayed.rule, replayed.signer.as_deref()), (Rule::SameName, Some("ann")));
}

#[test]
fn a_line_of_the_allowed_signers_fits_the_key_it_was_made_from() {
    let key = key();
    let line = signers::line("ann", key.public_key());
    assert!(Signers::parse(&line).expect("a line").find(key.public_key().key_data()).is_some());
}

#[test]
fn a_signature_written_otherwise_than_git_writes_it_is_refused() {
    let key = key();
    let good = String::from_utf8(raw("v1.5.0", &key)).expect("text");
    let (payload, armour) = good.split_at(good.find("-----BEGIN").expect("signed"));
    for other in [
        armour.replace('\n', "\r\n"),
        armour.trim_end().to_owned(),
        format!("{armour}\n"),
        format!("{armour}more\n"),
        armour.replace("-----BEGIN SSH SIGNATURE-----\n", "-----BEGIN SSH SIGNATURE-----\n\n"),
        armour.replacen("U1NI", "U1N\nI", 1),
    ] {
        let refused = verify(format!("{payload}{other}").as_bytes(), "v1.5.0", &trusted(&key)).expect_err(&other);
        assert!(matches!(refused, TagRefusal::MalformedSignature(_)), "{other}: {refused}");
    }
}

#[test]
fn of_two_signatures_the_last_counts_and_covers_the_first() {
    let (ours, theirs) = (key(), key());
    let sign = |payload: &[u8], key: &PrivateKey| {
        let signature = key.sign(GIT_NAMESPACE, HashAlg::Sha512, payload).expect("signed");
        [payload, signature.to_pem(LineEnding::LF).expect("armoured").as_bytes()].concat()
    };
    let unsigned = unsigned(&fields("v1.5.0")).expect("a tag");
    let ours_last = sign(&sign(&unsigned, &theirs), &ours);
    verify(&ours_last, "v1.5.0", &trusted(&ours)).expect("we signed all of it");
    let theirs_last = sign(&sign(&unsigned, &ours), &theirs);
    assert!(matches!(verify(&theirs_last, "v1.5.0", &trusted(&ours)), Err(TagRefusal::UnknownSigner { .. })));
    let not_over_the_first = [&sign(&unsigned, &theirs), &sign(&unsigned, &ours)[unsigned.len()..]].concat();
    assert!(matches!(verify(&not_over_the_first, "v1.5.0", &trusted(&ours)), Err(TagRefusal::BadSignature { .. })));
}

#[test]
fn a_signature_by_another_kind_of_key_or_another_hash_is_judged_by_its_key_alone() {
    let key = PrivateKey::random(&mut OsRng, Algorithm::Ecdsa { curve: ssh_key::EcdsaCurve::NistP256 }).expect("a key");
    verify(&raw("v1.5.0", &key), "v1.5.0", &trusted(&key)).expect("good");
    let key = self::key();
    let unsigned = unsigned(&fields("v1.5.0")).expect("a tag");
    let signature = key.sign(GIT_NAMESPACE, HashAlg::Sha256, &unsigned).expect("signed");
    let tag = [&unsigned, signature.to_pem(LineEnding::LF).expect("armoured").as_bytes()].concat();
    verify(&tag, "v1.5.0", &trusted(&key)).expect("git takes it too");
}
