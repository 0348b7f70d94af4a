//! An error with its causes in one line, for the places where no further error type carries them on.

use std::error::Error;

/// `error: cause: cause of the cause`.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
