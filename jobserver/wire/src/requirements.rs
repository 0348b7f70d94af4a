//! What a job asks of the worker that takes it, and what a worker's machine offers.
//!
//! Whether one fits the other is judged in `jobserver/rules`, `gates`.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::grouped;

/// What a job asks of a worker. Two that ask the same are equal and are written the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Requirements {
    /// Memory of the machine in megabytes (of a million bytes), at least; 0 asks for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub memory_mb: u64,
    /// Free disk space in megabytes, at least; 0 asks for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub disk_mb: u64,
    /// Tags the worker must have, all of them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// The oldest release that may process it, as `1.4.0` or `v1.4.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// In words: `2,000 MB of memory, tag gpu, release 1.4.0 or later`; `nothing`.
impl fmt::Display for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Requirements { memory_mb, disk_mb, tags, release } = self;
        let sizes = [(*memory_mb, "memory"), (*disk_mb, "disk")];
        let sizes = sizes.into_iter().filter(|(size, _)| *size > 0);
        let sizes = sizes.map(|(size, of)| format!("{} MB of {of}", grouped(size)));
        let tags = tags.iter().map(|tag| format!("tag {tag}"));
        let release = release.iter().map(|release| format!("release {release} or later"));
        let parts: Vec<String> = sizes.chain(tags).chain(release).collect();
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What a worker's machine offers. Unknown is 0, which meets no requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Machine {
    /// Its memory in megabytes.
    pub memory_mb: u64,
    /// Free space in megabytes on the disk that the worker works on.
    pub disk_mb: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_read_as_a_sentence() {
        assert_eq!(Requirements::default().to_string(), "nothing");
        let asked = Requirements {
            memory_mb: 2_000,
            disk_mb: 1,
            tags: ["gpu".to_owned(), "big".to_owned()].into(),
            release: Some("1.4.0".to_owned()),
        };
        assert_eq!(asked.to_string(), "2,000 MB of memory, 1 MB of disk, tag big, tag gpu, release 1.4.0 or later");
    }

    #[test]
    fn requirements_that_ask_the_same_are_written_the_same() {
        let written = |text: &str| {
            let read: Requirements = serde_json::from_str(text).expect("requirements");
            serde_json::to_string(&read).expect("text")
        };
        assert_eq!(
            written(r#"{"tags":["gpu","big","gpu"],"memory_mb":512,"disk_mb":0}"#),
            written(r#"{"memory_mb":512,"tags":["big","gpu"]}"#)
        );
        assert_eq!(written("{}"), "{}");
    }

    #[test]
    fn a_requirement_nobody_knows_is_refused_by_name() {
        let error = serde_json::from_str::<Requirements>(r#"{"memory":5}"#).expect_err("unknown").to_string();
        assert!(error.contains("`memory`"), "{error}");
    }
}
