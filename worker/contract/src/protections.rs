//! What a plugin's program is locked in by: measured by the core, told to its launcher, shown to people.
//!
//! Limits of memory, files and processes, the lower priority and the clean environment need nothing of the machine and are
//! always there; they are not listed.

use std::fmt;

/// The protections that a machine offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protections {
    /// Bubblewrap: a view of the file system, the processes and the network of its own.
    pub bubblewrap: bool,
    /// Version of the kernel's landlock rules about files; 0 for none.
    pub landlock: u8,
    /// A filter of system calls.
    pub seccomp: bool,
    /// A user of its own for each program, which only a worker started as root can give.
    pub own_user: bool,
}

impl Protections {
    /// Whether a program can be kept from files that are not its own.
    pub fn keep_from_files(&self) -> bool {
        self.bubblewrap || self.landlock > 0
    }

    /// The protections as a line that [`Protections::from_words`] reads.
    pub fn to_words(&self) -> String {
        let landlock = format!("landlock={}", self.landlock);
        let words = [
            (self.bubblewrap, "bubblewrap"),
            (self.landlock > 0, landlock.as_str()),
            (self.seccomp, "seccomp"),
            (self.own_user, "own-user"),
        ];
        words.into_iter().filter(|(is_there, _)| *is_there).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    }

    /// Reads such a line. A word of a later version is passed over.
    pub fn from_words(words: &str) -> Protections {
        let mut protections = Protections::default();
        for word in words.split_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("bubblewrap", _) => protections.bubblewrap = true,
                ("landlock", version) => protections.landlock = version.parse().unwrap_or(0),
                ("seccomp", _) => protections.seccomp = true,
                ("own-user", _) => protections.own_user = true,
                _ => {}
            }
        }
        protections
    }
}

/// As people read it.
impl fmt::Display for Protections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut there = vec!["limits".to_owned()];
        let mut absent = Vec::new();
        let landlock = format!("landlock {}", self.landlock);
        for (is_there, name, otherwise) in [
            (self.bubblewrap, "bubblewrap", "bubblewrap"),
            (self.landlock > 0, landlock.as_str(), "landlock"),
            (self.seccomp, "seccomp", "seccomp"),
            (self.own_user, "a user of their own", "a user of their own"),
        ] {
            if is_there { there.push(name.to_owned()) } else { absent.push(otherwise) }
        }
        write!(f, "programs have {}", there.join(", "))?;
        match absent.is_empty() {
            true => Ok(()),
            false => write!(f, "; not {}", absent.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protections_are_read_as_they_were_written_and_unknown_ones_passed_over() {
        let some = Protections { landlock: 4, seccomp: true, ..Protections::default() };
        for protections in [Protections::default(), some, Protections { bubblewrap: true, own_user: true, ..some }] {
            assert_eq!(Protections::from_words(&protections.to_words()), protections);
        }
        assert_eq!(Protections::from_words("moat landlock=x seccomp"), Protections { landlock: 0, ..some });
        assert_eq!(some.to_string(), "programs have limits, landlock 4, seccomp; not bubblewrap, a user of their own");
    }

    #[test]
    fn bubblewrap_or_landlock_keeps_a_program_from_files_and_nothing_else_does() {
        let no = Protections { seccomp: true, own_user: true, ..Protections::default() };
        assert!(!no.keep_from_files());
        assert!(Protections { landlock: 1, ..no }.keep_from_files());
        assert!(Protections { bubblewrap: true, ..no }.keep_from_files());
    }
}
