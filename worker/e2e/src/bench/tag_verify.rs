//! `tag_verify_ms`: what it takes to believe a release's tag: its raw object read from the form to the signature, by a key
//! set of ten keys.
//!
//! Beside it, in turn: `git verify-tag` on the same tag and the same keys.

use anyhow::{Context, Result, ensure};
use nightshift_manifest::signers::{self, Signers};
use nightshift_manifest::tag;
use nightshift_testbed::central::{Central, SIGNER, new_key};

use super::Group;
use super::figure::{Figure, Line, Target};
use super::measure::{Moment, cost, median};

pub(super) const GROUP: Group = Group { names: &[NAME], run };

const NAME: &str = "tag_verify_ms";
const ROUNDS: usize = 50;
const TAGS_A_ROUND: u32 = 20;
const KEYS: usize = 10;

fn run() -> Result<Vec<Line>> {
    let folder = tempfile::tempdir()?;
    let mut central = Central::create(&folder.path().join("central.git"))?;
    let mut lines = vec![signers::line(SIGNER, central.key().public_key())];
    for number in 1..KEYS {
        lines.insert(0, signers::line(&format!("signer-{number}"), new_key()?.public_key()));
    }
    let keys = Signers::parse(&lines.join("\n"))?;
    let allowed = folder.path().join("allowed_signers");
    std::fs::write(&allowed, lines.join("\n"))?;
    central.put("keys/allowed_signers", lines.join("\n"))?;
    let id = central.cut("1.5.0")?;
    let raw = central.read_object(id)?;

    let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    let git = ["-C", &central.folder().to_string_lossy(), "-c", &setting, "verify-tag", "v1.5.0"].map(str::to_owned);
    let git: Vec<&std::ffi::OsStr> = git.iter().map(std::convert::AsRef::as_ref).collect();
    let (mut ours, mut gits) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Moment::now();
        for _ in 0..TAGS_A_ROUND {
            let verified = tag::verify(&raw, "v1.5.0", &keys).context("a good tag")?;
            ensure!(verified.signer == SIGNER, "signed by {}", verified.signer);
        }
        ours.push((Moment::now() - begun).as_secs_f64() * 1000.0 / f64::from(TAGS_A_ROUND));
        gits.push(cost("git", &git).context("the peer, which needs ssh-keygen")?.wall_ms);
    }
    let figure =
        Figure::new(NAME, median(ours), "ms", Target::AtMost(1.0), "git verify-tag, one process a tag", median(gits));
    Ok(vec![Line::Measured(figure)])
}
