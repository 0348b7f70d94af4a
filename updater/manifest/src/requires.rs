//! What a plugin asks of the workers that run it: the table `[requires]` of its `plugin.toml`.
//!
//! ```toml
//! [requires]
//! memory = "512MB"      # of the machine
//! disk = "1GB"          # free, where the worker works
//! tags = ["gpu"]        # that admins gave to workers
//! release = "1.4.0"     # the oldest that may do it
//! ```
//! Only what is written: which worker may take which job is decided in `jobserver/rules`.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use crate::file_error::FileError;
use crate::version::ReleaseVersion;

/// What a plugin asks of a worker; by default nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requires {
    /// Memory of the machine in megabytes.
    pub memory_mb: u64,
    /// Free disk space in megabytes.
    pub disk_mb: u64,
    /// Tags the worker must have, all of them.
    pub tags: BTreeSet<String>,
    /// The oldest release that may run it.
    pub release: Option<ReleaseVersion>,
}

/// `[requires]` as a person wrote it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequiresTable {
    memory: Option<Spanned<String>>,
    disk: Option<Spanned<String>>,
    #[serde(default)]
    tags: Vec<Spanned<String>>,
    release: Option<Spanned<String>>,
}

/// Reads what a person wrote; `at` says where in the file a fault is.
pub(crate) fn read(
    written: RequiresTable,
    at: &dyn Fn(std::ops::Range<usize>, String) -> FileError,
) -> Result<Requires, FileError> {
    let megabytes_of = |key: &str, value: Option<Spanned<String>>| match value {
        None => Ok(0),
        Some(value) => megabytes(value.get_ref()).map_err(|problem| at(value.span(), format!("{key}: {problem}"))),
    };
    let memory_mb = megabytes_of("memory", written.memory)?;
    let disk_mb = megabytes_of("disk", written.disk)?;
    let mut tags = BTreeSet::new();
    for tag in written.tags {
        check_tag(tag.get_ref()).map_err(|problem| at(tag.span(), problem))?;
        tags.insert(tag.into_inner());
    }
    let release = written
        .release
        .map(|release| {
            let text = release.get_ref();
            text.strip_prefix('v').unwrap_or(text).parse().map_err(|problem| at(release.span(), format!("{problem}")))
        })
        .transpose()?;
    Ok(Requires { memory_mb, disk_mb, tags, release })
}

/// An amount of memory or disk as people write it, in megabytes of a million bytes. The error says what to write.
pub fn megabytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no amount: write a whole number and a unit, as in \"512MB\" or \"2GB\"");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let size = match unit.trim_start() {
        "MB" => 1,
        "GB" => 1_000,
        "TB" => 1_000_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(size).filter(|megabytes| (1..=i64::MAX.unsigned_abs()).contains(megabytes)).ok_or_else(wrong)
}

/// Checks a worker's tag; the error says what to write.
pub fn check_tag(tag: &str) -> Result<(), String> {
    let well_formed = (1..=64).contains(&tag.len())
        && tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.:".contains(&byte));
    if well_formed {
        return Ok(());
    }
    Err(format!(
        "{tag:?} is no tag: write up to 64 lower-case letters, digits and - _ . :, as in \"gpu\" or \"floor:3\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::PluginManifest;

    fn with(requires: &str) -> Result<Requires, String> {
        let text = format!(
            "runtime = \"sql\"\n[input]\nname = \"text\"\n[output]\nhits = \"integer\"\n[requires]\n{requires}\n"
        );
        PluginManifest::parse("name-count", &text).map(|plugin| plugin.requires).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_plugin_asks_for_is_read_and_nothing_is_asked_by_default() {
        let asked = with("memory = \"512MB\"\ndisk = \"1 GB\"\ntags = [\"gpu\", \"gpu\"]\nrelease = \"v1.4.0\"");
        assert_eq!(
            asked,
            Ok(Requires {
                memory_mb: 512,
                disk_mb: 1_000,
                tags: ["gpu".to_owned()].into(),
                release: Some(ReleaseVersion::new(1, 4, 0)),
            })
        );
        assert_eq!(with(""), Ok(Requires::default()));
    }

    #[test]
    fn a_requirement_that_cannot_be_read_names_its_line_and_what_to_write() {
        let error = |requires: &str| with(requires).expect_err(requires);
        assert_eq!(
            error("memory = \"lots\""),
            "plugins/name-count/plugin.toml, line 7: memory: \"lots\" is no amount: write a whole number and a unit, as in \
             \"512MB\" or \"2GB\""
        );
        assert!(error("disk = \"0GB\"").contains("line 7: disk: \"0GB\" is no amount"));
        assert!(error("memory = \"99999999999999999TB\"").contains("no amount"));
        assert!(error("tags = [\"a b\"]").contains("line 7: \"a b\" is no tag"));
        assert!(error("release = \"newest\"").contains("line 7: \"newest\" is no release's name"));
        assert!(error("cpu = 4").contains("`cpu`"));
    }
}
