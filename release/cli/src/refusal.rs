//! What a command answers when it cannot do what it was asked: a sentence for the person and an exit code for scripts.
//!
//! Everything else travels as `anyhow::Error` with context; `main` looks for a [`Refusal`] in it to find the exit code.

use std::fmt;

use nightshift_client::ClientError;
use nightshift_contract::exit::Exit;
use nightshift_wire::{access_code, code};

/// A sentence that says what is wrong and what to do next, with the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Refusal {
    exit: Exit,
    text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// An error that ends the program with `exit`.
pub(crate) fn refusal(exit: Exit, text: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Refusal { exit, text: text.into() })
}

/// Adds a sentence and an exit code to an error.
pub(crate) trait OrRefuse<T> {
    /// On error, the sentence `text()` stands before what went wrong, and the program ends with `exit`.
    fn or_refuse(self, exit: Exit, text: impl FnOnce() -> String) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrRefuse<T> for Result<T, E> {
    fn or_refuse(self, exit: Exit, text: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|error| error.into().context(Refusal { exit, text: text() }))
    }
}

/// The exit code of a failed command.
pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return refusal.exit;
    }
    let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) else {
        return Exit::Failed;
    };
    if matches!(error, ClientError::Address { .. } | ClientError::NoServer) {
        return Exit::Usage;
    }
    match error.problem().map(|problem| problem.code.as_str()) {
        Some(code::BAD_CSV | code::BAD_REQUEST | code::MISSING_COLUMN | code::TOO_LARGE | code::KEY_REUSED) => {
            Exit::Usage
        }
        Some(code::UNKNOWN_PLUGIN | code::NOT_FOUND) => Exit::NotFound,
        Some(code::NOT_READY) => Exit::TryLater,
        Some(access_code::NAME_TAKEN) => Exit::Usage,
        Some(
            access_code::NOT_AUTHENTICATED
            | access_code::EXPIRED
            | access_code::REVOKED
            | access_code::NOT_APPROVED
            | access_code::NOT_ALLOWED,
        ) => Exit::NotAllowed,
        _ if error.is_retryable() => Exit::TryLater,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_exit_code_is_found_below_later_context() {
        let error =
            Err::<(), _>(refusal(Exit::NotFound, "there is no batch 3")).context("showing it").expect_err("error");
        assert_eq!(exit_of(&error), Exit::NotFound);
        let error = Err::<(), _>(std::io::Error::other("disk"))
            .or_refuse(Exit::Usage, || "reading a.csv".into())
            .context("handing it in")
            .expect_err("error");
        assert_eq!(exit_of(&error), Exit::Usage);
        assert_eq!(format!("{error:#}"), "handing it in: reading a.csv: disk");
    }

    #[test]
    fn an_error_without_a_code_is_a_failure() {
        assert_eq!(exit_of(&anyhow::anyhow!("no")), Exit::Failed);
    }
}
