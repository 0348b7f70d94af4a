//! The stop flag: what stops the grid, and the reason it gives.
//!
//! Anyone who can push can stop the grid: a root entry of the control branch named `STOP` or `STOP.*`, or a ref named
//! `stop`, in any case. Whatever such a flag says, everything stops; scopes are not understood by this version, and a
//! flag that cannot be read stops as well.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A stop flag that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopFlag {
    /// Where it stands: `STOP on branch control`, `ref refs/heads/stop`. Several are parted by commas.
    pub place: String,
    /// Why, in the words of the flag; says so when the flag gives none.
    pub reason: String,
}

/// A flag larger than this is not read for its reason; it stops all the same.
pub const MAX_FLAG_BYTES: usize = 64 * 1024;

/// Whether a root entry of the control branch stops the grid.
pub fn is_stop_entry(name: &[u8]) -> bool {
    let (stem, rest) = name.split_at(name.len().min(4));
    stem.eq_ignore_ascii_case(b"STOP") && (rest.is_empty() || rest.starts_with(b"."))
}

/// Whether a ref stops the grid: `stop` as a branch, as a tag or directly under `refs/`.
pub fn is_stop_ref(name: &str) -> bool {
    let name = name.strip_prefix("refs/").unwrap_or(name);
    let name = name.strip_prefix("heads/").or_else(|| name.strip_prefix("tags/")).unwrap_or(name);
    name.eq_ignore_ascii_case("stop")
}

impl StopFlag {
    /// The flag of a root entry; `content` is `None` when the entry is not a file or too large to read.
    pub fn of_entry(name: &[u8], control_branch: &str, content: Option<&[u8]>) -> Self {
        Self {
            place: format!("{} on branch {control_branch}", String::from_utf8_lossy(name)),
            reason: content.map_or_else(|| NOT_READABLE.to_owned(), reason_of),
        }
    }

    /// The flag of a ref.
    pub fn of_ref(name: &str) -> Self {
        Self { place: format!("ref {name}"), reason: NO_REASON.to_owned() }
    }

    /// All flags as one; `None` when there is none.
    pub fn join(flags: impl IntoIterator<Item = StopFlag>) -> Option<StopFlag> {
        flags.into_iter().reduce(|mut all, next| {
            all.place = format!("{}, {}", all.place, next.place);
            match (all.reason == NO_REASON, next.reason == NO_REASON) {
                (true, _) => all.reason = next.reason,
                (false, true) => {}
                (false, false) => all.reason = format!("{}; {}", all.reason, next.reason),
            }
            all
        })
    }
}

impl fmt::Display for StopFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.place)
    }
}

const NO_REASON: &str = "no reason given";
const NOT_READABLE: &str = "the flag cannot be read, so everything stops";

/// The reason in a flag's content: TOML with `reason = "…"`, or nothing.
fn reason_of(content: &[u8]) -> String {
    let Ok(text) = str::from_utf8(content) else { return NOT_READABLE.to_owned() };
    if text.trim().is_empty() {
        return NO_REASON.to_owned();
    }
    let Ok(table) = text.parse::<toml::Table>() else {
        return format!("{} (not TOML, so everything stops)", first_line(text));
    };
    let reason = match table.get("reason") {
        Some(toml::Value::String(reason)) if !reason.trim().is_empty() => first_line(reason),
        _ => NO_REASON.to_owned(),
    };
    let unknown: Vec<&str> = table.keys().map(String::as_str).filter(|key| *key != "reason").collect();
    match unknown.is_empty() {
        true => reason,
        false => format!("{reason} ({} not understood, so everything stops)", unknown.join(", ")),
    }
}

/// A person's words on one line, and not a whole page of them.
fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(content: &[u8]) -> String {
        StopFlag::of_entry(b"STOP", "control", Some(content)).reason
    }

    #[test]
    fn any_spelling_of_the_flag_stops() {
        for name in ["STOP", "stop", "Stop", "STOP.toml", "stop.txt", "STOP."] {
            assert!(is_stop_entry(name.as_bytes()), "{name}");
        }
        for name in ["refs/heads/stop", "refs/tags/STOP", "refs/stop", "refs/heads/Stop"] {
            assert!(is_stop_ref(name), "{name}");
        }
    }

    #[test]
    fn other_names_do_not_stop() {
        for name in ["STOPS", "STOP_", "NOSTOP", "stopper.toml", "STO", "", "rollout.toml"] {
            assert!(!is_stop_entry(name.as_bytes()), "{name}");
        }
        for name in ["refs/heads/control", "refs/heads/bob/stop", "refs/heads/stops", "HEAD"] {
            assert!(!is_stop_ref(name), "{name}");
        }
    }

    #[test]
    fn a_flag_gives_its_reason() {
        assert_eq!(reason(b"reason = \"wrong prices\"\n"), "wrong prices");
        let flag = StopFlag::of_entry(b"STOP", "control", Some(b"reason = \"wrong prices\""));
        assert_eq!(flag.to_string(), "wrong prices (STOP on branch control)");
    }

    #[test]
    fn a_flag_that_is_empty_or_not_toml_still_stops() {
        assert_eq!(reason(b""), "no reason given");
        assert_eq!(reason(b"\n\n"), "no reason given");
        assert_eq!(reason(b"please stop!\nnow"), "please stop! (not TOML, so everything stops)");
        assert_eq!(reason(b"\xff\xfe"), "the flag cannot be read, so everything stops");
        assert_eq!(StopFlag::of_entry(b"STOP", "control", None).reason, "the flag cannot be read, so everything stops");
    }

    #[test]
    fn a_scope_this_version_does_not_understand_stops_everything() {
        let reason = reason(b"reason = \"r\"\nplugin = \"name-count\"\n");
        assert_eq!(reason, "r (plugin not understood, so everything stops)");
    }

    #[test]
    fn several_flags_add_up() {
        let flags =
            [StopFlag::of_ref("refs/heads/stop"), StopFlag::of_entry(b"STOP", "control", Some(b"reason = \"r\""))];
        let flag = StopFlag::join(flags).expect("stopped");
        assert_eq!(flag.to_string(), "r (ref refs/heads/stop, STOP on branch control)");
        assert_eq!(StopFlag::join([]), None);
    }
}
