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
        let problem = error.message().trim().to_owned();
        match error.span() {
            // A missing key has the span of the whole document: no line helps.
            Some(span) if span.start > 0 || span.end < text.trim_end().len() => {
                FileError::at(file, text, span.start, problem)
            }
            _ => FileError::whole(file, problem),
        }
    })
}
