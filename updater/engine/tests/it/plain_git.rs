//! A tag made with plain git and an SSH key is a complete release.
#![allow(clippy::disallowed_methods, reason = "these tests run git itself")]

use std::path::Path;
use std::process::{Command, Output};

use nightshift_manifest::signers::Signers;

use crate::fixture::Fixture;

/// Runs git in `folder`, without the machine's configuration.
fn git(folder: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("git")
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "gpg.format=ssh"])
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn is_installed(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok()
}

#[test]
fn a_tag_made_with_plain_git_is_a_complete_release() {
    for key_type in ["ed25519", "ecdsa"] {
        if !is_installed("git", "--version") || !is_installed("ssh-keygen", "-?") {
            eprintln!(
                "a_tag_made_with_plain_git_is_a_complete_release did not run: git or ssh-keygen is not installed"
            );
            return;
        }
        let mut fixture = Fixture::new();
        let folder = fixture.folder.path();
        let key = folder.join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", key_type, "-f"]).arg(&key).output();
        assert!(made.expect("ssh-keygen runs").status.success());
        let public = std::fs::read_to_string(key.with_extension("pub")).expect("a public key");
        let line = format!("ann@example.com namespaces=\"git\" {public}");
        fixture.source.signers = Signers::parse(&line).expect("a key set");

        let work = folder.join("work");
        git(folder, &["clone", "-q", &fixture.central.url(), "work"]);
        std::fs::write(work.join("nightshift.toml"), "[jobs]\nsize = 12\n").expect("written");
        git(&work, &["add", "nightshift.toml"]);
        git(&work, &["commit", "-q", "-m", "settings"]);
        let signing = format!("user.signingkey={}", key.display());
        git(&work, &["-c", &signing, "tag", "-s", "-m", "First release\n\nWith settings.", "v1.0.0"]);
        git(&work, &["push", "-q", "origin", "v1.0.0"]);

        let sync = fixture.cycle();
        assert!(sync.switched, "{:?}", sync.refused);
        let release = fixture.engine().in_force().expect("in force");
        assert_eq!((release.tag.as_str(), release.signer.as_str()), ("v1.0.0", "ann@example.com"));
        assert_eq!(release.settings().expect("settings").job_size, 12);
    }
}

#[test]
fn git_accepts_the_tags_we_sign() {
    if !is_installed("git", "--version") || !is_installed("ssh-keygen", "-?") {
        eprintln!("git_accepts_the_tags_we_sign did not run: git or ssh-keygen is not installed");
        return;
    }
    let mut fixture = Fixture::new();
    fixture.central.cut("1.5.0").expect("cut");
    let signers = fixture.folder.path().join("allowed_signers");
    std::fs::write(&signers, fixture.central.signer_line()).expect("written");
    let allowed = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    git(fixture.central.folder(), &["-c", &allowed, "verify-tag", "v1.5.0"]);
    git(fixture.central.folder(), &["fsck", "--strict"]);
}
