//! Everything that has to hold before a release is pushed: workers believe it, the key that signed it can sign the next
//! one, and plugins give what their samples expect.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_engine::Rule;
use nightshift_manifest::sampled::Sampled;
use nightshift_manifest::signers::Signers;
use nightshift_manifest::{SETTINGS_FILE, SIGNERS_FILE};
use nightshift_plugin::samples::{self, SampleError, SampleReport};
use nightshift_plugin::{Data, Host, speed};

use crate::figures::counted;
use crate::refusal::{OrRefuse, refusal};
use crate::releases::Releases;
use crate::sample_server::SampleServer;
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;

/// Unexpected results shown one by one.
const DIFFERENCES_SHOWN: usize = 20;
/// So long a plugin is measured, about; a release with many is still cut in seconds.
const MEASURED_FOR: Duration = Duration::from_millis(200);

/// Checks the release `tag`, one of `releases`, and says what was checked; returns how fast plugins did their samples. The
/// first fault ends it.
pub(crate) fn check_release(
    tag: &str,
    releases: &Releases,
    key: &SigningKey,
    around: &Surroundings,
) -> anyhow::Result<BTreeMap<String, Sampled>> {
    let verdict = releases.review.verdict(tag).with_context(|| format!("{tag} is not among the tags"))?;
    let release = verdict.as_ref().map_err(|refused| match refused.rule {
        Rule::KnownSigner | Rule::RevokedKey => {
            let text = format!("workers would refuse {tag}: {}; {}", refused.found, refused.advice);
            refusal(Exit::NotAllowed, format!("{text}; nothing was changed"))
        }
        Rule::Keys => refusal(Exit::Usage, format!("{}: {SIGNERS_FILE}: {}", nothing_changed(), refused.found)),
        _ => refusal(Exit::Usage, format!("{}: {}", nothing_changed(), refused.found)),
    })?;
    around.screen.good(SETTINGS_FILE);
    let area = tempfile::tempdir().context("making a temporary folder")?;
    releases.review.write_files(release, area.path())?;
    check_signers(area.path(), key, around).or_refuse(Exit::Usage, nothing_changed)?;
    check_samples(area.path(), around)
}

/// The key that signs now can sign the next release, too.
fn check_signers(tree: &Path, key: &SigningKey, around: &Surroundings) -> anyhow::Result<()> {
    let file = tree.join(SIGNERS_FILE);
    if !file.exists() {
        around.screen.warn(format!("no {SIGNERS_FILE}: the signers in force stay"));
        return Ok(());
    }
    let text = fs::read_to_string(file).with_context(|| format!("reading {SIGNERS_FILE}"))?;
    let signers = Signers::parse(&text).with_context(|| SIGNERS_FILE.to_owned())?;
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

/// Every plugin gives what its samples expect; how fast each of them was.
fn check_samples(tree: &Path, around: &Surroundings) -> anyhow::Result<BTreeMap<String, Sampled>> {
    let mut sampled = BTreeMap::new();
    let plugins = plugin_names(tree).context("listing the plugins")?;
    if plugins.is_empty() {
        around.screen.warn("no plugins: workers will have nothing to run; begin one with `nightshift plugin new`");
    }
    let mut server = SampleServer::on(&around.host);
    for name in plugins {
        let spinner = around.screen.spinner(&format!("testing {name}"));
        let folder = tree.join("plugins").join(&name);
        let host = server.host_for(&folder)?;
        let report = match samples::run(&folder, tree, host) {
            Err(error) if error.is_for_want_of_a_server() => {
                drop(spinner);
                around.screen.warn(error);
                continue;
            }
            report => report.or_refuse(Exit::Usage, nothing_changed)?,
        };
        // It passed its samples or is refused for them below; what cannot be measured is only not known.
        let speed = if report.is_good() { speed_of(&folder, tree, host).ok().flatten() } else { None };
        drop(spinner);
        if !say_report(&report, around) {
            let text = format!("plugin {name} fails its own samples; {}", nothing_changed());
            return Err(refusal(Exit::Failed, text));
        }
        sampled.extend(speed.map(|speed| (name, speed)));
    }
    Ok(sampled)
}

/// How fast a plugin does its samples.
fn speed_of(folder: &Path, tree: &Path, host: &Host) -> Result<Option<Sampled>, SampleError> {
    let (manifest, records) = samples::sample_records(folder)?;
    let speed = speed::measure((folder, tree), &manifest, &records, (Data::Samples, MEASURED_FOR), host)?;
    let work_ms = |worked: Duration| u64::try_from(worked.as_millis()).unwrap_or(u64::MAX);
    Ok(speed.map(|speed| Sampled { records: speed.records, work_ms: work_ms(speed.worked) }))
}

fn plugin_names(tree: &Path) -> std::io::Result<Vec<String>> {
    let folder = tree.join("plugins");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
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
