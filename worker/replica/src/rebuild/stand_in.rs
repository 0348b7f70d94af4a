//! A replica that gives its data in its primary's place, so that the primary is spared: whether it may. Refused is whoever has
//! data of another primary, or data that the primary cannot go on from.
//!
//! The judging half is pure. What the primary has is asked after the donor was: it can only have more by then.

use std::collections::BTreeSet;

use nightshift_wire::{Donor, Replication};

use super::donor::{self, DonorFacts, Wanted};
use super::steps::series;
use super::{RebuildError, Unfit};
use crate::facts::{Absence, Facts, Looker, Needs, Patience};
use crate::make::{Make, Version};
use crate::position::Gtids;
use crate::server::Programs;
use crate::verdict::{Expected, Whose, channel_of, hides};

/// Why a replica may not stand in for its primary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoStandIn {
    /// It does not show whom it copies.
    #[error("does not show the account {0} whom it copies: GRANT {right} ON *.* TO it", right = right(*.1))]
    Hidden(String, Make),
    /// It cannot be understood.
    #[error("cannot be understood: {0}")]
    Strange(String),
    /// It copies nobody.
    #[error("copies no primary: name a replica as `donor` in jobserver.toml's [replication], or leave it out")]
    NotReplica,
    /// It does not know yet whom it copies.
    #[error("has not reached its primary since it was started: see that its replication runs")]
    NotMet,
    /// It copies another primary.
    #[error(
        "copies {found}, and the data are those of {wanted}: name a replica of that one as `donor` in jobserver.toml's [replication]"
    )]
    OtherPrimary {
        /// The one it copies.
        found: String,
        /// The one that counts.
        wanted: String,
    },
    /// It has what the primary never had.
    #[error("has what the primary never had ({0}): build it anew, or name another as `donor`")]
    Diverged(String),
    /// It goes on where its data do not fit.
    #[error(
        "goes on where its data do not fit ({0}), and so may lack anything: take the setting out and build it anew"
    )]
    SkipsErrors(String),
    /// Its data have no position.
    #[error("does not log what it copies, so that nobody can say how far its data are: set log_bin{also} and restart it", also = also(*.0))]
    NoLog(Make),
    /// What comes next is gone.
    #[error("lacks what the primary no longer has ({0}): build it anew, or name another as `donor`")]
    Lacks(String),
    /// It does not copy a table.
    #[error("does not copy {table} ({filter}): take that out of its configuration and build it anew")]
    Hides {
        /// The table.
        table: String,
        /// What leaves it out.
        filter: String,
    },
    /// It has not a table.
    #[error("has no table {0}, or the account may not see it")]
    LacksTable(String),
    /// It is newer than the server here.
    #[error("is {donor}, which is newer than the {here} here: install {donor}, or name another as `donor`")]
    Newer {
        /// The donor's version.
        donor: Version,
        /// The version here.
        here: Version,
    },
}

fn right(make: Make) -> &'static str {
    if make == Make::MariaDb { "SLAVE MONITOR" } else { "REPLICATION CLIENT" }
}

fn also(make: Make) -> &'static str {
    if make == Make::MariaDb { " and log_slave_updates" } else { "" }
}

/// The way to the donor: the primary's account, on another server.
pub(super) fn way_to(donor: &Donor, from: &Replication) -> Replication {
    Replication { host: donor.host.clone(), port: donor.port, donor: None, ..from.clone() }
}

/// Asks the donor and then the primary, and judges. What is known of both is given back.
pub(super) async fn look(
    from: &Replication,
    source: &Replication,
    here: &Programs,
    schemas: &[String],
) -> Result<DonorFacts, RebuildError> {
    let refused = |why| RebuildError::Unfit(Unfit::StandIn { address: donor::address(source), why });
    let donor = donor::look_at_stand_in(source).await?;
    let seen = Looker::new(donor::opts(source), Patience::default()).look(&Needs::default()).await;
    let tables = donor::look_at_tables(source, schemas).await?;
    let primary = donor::look(from).await?;
    super::check_primary(from, &primary)?;
    let make = here.version.make;
    let seen = seen.map_err(|absence| {
        refused(match absence {
            Absence::MayNotLook(account) => NoStandIn::Hidden(account, make),
            other => NoStandIn::Strange(crate::verdict::Verdict::Away(other).in_words(None, Whose::Machines)),
        })
    })?;
    let wanted = donor::look_at_wanted(from, make, schemas).await?;
    judge(&primary, &wanted, &donor, &seen, &tables, here.version).map_err(refused)?;
    Ok(donor)
}

/// Whether a donor, as it was seen, has the primary's data and a position that the primary can go on from.
fn judge(
    primary: &DonorFacts,
    wanted: &Wanted,
    donor: &DonorFacts,
    seen: &Facts,
    tables: &BTreeSet<String>,
    here: Version,
) -> Result<(), NoStandIn> {
    if donor.version.is_some_and(|version| version.make == Make::MySql && series(here) < series(version)) {
        return Err(NoStandIn::Newer { donor: seen.version, here });
    }
    let expected = Expected { primary: Some(primary.primary.clone()), ..Expected::default() };
    let channel = channel_of(seen, &expected).ok_or(NoStandIn::NotReplica)?;
    match &channel.primary {
        None => return Err(NoStandIn::NotMet),
        Some(found) if *found != primary.primary => {
            return Err(NoStandIn::OtherPrimary { found: found.clone(), wanted: primary.primary.clone() });
        }
        Some(_) => {}
    }
    if let Some(setting) = &seen.skips {
        return Err(NoStandIn::SkipsErrors(setting.clone()));
    }
    let make = seen.version.make;
    let read = |text: &str| Gtids::parse(make, text).map_err(|error| NoStandIn::Strange(error.to_string()));
    let (has, primary_has, purged) = (read(&donor.position)?, read(&primary.position)?, read(&wanted.purged)?);
    // On MariaDB a number of its own may be below the primary's and look like one that was copied.
    let of_its_own = read(&donor.logged)?.made_by(&seen.own_name());
    let extra = if of_its_own.is_empty() { has.without(&primary_has) } else { of_its_own };
    if !extra.is_empty() {
        return Err(NoStandIn::Diverged(extra.to_string()));
    }
    if !donor.has_binlog || !has.contains(&seen.applied) {
        return Err(NoStandIn::NoLog(make));
    }
    let lacking = purged.without(&has);
    if !lacking.is_empty() {
        return Err(NoStandIn::Lacks(lacking.to_string()));
    }
    for table in &wanted.tables {
        if let Some(filter) = hides(&channel.filters, table) {
            return Err(NoStandIn::Hides { table: table.clone(), filter });
        }
        if !tables.contains(table) {
            return Err(NoStandIn::LacksTable(table.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Filters;
    use crate::verdict::cases::healthy;

    /// A primary at `position`, whose logs begin behind `purged`, and a donor at `has`.
    fn judged(position: &str, purged: &str, has: &str, change: impl FnOnce(&mut Facts)) -> Result<(), NoStandIn> {
        judged_with(position, purged, has, has, change)
    }

    /// The same, with what the donor's own log holds.
    fn judged_with(
        position: &str,
        purged: &str,
        has: &str,
        logged: &str,
        change: impl FnOnce(&mut Facts),
    ) -> Result<(), NoStandIn> {
        let mut seen = healthy();
        seen.applied = Gtids::parse(Make::MariaDb, has).expect("a position");
        change(&mut seen);
        let facts = |position: &str, logged: &str| DonorFacts {
            version: Some(seen.version),
            primary: "mariadb:1".into(),
            position: position.into(),
            logged: logged.into(),
            has_binlog: true,
            has_gtids: true,
            clones: false,
            schemas: vec!["company".into()],
            job_schemas: vec![],
            has_heartbeat: true,
        };
        let tables = BTreeSet::from(["company.people".to_owned()]);
        let wanted = Wanted { purged: purged.into(), tables: tables.clone() };
        judge(&facts(position, ""), &wanted, &facts(has, logged), &seen, &tables, seen.version)
    }

    #[test]
    fn a_replica_that_has_all_that_the_primary_lost_stands_in_for_it() {
        assert_eq!(judged("0-1-100", "0-1-40", "0-1-90", |_| ()), Ok(()));
        assert_eq!(judged("0-1-100", "", "0-1-1", |_| ()), Ok(()));
        assert_eq!(judged("0-1-100", "0-1-90", "0-1-90", |_| ()), Ok(()));
    }

    #[test]
    fn one_that_lacks_the_position_or_has_data_of_another_is_refused_with_what_to_do() {
        type Change = fn(&mut Facts);
        let same: Change = |_| ();
        let cases: [(&str, &str, Change, &str); 8] = [
            ("0-1-91", "0-1-90", same, "lacks what the primary no longer has (0-1-91)"),
            ("", "0-1-101", same, "has what the primary never had (0-1-101)"),
            ("", "0-1-90", |seen| seen.channels[0].primary = Some("mariadb:2".into()), "copies mariadb:2"),
            ("", "0-1-90", |seen| seen.channels[0].primary = None, "has not reached its primary"),
            ("", "0-1-90", |seen| seen.channels.clear(), "copies no primary"),
            (
                "",
                "0-1-90",
                |seen| seen.skips = Some("exec_mode=IDEMPOTENT".into()),
                "goes on where its data do not fit",
            ),
            ("", "0-1-90", |seen| seen.applied = healthy().applied, "set log_bin and log_slave_updates"),
            (
                "",
                "0-1-90",
                |seen| {
                    seen.channels[0].filters = Filters { ignore_table: "company.people".into(), ..Filters::default() }
                },
                "does not copy company.people (replicate_ignore_table=company.people)",
            ),
        ];
        for (purged, has, change, says) in cases {
            let why = judged("0-1-100", purged, has, change).expect_err(says).to_string();
            assert!(why.contains(says), "{why}");
        }
        assert_eq!(
            judged_with("0-1-100", "", "0-70-91", "0-1-90,0-70-91", same),
            Err(NoStandIn::Diverged("0-70-91".into())),
            "though the primary's number is higher"
        );
    }
}
