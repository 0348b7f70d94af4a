//! The steps of a rebuild, the way it goes, and the note that one is under way. Pure.
//!
//! | step | what is on the disk then | killed after it |
//! |---|---|---|
//! | begun | the note; whatever data there were | begun again |
//! | emptied | the note, and no data | begun again |
//! | made | the note, and a server's data without any of the primary's | begun again |
//! | filled | the note, and the primary's data; not yet where they come from | begun again |
//! | pointed | the same, and the position in the primary's history | begun again |
//! | closed | the note, and data that are whole: their server ended in good order | begun again |
//! | done | no note | done |
//!
//! For as long as the note is there, nothing in the data folder is taken for data, and no account of a plugin's is on the
//! server. It is begun again rather than gone on with: a server that is filled is told to keep nothing durable until it ends.

use serde::{Deserialize, Serialize};

use super::donor::DonorFacts;
use super::stand_in::NoStandIn;
use crate::make::{Make, Version};
use crate::server::{Programs, packages};

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The note is on the disk.
    Begun,
    /// The data before are gone.
    Emptied,
    /// A server's empty data folder is in its place.
    Made,
    /// The primary's data are in it.
    Filled,
    /// It knows its primary and the position in its history.
    Pointed,
    /// Its server has ended, and everything is on the disk.
    Closed,
    /// The note is gone.
    Done,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Step; 7] =
        [Step::Begun, Step::Emptied, Step::Made, Step::Filled, Step::Pointed, Step::Closed, Step::Done];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Step::Begun => "begun",
            Step::Emptied => "emptied",
            Step::Made => "made",
            Step::Filled => "filled",
            Step::Pointed => "pointed",
            Step::Closed => "closed",
            Step::Done => "done",
        }
    }
}

/// How data get here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// MySQL's own copying of its files.
    Clone,
    /// A dump that streams from server to server.
    Dump,
}

impl Way {
    /// As people read it.
    pub fn in_words(self) -> &'static str {
        match self {
            Way::Clone => "by CLONE",
            Way::Dump => "by a streamed dump",
        }
    }
}

/// The note that a rebuild is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Why the replica is built anew, in a sentence.
    pub why: String,
    /// How often it was begun.
    pub begun: u32,
    /// What was tried and failed in this rebuild, with what it said.
    #[serde(default)]
    pub failed: Vec<(Way, String)>,
}

/// Why nothing can be built from a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is of the other make.
    #[error("the primary is {donor}, and this machine's server is {here}: install {} here", packages(*.donor))]
    OtherMake {
        /// The primary's make.
        donor: Make,
        /// The make of the server here.
        here: Make,
    },
    /// It is too old.
    #[error("the primary is too old to be copied: MariaDB 10.6 or MySQL 8.0.23 are needed")]
    TooOld,
    /// It is newer than the server here.
    #[error(
        "the primary is {donor}, which is newer than the {here} here: a replica must not be older; install {donor}"
    )]
    Newer {
        /// The primary's version.
        donor: Version,
        /// The version here.
        here: Version,
    },
    /// It is not the primary that counts.
    #[error(
        "{address} is {found}, and the positions of jobs are of {wanted}: after a failover the job server follows within a \
         minute; when this stays, [primary] and [replication] in jobserver.toml lead to different servers: name the same"
    )]
    OtherPrimary {
        /// Where it is.
        address: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// It cannot be copied.
    #[error(
        "the primary writes no binary log, so nothing can follow it: set log_bin and a server_id in its configuration, and \
         restart it"
    )]
    NoBinaryLog,
    /// Its transactions have no numbers.
    #[error(
        "the primary's transactions have no GTIDs: set gtid_mode = ON and enforce_gtid_consistency = ON in its configuration"
    )]
    NoGtids,
    /// There is nothing to copy.
    #[error(
        "the account sees no schema on the primary: GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `company`.* TO it, for each schema that plugins need"
    )]
    NoSchema,
    /// What is to be copied is not there.
    #[error(
        "the primary has no schema {0}, or the account may not see it: GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `{0}`.* TO it, or correct `schemas` in jobserver.toml's [replication]"
    )]
    MissingSchema(String),
    /// The replica that was named does not do in the primary's place.
    #[error("the donor {address} {why}")]
    StandIn {
        /// Where it is.
        address: String,
        /// Why not.
        why: NoStandIn,
    },
    /// The disk is too small.
    #[error(
        "the company's data are about {needs} MB, and there is room for {has} MB where the replica is: make room on that disk, or \
         copy fewer schemas (`schemas` in jobserver.toml's [replication])"
    )]
    NoRoom {
        /// What they take.
        needs: u64,
        /// What is free, or is as soon as the data before are gone.
        has: u64,
    },
    /// Job tables are not to be copied.
    #[error(
        "the schema {0} holds the job tables, which workers do not copy: take it out of `schemas` in jobserver.toml's [replication]"
    )]
    JobTables(String),
}

/// Which way a rebuild goes, and which schemas it copies: those that are `wanted`, or all that are seen.
///
/// # Errors
/// Why nothing can be built from the donor.
pub fn plan(
    here: &Programs,
    donor: &DonorFacts,
    wanted: &[String],
    failed: &[(Way, String)],
) -> Result<(Way, Vec<String>), Unfit> {
    let (version, here) = (donor.version.ok_or(Unfit::TooOld)?, here.version);
    if here.make != version.make {
        return Err(Unfit::OtherMake { donor: version.make, here: here.make });
    }
    if version.make == Make::MySql && series(here) < series(version) {
        return Err(Unfit::Newer { donor: version, here });
    }
    if !donor.has_binlog {
        return Err(Unfit::NoBinaryLog);
    }
    if !donor.has_gtids {
        return Err(Unfit::NoGtids);
    }
    for schema in wanted {
        if donor.job_schemas.contains(schema) {
            return Err(Unfit::JobTables(schema.clone()));
        }
        if !donor.schemas.contains(schema) {
            return Err(Unfit::MissingSchema(schema.clone()));
        }
    }
    let seen = || donor.schemas.iter().filter(|schema| !donor.job_schemas.contains(schema)).cloned().collect();
    let schemas: Vec<String> = if wanted.is_empty() { seen() } else { wanted.to_vec() };
    if schemas.is_empty() {
        return Err(Unfit::NoSchema);
    }
    Ok((way_from(here, donor, failed), schemas))
}

/// Which way data come from a donor that they can come from.
pub(super) fn way_from(here: Version, donor: &DonorFacts, failed: &[(Way, String)]) -> Way {
    let clonable = donor.clones && donor.version.is_some_and(|version| is_clonable(here, version));
    match clonable && failed.iter().all(|(way, _)| *way != Way::Clone) {
        true => Way::Clone,
        false => Way::Dump,
    }
}

/// Whether so many bytes find room on a disk with so many free, once those of the data before are free, too.
///
/// # Errors
/// When they do not.
pub(super) fn fits(needs: u64, free: u64, before: u64) -> Result<(), Unfit> {
    let has = free.saturating_add(before);
    match needs > has {
        true => Err(Unfit::NoRoom { needs: needs >> 20, has: has >> 20 }),
        false => Ok(()),
    }
}

/// Major and minor number of a version.
pub(super) fn series(version: Version) -> (u32, u32) {
    (version.numbers.0, version.numbers.1)
}

/// Whether one version of MySQL can clone another: within a series, which in 8.0 it can only from 8.0.37 on.
fn is_clonable(here: Version, donor: Version) -> bool {
    let patch = here.numbers.2.min(donor.numbers.2);
    here == donor || (series(here) == series(donor) && (series(here) != (8, 0) || patch >= 37))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn version(make: Make, text: &str) -> Version {
        let numbers: Vec<u32> = text.split('.').filter_map(|number| number.parse().ok()).collect();
        Version { make, numbers: (numbers[0], numbers[1], numbers[2]) }
    }

    fn here(make: Make, text: &str) -> Programs {
        let version = version(make, text);
        let file = PathBuf::from("/x");
        Programs { server: file.clone(), version, client: file.clone(), dump: file, install: None, is_script: false }
    }

    fn donor(make: Make, text: &str) -> DonorFacts {
        DonorFacts {
            version: Some(version(make, text)),
            primary: "mysql:x".into(),
            position: "x:1-7".into(),
            logged: "x:1-7".into(),
            has_binlog: true,
            has_gtids: true,
            clones: make == Make::MySql,
            schemas: vec!["company".into(), "nightshift".into()],
            job_schemas: vec!["nightshift".into()],
            has_heartbeat: true,
        }
    }

    #[test]
    fn mysql_is_cloned_within_a_series_and_everything_else_is_dumped() {
        let way = |make, mine: &str, theirs: &str, failed: &[(Way, String)]| {
            plan(&here(make, mine), &donor(make, theirs), &[], failed).map(|(way, _)| way)
        };
        let failed = [(Way::Clone, "no".to_owned())];
        for (mine, theirs, failed, expected) in [
            ("9.7.4", "9.7.4", &[][..], Way::Clone),
            ("8.4.6", "8.4.0", &[], Way::Clone),
            ("8.0.36", "8.0.36", &[], Way::Clone),
            ("8.0.37", "8.0.40", &[], Way::Clone),
            ("8.0.37", "8.0.36", &[], Way::Dump),
            ("9.7.4", "8.4.0", &[], Way::Dump),
            ("9.7.4", "9.7.4", &failed, Way::Dump),
        ] {
            assert_eq!(way(Make::MySql, mine, theirs, failed), Ok(expected), "{mine} of {theirs}");
        }
        assert_eq!(way(Make::MariaDb, "10.11.19", "10.11.19", &[]), Ok(Way::Dump));
        let unlicensed = DonorFacts { clones: false, ..donor(Make::MySql, "9.7.4") };
        assert_eq!(plan(&here(Make::MySql, "9.7.4"), &unlicensed, &[], &[]).map(|(way, _)| way), Ok(Way::Dump));
    }

    #[test]
    fn what_cannot_be_followed_is_not_copied_and_its_cure_is_said() {
        let good = || donor(Make::MySql, "9.7.4");
        let company = ["company".to_owned()];
        for (facts, wanted, says) in [
            (donor(Make::MariaDb, "10.11.19"), &company[..], "install mariadb-server-core"),
            (donor(Make::MySql, "9.8.0"), &company, "install MySQL 9.8.0"),
            (DonorFacts { version: None, ..good() }, &company, "too old"),
            (DonorFacts { has_binlog: false, ..good() }, &company, "set log_bin"),
            (DonorFacts { has_gtids: false, ..good() }, &company, "gtid_mode = ON"),
            (DonorFacts { schemas: vec![], ..good() }, &[], "GRANT SELECT"),
            (DonorFacts { schemas: vec![], ..good() }, &company, "no schema company"),
            (good(), &["nightshift".to_owned()], "holds the job tables"),
        ] {
            let refused = plan(&here(Make::MySql, "9.7.4"), &facts, wanted, &[]).expect_err(says);
            assert!(refused.to_string().contains(says), "{refused}");
        }
    }

    #[test]
    fn nothing_is_thrown_away_for_data_that_find_no_room() {
        const GIB: u64 = 1 << 30;
        assert_eq!(fits(3 * GIB, GIB, 2 * GIB), Ok(()));
        let refused = fits(3 * GIB, GIB, GIB).expect_err("too little").to_string();
        assert!(refused.contains("about 3072 MB") && refused.contains("room for 2048 MB"), "{refused}");
    }

    #[test]
    fn without_a_list_everything_that_is_seen_is_copied_but_the_job_tables() {
        let planned = plan(&here(Make::MySql, "9.7.4"), &donor(Make::MySql, "9.7.4"), &[], &[]);
        assert_eq!(planned.map(|(_, schemas)| schemas), Ok(vec!["company".to_owned()]));
    }
}
