//! What the server is told at its start. Pure.
//!
//! Everything stands on the command line, where nothing is secret, and no other file of options is read: what an
//! installation has in `/etc/mysql` is for its own service. A program that is a script says itself where it reads from.

use super::place::Place;
use super::program::Programs;
use crate::make::Make;
use crate::process::option;

/// What the server is for while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is filled: nobody but the keeper gets at it, and a power cut costs everything in it.
    Building,
    /// It copies its primary and is read by plugins.
    Following,
}

/// What of a primary is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Copied {
    /// The primary, as in [`nightshift_wire::DataPosition::primary`].
    pub primary: String,
    /// Its schemas that are copied.
    pub schemas: Vec<String>,
    /// The table of its heartbeat, as `schema.table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<String>,
}

/// What a server is told.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) place: &'a Place,
    pub(crate) programs: &'a Programs,
    pub(crate) mode: Mode,
    pub(crate) copied: &'a Copied,
    pub(crate) server_id: u32,
    pub(crate) memory_mib: u32,
    /// A server that root starts must be told that this is meant.
    pub(crate) is_root: bool,
}

/// The arguments of the server's program.
pub(crate) fn arguments(wanted: &Wanted<'_>) -> Vec<String> {
    let Wanted { place, programs, mode, copied, server_id, memory_mib, is_root } = wanted;
    let mut arguments = Vec::new();
    // It may stand only first.
    if !programs.is_script {
        arguments.push("--no-defaults".to_owned());
    }
    arguments.extend([
        option("datadir", &place.data()),
        option("socket", &place.socket()),
        option("pid-file", &place.pid_file()),
        option("tmpdir", &place.temporary()),
        option("init-file", &place.init()),
        format!("--server-id={server_id}"),
        format!("--innodb-buffer-pool-size={memory_mib}M"),
    ]);
    arguments.extend(ALWAYS.map(str::to_owned));
    arguments.extend(of_make(programs.version.make).iter().map(|argument| (*argument).to_owned()));
    match mode {
        Mode::Building => arguments.extend(BUILDING.map(str::to_owned)),
        Mode::Following => {
            arguments.extend(FOLLOWING.map(str::to_owned));
            if programs.version.make == Make::MySql {
                arguments.push("--super-read-only=ON".to_owned());
            }
        }
    }
    arguments.extend(filters(copied));
    if *is_root {
        arguments.push("--user=root".to_owned());
    }
    arguments
}

/// Small, reached by its socket alone, and quick to see that the way to its primary is dead.
const ALWAYS: [&str; 9] = [
    "--skip-networking",
    "--skip-name-resolve",
    "--max-connections=64",
    "--max-allowed-packet=1G",
    "--local-infile=OFF",
    "--event-scheduler=OFF",
    "--relay-log=relay",
    // Whatever of a relay log a power cut left is fetched again from what was applied.
    "--relay-log-recovery=ON",
    "--performance-schema=OFF",
];

/// A half-built one is thrown away after a power cut: nothing of it has to be durable before its server ends in good order.
const BUILDING: [&str; 2] = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF"];

/// The position is in the same log as the data: a power cut takes the last second of both, and it is copied again.
const FOLLOWING: [&str; 2] = ["--read-only=ON", "--innodb-flush-log-at-trx-commit=2"];

/// Without a binary log of its own, which nobody copies: the position is kept in a table. Replication is started by who
/// has seen whose data these are.
fn of_make(make: Make) -> &'static [&'static str] {
    match make {
        Make::MariaDb => &[
            "--skip-log-bin",
            "--skip-slave-start",
            "--slave-net-timeout=10",
            "--master-retry-count=0",
            "--innodb-log-file-size=96M",
        ],
        Make::MySql => &[
            "--disable-log-bin",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--skip-replica-start",
            "--replica-net-timeout=10",
            "--innodb-redo-log-capacity=192M",
            "--mysqlx=OFF",
            "--secure-file-priv=NULL",
            "--persisted-globals-load=OFF",
            "--plugin-load-add=mysql_clone.so",
        ],
    }
}

/// What of the primary's changes is applied: those to what was copied.
fn filters(copied: &Copied) -> Vec<String> {
    let of_schema = |schema: &String| format!("--replicate-wild-do-table={}.%", literally(schema));
    let mut filters: Vec<String> = copied.schemas.iter().map(of_schema).collect();
    if let Some(heartbeat) = &copied.heartbeat {
        filters.push(format!("--replicate-wild-do-table={}", literally(heartbeat)));
    }
    filters
}

/// A name in a pattern, standing for itself.
fn literally(name: &str) -> String {
    name.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::make::Version;

    fn programs(make: Make, is_script: bool) -> Programs {
        let file = PathBuf::from("/usr/sbin/server");
        let version = Version { make, numbers: (10, 11, 19) };
        Programs { server: file.clone(), version, client: file.clone(), dump: file, install: None, is_script }
    }

    fn told(make: Make, mode: Mode, is_script: bool) -> Vec<String> {
        let copied = Copied {
            primary: "mariadb:7".into(),
            schemas: vec!["company".into(), "price_list".into()],
            heartbeat: Some("nightshift.heartbeat".into()),
        };
        let (place, programs) = (Place::new("/state/replica"), programs(make, is_script));
        let (server_id, memory_mib, is_root) = (3_000_000_000, 128, false);
        arguments(&Wanted { place: &place, programs: &programs, mode, copied: &copied, server_id, memory_mib, is_root })
    }

    #[test]
    fn a_server_reads_no_options_of_the_machine_and_listens_to_no_network() {
        for make in [Make::MariaDb, Make::MySql] {
            for mode in [Mode::Building, Mode::Following] {
                let told = told(make, mode, false);
                assert_eq!(told[0], "--no-defaults");
                assert!(told.contains(&"--skip-networking".to_owned()));
                assert!(!self::told(make, mode, true).contains(&"--no-defaults".to_owned()), "a script says so itself");
            }
        }
    }

    #[test]
    fn one_that_follows_takes_no_writes_and_starts_no_replication_by_itself() {
        let (maria, my) = (told(Make::MariaDb, Mode::Following, false), told(Make::MySql, Mode::Following, false));
        assert!(maria.contains(&"--read-only=ON".into()) && maria.contains(&"--skip-slave-start".into()));
        assert!(my.contains(&"--super-read-only=ON".into()) && my.contains(&"--skip-replica-start".into()));
        let building = told(Make::MySql, Mode::Building, false);
        assert!(!building.iter().any(|argument| argument.contains("read-only")));
    }

    #[test]
    fn names_in_filters_stand_for_themselves() {
        let told = told(Make::MariaDb, Mode::Following, false);
        for filter in ["company.%", "price\\_list.%", "nightshift.heartbeat"] {
            assert!(told.contains(&format!("--replicate-wild-do-table={filter}")), "{told:#?}");
        }
    }
}
