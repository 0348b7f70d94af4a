//! Everything that has to hold before a tree is released: what workers refuse, and what plugins say about themselves.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::content::{self, Content};
use nightshift_manifest::{SETTINGS_FILE, SIGNERS_FILE};
use nightshift_plugin::samples::{self, SampleReport};

use crate::figures::counted;
use crate::grid_clone::GridClone;
use crate::objects::{Objects, Tree};
use crate::refusal::{OrRefuse, refusal};
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;

/// Unexpected results shown one by one.
const DIFFERENCES_SHOWN: usize = 20;

/// Checks the tree of a release and says what was checked. The first fault ends it.
pub(crate) fn check_release(
    tree: &str,
    key: &SigningKey,
    clone: &GridClone,
    around: &Surroundings,
) -> anyhow::Result<()> {
    let objects = Objects::open(&clone.root)?;
    let tree = objects.tree(tree)?;
    tree.check().or_refuse(Exit::Usage, nothing_changed)?;
    let manifests = objects.manifests(&tree).or_refuse(Exit::Usage, nothing_changed)?;
    let content = Content::parse(&tree.paths(), &manifests).or_refuse(Exit::Usage, nothing_changed)?;
    around.screen.good(SETTINGS_FILE);
    check_signers(&manifests, key, around).or_refuse(Exit::Usage, nothing_changed)?;
    if content.plugins.is_empty() {
        around.screen.warn("no plugins: workers will have nothing to run; begin one with `nightshift plugin new`");
        return Ok(());
    }
    let area = tempfile::tempdir().context("making a temporary folder")?;
    check_samples(&objects, &tree, &content, area.path(), around)
}

/// The key set can be read and has the key that is about to sign.
fn check_signers(manifests: &BTreeMap<String, Vec<u8>>, key: &SigningKey, around: &Surroundings) -> anyhow::Result<()> {
    let Some(signers) = content::signers(manifests).with_context(|| SIGNERS_FILE.to_owned())? else {
        around.screen.warn(format!("no {SIGNERS_FILE}: the signers in force stay"));
        return Ok(());
    };
    if signers.find(key.private().public_key().key_data()).is_none() {
        let text = format!(
            "{SIGNERS_FILE} does not name your key {}, so you could not sign the release after this one; add the line \
             `{}`",
            key.fingerprint(),
            key.allowed_signers_line("NAME")
        );
        return Err(refusal(Exit::Usage, text));
    }
    let number = counted(signers.iter().count() as u64, "signer");
    around.screen.good(format!("{SIGNERS_FILE}: {number}, your key among them"));
    Ok(())
}

/// Every plugin gives what its samples expect.
fn check_samples(
    objects: &Objects,
    tree: &Tree,
    content: &Content,
    area: &Path,
    around: &Surroundings,
) -> anyhow::Result<()> {
    objects.write_out(tree, area)?;
    for plugin in &content.plugins {
        let folder = area.join("plugins").join(&plugin.name);
        let report = samples::run(&folder, area).or_refuse(Exit::Usage, nothing_changed)?;
        if !say_report(&report, around) {
            let text = format!("plugin {} fails its own samples; {}", plugin.name, nothing_changed());
            return Err(refusal(Exit::Failed, text));
        }
    }
    Ok(())
}

/// Says what came of a plugin's samples; whether all of it was as expected.
pub(crate) fn say_report(report: &SampleReport, around: &Surroundings) -> bool {
    let records = counted(report.records as u64, "sample record");
    if report.is_good() {
        around.screen.good(format!("plugin {}: {records} as expected", report.plugin));
        return true;
    }
    for difference in report.differences.iter().take(DIFFERENCES_SHOWN) {
        around.screen.warn(difference);
    }
    if report.differences.len() > DIFFERENCES_SHOWN {
        around.screen.say(format!("  and {} more", report.differences.len() - DIFFERENCES_SHOWN));
    }
    false
}

fn nothing_changed() -> String {
    "the release cannot be cut, nothing was changed".to_owned()
}
