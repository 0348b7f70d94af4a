//! The two settings of `worker.toml` that boot needs, read without a TOML library: `state_dir`, and `stuck_after`
//! ([`stuck_after`]).
//!
//! `state_dir = "…"` has to stand on a line of its own before the first table. The launcher reads the same file with
//! a real TOML parser and refuses to run when the two disagree, so a spelling boot cannot read never goes unnoticed.
//! What could hide the setting from boot (a text over several lines before it, a quoted key) is refused here, too: a
//! stop must never go to a folder that the launcher does not look at.

use std::path::PathBuf;
use std::time::Duration;

/// The state folder `worker.toml` names, `None` when it names none.
///
/// # Errors
/// The 1-based number of the line, and what is wrong with it.
pub fn state_dir(worker_toml: &str) -> Result<Option<PathBuf>, BadLine> {
    let text = worker_toml.strip_prefix('\u{feff}').unwrap_or(worker_toml);
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.starts_with('[') {
            break;
        }
        if let Some(value) = value_of(line, "state_dir") {
            let path = quoted(value.trim()).ok_or(BadLine { number, fault: Fault::Spelling })?;
            return Ok(Some(path.into()));
        }
        if is_quoted_key(line) {
            return Err(BadLine { number, fault: Fault::Spelling });
        }
        if !line.starts_with('#') && (line.contains("\"\"\"") || line.contains("'''")) {
            return Err(BadLine { number, fault: Fault::LongText });
        }
    }
    Ok(None)
}

/// How long a launcher may get nowhere, as `worker.toml` has it; `None` when it says nothing that boot can read. The launcher
/// refuses a file in which it reads something else.
pub fn stuck_after(worker_toml: &str) -> Option<Duration> {
    let mut lines = worker_toml.lines().map(str::trim).take_while(|line| !line.starts_with('['));
    length(&quoted(lines.find_map(|line| value_of(line, "stuck_after"))?.trim())?)
}

/// A line that keeps boot from reading `state_dir`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// 1-based number of the line.
    pub number: usize,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The key or its value is not spelled as boot reads it.
    Spelling,
    /// A text over several lines begins, and what follows it may belong to it.
    LongText,
}

impl BadLine {
    /// What to write instead.
    pub const fn advice(self) -> &'static str {
        match self.fault {
            Fault::Spelling => "write the state folder as state_dir = \"/folder\", without escapes",
            Fault::LongText => {
                "a text in three quotes may hide the state folder from boot; write state_dir = \"/folder\" above it"
            }
        }
    }
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.number, self.advice())
    }
}

impl std::error::Error for BadLine {}

/// What a line gives the key as its value.
fn value_of<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.strip_prefix(key).and_then(|rest| rest.trim_start().strip_prefix('='))
}

/// A whole number of seconds, minutes or hours: more than an hour nobody may write.
fn length(text: &str) -> Option<Duration> {
    let (number, seconds) = [('s', 1), ('m', 60), ('h', 3600)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// Whether the line begins with a key in quotes that names the state folder, or may name it by escapes.
fn is_quoted_key(line: &str) -> bool {
    let Some(quote) = line.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return false };
    let Some((key, rest)) = line[1..].split_once(quote) else { return false };
    let may_be_it = key == "state_dir" || (quote == '"' && key.contains('\\'));
    may_be_it && rest.trim_start().starts_with('=')
}

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
            let bad = BadLine { number: 2, fault: Fault::Spelling };
            assert_eq!(state_dir(&format!("\n{line}\n")), Err(bad), "{line}");
        }
    }

    #[test]
    fn whatever_could_hide_the_state_folder_is_refused_with_its_line() {
        let bad = |number, fault| Err(BadLine { number, fault });
        for quotes in ["\"\"\"", "'''"] {
            let hidden = format!("a = 1\nb = {quotes}\nstate_dir = \"/decoy\"\n{quotes}\nstate_dir = \"/real\"\n");
            assert_eq!(state_dir(&hidden), bad(2, Fault::LongText), "{hidden}");
            let table = format!("b = {quotes}\n[t]\n{quotes}\nstate_dir = \"/real\"\n");
            assert_eq!(state_dir(&table), bad(1, Fault::LongText), "{table}");
            let after = format!("state_dir = \"/real\"\nb = {quotes}x{quotes}\n");
            assert_eq!(state_dir(&after), Ok(Some("/real".into())), "{after}");
        }
        for key in ["\"state_dir\"", "'state_dir'", "\"state_\\u0064ir\" "] {
            assert_eq!(state_dir(&format!("{key} = \"/x\"\n")), bad(1, Fault::Spelling), "{key}");
        }
    }

    #[test]
    fn when_a_launcher_is_stuck_is_read_where_it_can_be_and_nothing_is_made_up() {
        for (text, seconds) in [("\"90s\"", 90), ("'5m' # soon", 300), ("\"1h\"", 3600)] {
            let text = format!("state_dir = \"/x\"\nstuck_after = {text}\n[t]\nstuck_after = \"1s\"\n");
            assert_eq!(stuck_after(&text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "[t]\nstuck_after = \"1s\"", "stuck_after = 5", "stuck_after = \"soon\"", "stuck_after_all = \"1s\""]
        {
            assert_eq!(stuck_after(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_over_several_lines_a_comment_and_a_byte_order_mark_hide_nothing() {
        let text = "\u{feff}# \"\"\"\nsigners = [\n  \"a ssh-ed25519 A=\",\n]\nstate_dir = \"/x\"\n";
        assert_eq!(state_dir(text), Ok(Some("/x".into())));
        assert_eq!(state_dir("\u{feff}state_dir = \"/x\"\n"), Ok(Some("/x".into())));
    }
}
