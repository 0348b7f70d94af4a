//! What a job asks of the worker that takes it, and what a worker's machine offers.
//!
//! Whether one fits the other is judged in `jobserver/rules`, `gates`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
