//! MariaDB and MySQL: which a server is, whether it is new enough, and the words each understands. Pure.

use std::fmt;

/// Which make of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Make {
    /// MariaDB, 10.6 or later.
    MariaDb,
    /// Oracle's MySQL, 8.0.23 or later.
    MySql,
}

impl Make {
    /// The make of a primary that is named so.
    pub(crate) fn of_primary(name: &str) -> Make {
        match name.starts_with("mariadb:") {
            true => Make::MariaDb,
            false => Make::MySql,
        }
    }

    /// What stands before the colon in [`nightshift_wire::DataPosition::primary`].
    pub const fn word(self) -> &'static str {
        match self {
            Make::MariaDb => "mariadb",
            Make::MySql => "mysql",
        }
    }
}

impl fmt::Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Make::MariaDb => "MariaDB",
            Make::MySql => "MySQL",
        })
    }
}

/// A server's make and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Its make.
    pub make: Make,
    /// Its numbers: 10, 11, 19.
    pub numbers: (u32, u32, u32),
}

impl Version {
    /// Reads what `SELECT VERSION()` answers; `None` when the server is too old or none of the two.
    pub fn parse(text: &str) -> Option<Version> {
        let make = if text.contains("MariaDB") { Make::MariaDb } else { Make::MySql };
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
        let numbers = (numbers.next()?, numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let least = match make {
            Make::MariaDb => (10, 6, 0),
            Make::MySql => (8, 0, 23),
        };
        (numbers >= least).then_some(Version { make, numbers })
    }

    /// Whether its settings of replication begin with `replica_`, and not with `slave_`.
    pub(crate) fn says_replica(self) -> bool {
        self.make == Make::MySql && self.numbers >= (8, 0, 26)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.numbers;
        write!(f, "{} {major}.{minor}.{patch}", self.make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_version_and_an_old_one_is_none_that_can_be_worked_with() {
        let shown = |text| Version::parse(text).map(|version| version.to_string());
        assert_eq!(shown("10.11.19-MariaDB-0+deb12u1-log").as_deref(), Some("MariaDB 10.11.19"));
        assert_eq!(shown("9.7.4-2").as_deref(), Some("MySQL 9.7.4"));
        assert_eq!(shown("8.0.36").as_deref(), Some("MySQL 8.0.36"));
        for old in ["10.5.23-MariaDB", "5.7.44-log", "8.0.19", "unknown", ""] {
            assert_eq!(Version::parse(old), None, "{old}");
        }
        let old = Version::parse("8.0.25").expect("a version");
        assert!(!old.says_replica());
    }
}
