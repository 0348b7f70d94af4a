//! Which server counts as the primary of the company's data, and what becomes of positions when it is another one.
//!
//! The job server asks whoever answers at the configured address what it is; replicas judge for themselves
//! (`worker/replica`).

use nightshift_wire::{DataPosition, Moment, Repin};

/// What the server at the primary's address says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryFacts {
    /// As in [`DataPosition::primary`]; empty when it says none.
    pub identity: String,
    /// As in [`DataPosition::gtid`].
    pub gtid: String,
    /// Whether it writes a binary log.
    pub binlog: bool,
    /// Whether its transactions have global identifiers.
    pub gtids: bool,
    /// Whether it takes no changes.
    pub read_only: bool,
    /// Whether its log holds the rows that changed, and not the statements.
    pub logs_rows: bool,
    /// What is known of it from before.
    pub before: Before,
}

/// What is known of a server from before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Before {
    /// As many transactions as [`transactions`] counted at most; `None` when nobody counted.
    pub transactions: Option<u64>,
    /// What was written on it is gone from it, as after a snapshot was restored.
    pub is_undone: bool,
    /// It was found to have begun a new history.
    pub history_lost: bool,
}

/// Why a server is no primary that anything can be pinned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPrimary {
    /// It says no id.
    #[error("it has no server id: set server_id to a number of its own")]
    Nameless,
    /// It writes no binary log.
    #[error(
        "it writes no binary log, so it has no positions and nobody can replicate it: set log_bin and a server_id in its \
         configuration, and restart it"
    )]
    NoBinlog,
    /// It has no GTIDs.
    #[error(
        "its transactions have no global identifiers: set gtid_mode = ON and enforce_gtid_consistency = ON; while it runs: SET \
         PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = \
         ON_PERMISSIVE; SET PERSIST gtid_mode = ON"
    )]
    NoGtids,
    /// It is read only, as a replica is.
    #[error("it is read only, as a replica is: promote it (SET GLOBAL read_only = OFF), or let `url` name the primary")]
    ReadOnly,
    /// It has fewer transactions than before, or others.
    #[error(
        "transactions that it had are gone: its binary logs were thrown away (RESET MASTER), or it came from a backup or a \
         snapshot, and its positions say nothing of the replicas' data any more. Give it an identity that it never had, and replicas are \
         built anew: on MariaDB SET GLOBAL server_id = 4711, and the same in its configuration; on MySQL remove auto.cnf from \
         its data folder and restart it"
    )]
    HistoryLost,
}

/// The position to note now, when this server is one that counts.
pub fn judge(facts: &PrimaryFacts, now: Moment) -> Result<DataPosition, NoPrimary> {
    if facts.identity.is_empty() {
        return Err(NoPrimary::Nameless);
    }
    let Before { transactions: before, is_undone, history_lost } = facts.before;
    if history_lost || is_undone || before > transactions(&facts.gtid) {
        return Err(NoPrimary::HistoryLost);
    }
    if !facts.binlog {
        return Err(NoPrimary::NoBinlog);
    }
    if !facts.gtids {
        return Err(NoPrimary::NoGtids);
    }
    // Right after a failover the address may lead to a server that is not promoted yet.
    if facts.read_only {
        return Err(NoPrimary::ReadOnly);
    }
    Ok(DataPosition { primary: facts.identity.clone(), gtid: facts.gtid.clone(), noted: now })
}

/// As many transactions as a position is past, in all domains or of all servers; `None` where it cannot be read. It never gets
/// less while a server goes on with one history.
pub fn transactions(gtid: &str) -> Option<u64> {
    let of_range = |range: &str| -> Option<u64> {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        last.trim().parse::<u64>().ok()?.checked_sub(first.trim().parse().ok()?)?.checked_add(1)
    };
    let of_part = |part: &str| -> Option<u64> {
        match part.split_once(':') {
            // MariaDB: domain, server, number.
            None => part.rsplit_once('-')?.1.parse().ok(),
            // MySQL: a server's ranges, and since 8.3 tags between them.
            Some((_, pieces)) => {
                let ranges =
                    pieces.split(':').map(str::trim).filter(|piece| piece.starts_with(|c: char| c.is_ascii_digit()));
                ranges.map(of_range).sum()
            }
        }
    };
    gtid.split(',').map(str::trim).filter(|part| !part.is_empty()).map(of_part).sum()
}

/// What to watch out for although the server counts.
pub fn warnings(facts: &PrimaryFacts) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    // Another that was set up as carelessly would pass for the same.
    if facts.identity == "mariadb:1" {
        warnings.push(
            "its server_id is 1, as that of every MariaDB by default: give it one of its own, so that a failover is seen",
        );
    }
    if !facts.logs_rows {
        warnings.push(
            "it logs statements and not rows, so that a row which a replica lacks goes unnoticed: run there SET GLOBAL \
             binlog_format = 'ROW', and write binlog_format = ROW into its configuration",
        );
    }
    warnings
}

/// What becomes of the position of something unfinished when this is the primary: nothing as long as it is the same, for
/// positions of one primary are never taken back.
pub fn repin(pinned: &DataPosition, jobs_done: u64, seen: &DataPosition, now: Moment) -> Option<Repin> {
    let another = pinned.primary != seen.primary;
    another.then(|| Repin { at: now, from: pinned.clone(), to: seen.clone(), jobs_done })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> PrimaryFacts {
        PrimaryFacts {
            identity: "mariadb:7".to_owned(),
            gtid: "0-7-12".to_owned(),
            binlog: true,
            gtids: true,
            read_only: false,
            logs_rows: true,
            before: Before::default(),
        }
    }

    #[test]
    fn only_a_server_that_takes_changes_and_logs_them_with_gtids_counts() {
        let position = DataPosition { primary: "mariadb:7".to_owned(), gtid: "0-7-12".to_owned(), noted: 5 };
        let cases = [
            (good(), Ok(position)),
            (PrimaryFacts { identity: String::new(), ..good() }, Err(NoPrimary::Nameless)),
            (PrimaryFacts { binlog: false, ..good() }, Err(NoPrimary::NoBinlog)),
            (PrimaryFacts { gtids: false, ..good() }, Err(NoPrimary::NoGtids)),
            (PrimaryFacts { read_only: true, ..good() }, Err(NoPrimary::ReadOnly)),
        ];
        for (facts, expected) in cases {
            assert_eq!(judge(&facts, 5), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_primary_on_which_nothing_was_written_yet_has_an_empty_position() {
        let fresh = PrimaryFacts { gtid: String::new(), ..good() };
        assert_eq!(judge(&fresh, 5).map(|position| position.gtid), Ok(String::new()));
    }

    #[test]
    fn a_server_whose_transactions_became_fewer_is_none_that_positions_can_be_compared_with() {
        let before = |transactions| Before { transactions: Some(transactions), ..Before::default() };
        let cases = [
            (before(12), true),
            (before(13), false),
            // Once it has more again nothing else would show it.
            (Before { history_lost: true, ..before(5) }, false),
            (Before { is_undone: true, ..before(5) }, false),
        ];
        for (before, is_good) in cases {
            let judged = judge(&PrimaryFacts { before, ..good() }, 5);
            assert_eq!(judged.is_ok(), is_good, "{before:?}");
            assert!(is_good || judged == Err(NoPrimary::HistoryLost));
        }
    }

    #[test]
    fn transactions_are_counted_over_domains_servers_and_tags() {
        for (gtid, count) in [
            ("", Some(0)),
            ("0-1-100", Some(100)),
            ("0-1-100,1-1-7", Some(107)),
            ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7", Some(6)),
            ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:1-3:tag:1-2", Some(10)),
            ("nonsense", None),
            ("3e11fa47-71ca-11e1-9e33-c80aa9429562:5-1", None),
        ] {
            assert_eq!(transactions(gtid), count, "{gtid}");
        }
    }

    #[test]
    fn a_default_id_is_warned_of_because_every_server_has_it() {
        assert_eq!(warnings(&good()), [""; 0]);
        assert_eq!(warnings(&PrimaryFacts { identity: "mariadb:1".to_owned(), ..good() }).len(), 1);
        assert_eq!(warnings(&PrimaryFacts { identity: "mysql:1".to_owned(), ..good() }), [""; 0]);
    }

    #[test]
    fn a_log_of_statements_is_warned_of_with_the_command_that_cures_it() {
        let found = warnings(&PrimaryFacts { logs_rows: false, ..good() });
        assert!(found.len() == 1 && found[0].contains("SET GLOBAL binlog_format = 'ROW'"), "{found:?}");
    }

    #[test]
    fn what_is_unfinished_gets_a_position_of_the_new_primary_and_none_of_the_same() {
        let at =
            |primary: &str, gtid: &str| DataPosition { primary: primary.to_owned(), gtid: gtid.to_owned(), noted: 1 };
        let pinned = at("mariadb:7", "0-7-12");
        assert_eq!(repin(&pinned, 3, &at("mariadb:7", "0-7-99"), 9), None);
        assert_eq!(repin(&pinned, 3, &at("mariadb:7", "0-7-2"), 9), None);
        let to = at("mariadb:8", "0-8-13");
        assert_eq!(repin(&pinned, 3, &to, 9), Some(Repin { at: 9, from: pinned, to, jobs_done: 3 }));
    }
}
