//! Exit codes: the same in every program, because scripts and cron rely on them.

/// How a program ended. `as u8` is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done; also a cycle that found nothing to do or another one already running.
    Done = 0,
    /// Failed; the error says what was being done.
    Failed = 1,
    /// Wrong usage or a configuration that cannot be read.
    Usage = 2,
    /// What was asked for does not exist.
    NotFound = 3,
    /// Not allowed.
    NotAllowed = 4,
    /// Finished, but some records have errors.
    RecordErrors = 5,
    /// Stopped by the stop flag.
    Stopped = 6,
    /// The local replica is not current, and so nothing could run.
    ReplicaBehind = 7,
    /// A release was refused or rolled back; the one before it stays in force.
    ReleaseRefused = 8,
    /// Try again later.
    TryLater = 75,
}

impl Exit {
    /// The exit code as a process gives it.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The meaning of a code that a Nightshift program ended with, `None` for a code no Nightshift program uses.
    pub fn from_code(code: i32) -> Option<Exit> {
        use Exit::*;
        [Done, Failed, Usage, NotFound, NotAllowed, RecordErrors, Stopped, ReplicaBehind, ReleaseRefused, TryLater]
            .into_iter()
            .find(|exit| i32::from(exit.code()) == code)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn every_exit_code_is_understood_by_the_program_that_started_it() {
        for code in 0..=255 {
            if let Some(exit) = Exit::from_code(code) {
                assert_eq!(i32::from(exit.code()), code);
            }
        }
        assert_eq!(Exit::from_code(8), Some(Exit::ReleaseRefused));
        assert_eq!(Exit::from_code(139), None);
    }
}
