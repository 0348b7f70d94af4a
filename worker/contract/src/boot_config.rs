//! The one setting of `worker.toml` that boot needs, read without a TOML library.
//!
//! `state_dir = "…"` has to stand on a line of its own before the first table. The launcher reads the same file with
//! a real TOML parser and refuses to run when the two disagree, so a spelling boot cannot read never goes unnoticed.

use std::path::PathBuf;

/// The state folder `worker.toml` names, `None` when it names none.
///
/// # Errors
/// The 1-based number of the line, and what is wrong with it.
pub fn state_dir(worker_toml: &str) -> Result<Option<PathBuf>, BadLine> {
    for (index, line) in worker_toml.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            break;
        }
        let Some(rest) = line.strip_prefix("state_dir") else { continue };
        let Some(value) = rest.trim_start().strip_prefix('=') else { continue };
        return quoted(value.trim()).map(|path| Some(path.into())).ok_or(BadLine { number: index + 1 });
    }
    Ok(None)
}

/// A `state_dir` line that boot cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// 1-based number of the line.
    pub number: usize,
}

impl BadLine {
    /// What to write instead.
    pub const fn advice(self) -> &'static str {
        "write the state folder as state_dir = \"/folder\", without escapes"
    }
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.number, self.advice())
    }
}

impl std::error::Error for BadLine {}

fn quoted(value: &str) -> Option<String> {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inner, after) = value[1..].split_once(quote)?;
    let after = after.trim_start();
    let plain = !inner.is_empty() && (quote == '\'' || !inner.contains('\\'));
    (plain && (after.is_empty() || after.starts_with('#'))).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_is_found_before_the_first_table() {
        let text = "# a worker\nrepository = \"git://x/y\"\nstate_dir = \"/srv/a b\" # here\n[limits]\n";
        assert_eq!(state_dir(text), Ok(Some("/srv/a b".into())));
        assert_eq!(state_dir("state_dir = '/x'\n"), Ok(Some("/x".into())));
    }

    #[test]
    fn a_key_of_a_table_or_of_a_longer_name_is_not_the_state_folder() {
        assert_eq!(state_dir("[t]\nstate_dir = \"/x\"\n"), Ok(None));
        assert_eq!(state_dir("state_dir_old = \"/x\"\n"), Ok(None));
    }

    #[test]
    fn a_spelling_boot_cannot_read_is_refused_with_its_line() {
        for line in ["state_dir = \"a\\tb\"", "state_dir = /x", "state_dir = \"\"", "state_dir = \"/x\" y"] {
            assert_eq!(state_dir(&format!("\n{line}\n")), Err(BadLine { number: 2 }), "{line}");
        }
    }
}
