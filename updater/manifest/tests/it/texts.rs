//! The sentences that reach a release manager, as they read.

use nightshift_manifest::content::Content;
use nightshift_manifest::select::{RemoteTag, plan};
use nightshift_manifest::signers::Signers;
use nightshift_manifest::tag::TagRefusal;
use nightshift_manifest::trust::{InForce, Trust};
use nightshift_manifest::version::ReleaseVersion;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_refusal_of_a_tag_says_what_was_found_and_what_to_do() {
    let name = ReleaseVersion::parse_tag("v1.6").expect_err("no name");
    let refusals = [
        TagRefusal::Name(name),
        TagRefusal::Malformed("it does not name a commit"),
        TagRefusal::Unsigned,
        TagRefusal::NotSsh("GPG"),
        TagRefusal::UnknownSigner { fingerprint: "SHA256:abc".into() },
        TagRefusal::BadSignature { signer: "ann".into() },
        TagRefusal::Revoked { fingerprint: "SHA256:abc".into(), remark: "by v1.7.0, signed by ben".into() },
        TagRefusal::OtherCommit { signer: "ann".into(), inside: "0123".into() },
        TagRefusal::OtherName { signer: "ann".into(), inside: "v1.5.0".into() },
    ];
    let texts: Vec<String> = refusals.iter().map(|refusal| refusal.of("v1.6.0", "0123").to_string()).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_step_back_says_how_to_go_back() {
    let mut trust = Trust::default();
    let tag = |name: &str, id: &str| RemoteTag { name: name.into(), id: id.into() };
    let release = InForce {
        version: ReleaseVersion::new(1, 5, 0),
        tag_id: "five".into(),
        commit: String::new(),
        tree: String::new(),
        signer: "ann".into(),
        judged_by: String::new(),
        slot: String::new(),
    };
    trust.take(release, &[]);
    let refused = plan(&[tag("v1.4.0", "new"), tag("v1.5.0", "moved"), tag("1.6.0", "x")], &trust).refused;
    let texts: Vec<String> = refused.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn files_that_cannot_be_taken_are_named_with_line_and_remedy() {
    let release = |path: &str, text: &str| {
        let mut manifests = BTreeMap::from([("nightshift.toml".to_owned(), Vec::new())]);
        manifests.insert(path.to_owned(), text.as_bytes().to_vec());
        let mut paths: BTreeSet<String> = manifests.keys().cloned().collect();
        paths.insert("plugins/p/query.sqlite.sql".to_owned());
        Content::parse(&paths, &manifests).expect_err(text).to_string()
    };
    let plugin = "plugins/p/plugin.toml";
    let texts = [
        release("nightshift.toml", "[workers]\nhours = [\"mon 8-17\"]\n"),
        release("nightshift.toml", "[jobs]\nlease = \"soon\"\n"),
        release("nightshift.toml", "[job]\n"),
        release(plugin, "runtime = \"cobol\"\n"),
        release(plugin, "runtime = \"sql\"\n[input]\n"),
        release(plugin, "runtime = \"sql\"\n[input]\nname = \"text\"\n[output]\nname = \"text\"\n"),
        release("plugins/p/readme.txt", ""),
        Signers::parse("ann valid-before=\"2030\" ssh-ed25519 AAAA").expect_err("a date").to_string(),
        Signers::parse("").expect_err("empty").to_string(),
    ];
    insta::assert_snapshot!(texts.join("\n"));
}
