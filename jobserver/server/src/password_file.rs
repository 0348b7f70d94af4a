//! Passwords of the company's databases, each in a file of its own beside the configuration.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// A password cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Its file cannot be read.
    #[error("reading a password from {file}", file = .file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is nothing in its file, as while somebody writes it.
    #[error("there is no password in {file}", file = .0.display())]
    Empty(PathBuf),
    /// It was not read to the end.
    #[error("reading a password was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

/// The password in a file, without the end of its line.
///
/// # Errors
/// When there is none.
pub fn read(file: &Path) -> Result<String, PasswordError> {
    let unreadable = |source| PasswordError::Unreadable { file: file.to_owned(), source };
    let text = fs::read_to_string(file).map_err(unreadable)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(PasswordError::Empty(file.to_owned())),
        password => Ok(password.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_read_without_its_line_end_and_an_empty_file_is_none() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("password");
        assert!(matches!(read(&file), Err(PasswordError::Unreadable { .. })));
        for (written, is) in [("se cret\r\n", Some("se cret")), ("secret", Some("secret")), ("\n", None), ("", None)] {
            fs::write(&file, written).expect("written");
            match is {
                Some(is) => assert_eq!(read(&file).expect("there is one"), is),
                None => assert!(matches!(read(&file), Err(PasswordError::Empty(_))), "{written:?}"),
            }
        }
    }
}
