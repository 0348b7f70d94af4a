//! What is wrong with a file that a person wrote: which file, which line, what to do.

use serde::de::DeserializeOwned;

/// A file that cannot be taken as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {problem}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct FileError {
    /// The file, as the person who wrote it knows it.
    pub file: String,
    /// 1-based; `None` when the fault is not on a line (a file that is missing, a key that is missing).
    pub line: Option<usize>,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl FileError {
    /// A fault of the whole file.
    pub fn whole(file: &str, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, problem: problem.into() }
    }

    /// A fault at byte `at` of `text`.
    pub fn at(file: &str, text: &str, at: usize, problem: impl Into<String>) -> Self {
        let before = text.as_bytes().get(..at).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { file: file.to_owned(), line: Some(line), problem: problem.into() }
    }
}

/// Reads TOML into a type that refuses unknown keys.
pub fn read_toml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    toml::from_str(text).map_err(|error| {
        let problem = in_words(error.message().trim());
        match error.span() {
            // A missing key has the span of the whole document: no line helps.
            Some(span) if span.start > 0 || span.end < text.trim_end().len() => {
                FileError::at(file, text, span.start, problem)
            }
            _ => FileError::whole(file, problem),
        }
    })
}

/// What the reader of TOML says, as a sentence for who wrote the file: what stands there, and what to write. Its words are
/// meant for programmers; those that are not known here stay as they are.
fn in_words(said: &str) -> String {
    if let Some((found, wanted)) = said.strip_prefix("invalid type: ").and_then(|said| said.split_once(", expected ")) {
        return format!("{} cannot stand here: write {}", found_in_words(found), wanted_in_words(wanted));
    }
    if let Some((found, known)) = said.strip_prefix("unknown variant ").and_then(|said| said.split_once(", expected "))
    {
        return format!("{found} means nothing here: write {}", one_of(known));
    }
    match said.split_once(", expected ") {
        Some((found, known)) if found.starts_with("unknown field ") => {
            format!("{found}: remove it, or write {}", one_of(known))
        }
        _ if said.starts_with("missing field ") => format!("{said}: add it"),
        _ => said.to_owned(),
    }
}

fn one_of(known: &str) -> String {
    if known.contains(',') && !known.starts_with("one of ") { format!("one of {known}") } else { known.to_owned() }
}

fn found_in_words(found: &str) -> String {
    for (kind, words) in [("string ", "the text "), ("integer ", "the number "), ("floating point ", "the number ")] {
        if let Some(value) = found.strip_prefix(kind) {
            return format!("{words}{}", value.trim_matches('`'));
        }
    }
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        other => other.strip_prefix("boolean ").unwrap_or(other).to_owned(),
    }
}

fn wanted_in_words(wanted: &str) -> &str {
    match wanted {
        "a sequence" => "a list, as in [\"one\", \"two\"]",
        "a string" | "string" => "a text in quotes",
        "a boolean" => "true or false",
        "a map" => "a table, which is its name in brackets and a line `key = value` for each entry",
        "i64" | "i32" | "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number, without quotes",
        "f64" => "a number, without quotes",
        other if other.starts_with("struct ") => {
            "a table, which is its name in brackets and a line `key = value` for each entry"
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct File {
        kind: Kind,
        list: Option<Vec<String>>,
        number: Option<i64>,
        table: Option<std::collections::BTreeMap<String, String>>,
        flag: Option<bool>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Two,
        Three,
    }

    #[test]
    fn what_a_parser_says_is_told_as_what_stands_there_and_what_to_write() {
        for (text, said) in [
            ("kind = \"four\"", "f.toml, line 1: `four` means nothing here: write one of `one`, `two`, `three`"),
            ("list = []", "f.toml, line 1: missing field `kind`: add it"),
            (
                "kind = \"one\"\nlist = \"x\"",
                "f.toml, line 2: the text \"x\" cannot stand here: write a list, as in [\"one\", \"two\"]",
            ),
            (
                "kind = \"one\"\nnumber = \"3\"",
                "f.toml, line 2: the text \"3\" cannot stand here: write a whole number, without quotes",
            ),
            (
                "kind = \"one\"\ntable = [\"x\"]",
                "f.toml, line 2: a list cannot stand here: write a table, which is its name in brackets and a line `key = value` \
                 for each entry",
            ),
            ("kind = \"one\"\nlist = [3]", "f.toml, line 2: the number 3 cannot stand here: write a text in quotes"),
            ("kind = \"one\"\nflag = 1.5", "f.toml, line 2: the number 1.5 cannot stand here: write true or false"),
            (
                "knd = \"one\"",
                "f.toml, line 1: unknown field `knd`: remove it, or write one of `kind`, `list`, `number`, `table`, `flag`",
            ),
        ] {
            let error = read_toml::<File>("f.toml", text).expect_err(text).to_string();
            assert!(error.starts_with(said) && !error.contains("expected"), "{error}");
        }
    }
}
