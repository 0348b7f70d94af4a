//! Sets of transactions as MySQL and MariaDB write them, and how they compare. Pure.
//!
//! On MySQL a transaction is named by the server that made it, so that sets say all. On MariaDB it is a number in a domain:
//! `0-2-10` is as far as `0-1-10`, though another server made it. Two MariaDB positions can be compared only when they are of
//! the same primary, which is for the caller to know.

use std::collections::BTreeMap;
use std::fmt;

use nightshift_wire::ReachedPosition;

use crate::make::Make;

/// Transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gtids {
    /// For each source, a UUID or `UUID:tag`: ranges of numbers, in order, which do not touch.
    MySql(BTreeMap<String, Vec<(u64, u64)>>),
    /// For each domain the last transaction of each server: its id and the number. A position has one for a domain, the
    /// state of a binary log may have several.
    MariaDb(BTreeMap<u32, BTreeMap<u64, u64>>),
}

/// A text that names no transactions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no list of {make} transactions, as in {example}")]
pub struct Unreadable {
    text: String,
    make: Make,
    example: &'static str,
}

impl Gtids {
    /// None at all.
    pub fn none(make: Make) -> Gtids {
        match make {
            Make::MySql => Gtids::MySql(BTreeMap::new()),
            Make::MariaDb => Gtids::MariaDb(BTreeMap::new()),
        }
    }

    /// Reads what a server shows: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7` on MySQL, `0-1-100,1-1-7` on MariaDB.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(make: Make, text: &str) -> Result<Gtids, Unreadable> {
        let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let (read, example) = match make {
            Make::MySql => (mysql(parts()).map(Gtids::MySql), "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"),
            Make::MariaDb => (mariadb(parts()).map(Gtids::MariaDb), "0-1-100"),
        };
        read.ok_or_else(|| Unreadable { text: text.chars().take(200).collect(), make, example })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match self {
            Gtids::MySql(sources) => sources.is_empty(),
            Gtids::MariaDb(domains) => domains.is_empty(),
        }
    }

    /// Whether whoever has these transactions has `others` too. Never of sets of different makes.
    pub fn contains(&self, others: &Gtids) -> bool {
        match (self, others) {
            (Gtids::MySql(_), Gtids::MySql(_)) => others.without(self).is_empty(),
            (Gtids::MariaDb(these), Gtids::MariaDb(others)) => others.iter().all(|(domain, servers)| {
                let reached = |servers: &BTreeMap<u64, u64>| servers.values().max().copied();
                these.get(domain).and_then(reached) >= reached(servers)
            }),
            _ => false,
        }
    }

    /// What of these `others` does not have. On MariaDB: the domains in which these are further.
    #[must_use]
    pub fn without(&self, others: &Gtids) -> Gtids {
        match (self, others) {
            (Gtids::MySql(these), Gtids::MySql(others)) => {
                let left = these.iter().map(|(source, ranges)| {
                    let taken = others.get(source).map_or(&[][..], Vec::as_slice);
                    (source.clone(), subtract(ranges, taken))
                });
                Gtids::MySql(left.filter(|(_, ranges)| !ranges.is_empty()).collect())
            }
            (Gtids::MariaDb(these), Gtids::MariaDb(_)) => {
                let further = these.iter().filter(|(domain, servers)| {
                    let alone = Gtids::MariaDb([(**domain, (*servers).clone())].into());
                    !others.contains(&alone)
                });
                Gtids::MariaDb(further.map(|(domain, servers)| (*domain, servers.clone())).collect())
            }
            _ => self.clone(),
        }
    }

    /// Those that a server made itself: `server` is a UUID on MySQL and a decimal id on MariaDB.
    #[must_use]
    pub fn made_by(&self, server: &str) -> Gtids {
        match self {
            Gtids::MySql(sources) => {
                let is_its =
                    |source: &str| source.split(':').next().is_some_and(|uuid| uuid.eq_ignore_ascii_case(server));
                let its = sources.iter().filter(|(source, _)| is_its(source));
                Gtids::MySql(its.map(|(source, ranges)| (source.clone(), ranges.clone())).collect())
            }
            Gtids::MariaDb(domains) => {
                let id = server.parse().ok();
                let its = domains.iter().filter_map(|(domain, servers)| {
                    let (id, number) = servers.get_key_value(&id?)?;
                    Some((*domain, BTreeMap::from([(*id, *number)])))
                });
                Gtids::MariaDb(its.collect())
            }
        }
    }
}

impl fmt::Display for Gtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        match self {
            Gtids::MySql(sources) => {
                for (source, ranges) in sources {
                    write!(f, "{comma}{source}")?;
                    for (first, last) in ranges {
                        match first == last {
                            true => write!(f, ":{first}")?,
                            false => write!(f, ":{first}-{last}")?,
                        }
                    }
                    comma = ",";
                }
            }
            Gtids::MariaDb(domains) => {
                for (domain, servers) in domains {
                    for (server, number) in servers {
                        write!(f, "{comma}{domain}-{server}-{number}")?;
                        comma = ",";
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether data that had reached `reached` hold all of `gtid` of `primary`. Never where either cannot be read.
pub fn holds(reached: &ReachedPosition, primary: &str, gtid: &str) -> bool {
    let make = Make::of_primary(primary);
    let both = Gtids::parse(make, &reached.gtid).ok().zip(Gtids::parse(make, gtid).ok());
    reached.primary == primary && both.is_some_and(|(reached, wanted)| reached.contains(&wanted))
}

fn mysql<'t>(parts: impl Iterator<Item = &'t str>) -> Option<BTreeMap<String, Vec<(u64, u64)>>> {
    let mut sources: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for part in parts {
        let mut pieces = part.split(':').map(str::trim);
        let uuid = pieces.next().filter(|uuid| is_uuid(uuid))?.to_ascii_lowercase();
        let mut source = uuid.clone();
        let mut empty = true;
        for piece in pieces {
            empty = false;
            // Since 8.3 a tag may stand between numbers: UUID:1-3:tag:1-5.
            if !piece.starts_with(|c: char| c.is_ascii_digit()) {
                source = is_tag(piece).then(|| format!("{uuid}:{}", piece.to_ascii_lowercase()))?;
                continue;
            }
            let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
            let range = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            if range.0 == 0 || range.0 > range.1 {
                return None;
            }
            sources.entry(source.clone()).or_default().push(range);
        }
        if empty {
            return None;
        }
    }
    for ranges in sources.values_mut() {
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges.drain(..) {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        *ranges = merged;
    }
    Some(sources)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

fn is_tag(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn mariadb<'t>(parts: impl Iterator<Item = &'t str>) -> Option<BTreeMap<u32, BTreeMap<u64, u64>>> {
    let mut domains: BTreeMap<u32, BTreeMap<u64, u64>> = BTreeMap::new();
    for part in parts {
        let mut numbers = part.split('-');
        let (domain, server, number) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let (domain, server, number) = (domain.parse().ok()?, server.parse().ok()?, number.parse().ok()?);
        if numbers.next().is_some() {
            return None;
        }
        let last = domains.entry(domain).or_default().entry(server).or_insert(number);
        *last = number.max(*last);
    }
    Some(domains)
}

/// `ranges` without `taken`; both in order.
fn subtract(ranges: &[(u64, u64)], taken: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = Vec::new();
    for &(first, last) in ranges {
        let mut from = first;
        for &(taken_first, taken_last) in taken.iter().filter(|taken| taken.1 >= first && taken.0 <= last) {
            if taken_first > from {
                left.push((from, taken_first - 1));
            }
            from = from.max(taken_last.saturating_add(1));
        }
        if from <= last {
            left.push((from, last));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn of(make: Make, text: &str) -> Gtids {
        Gtids::parse(make, text).expect(text)
    }

    #[test]
    fn sets_are_read_as_servers_write_them_and_shown_in_one_form() {
        for (make, text, shown) in [
            (Make::MySql, format!("{A}:1-5:7,\n{B}:1"), format!("{A}:1-5:7,{B}:1")),
            (Make::MySql, format!("{}:4-5:1-3", A.to_uppercase()), format!("{A}:1-5")),
            (Make::MySql, format!("{A}:1-3:Backup:2:5-6"), format!("{A}:1-3,{A}:backup:2:5-6")),
            (Make::MySql, String::new(), String::new()),
            (Make::MariaDb, "1-5-7, 0-1-100".to_owned(), "0-1-100,1-5-7".to_owned()),
            (Make::MariaDb, "0-1-100,0-2-90".to_owned(), "0-1-100,0-2-90".to_owned()),
            (Make::MariaDb, String::new(), String::new()),
        ] {
            assert_eq!(of(make, &text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["0-1-100", "x:1", A, &format!("{A}:0-5"), &format!("{A}:5-4"), &format!("{A}:a-b:1")] {
            Gtids::parse(Make::MySql, text).expect_err(text);
        }
        for text in [&format!("{A}:1-5"), "0-1", "0-1-2-3", "0-1-x", "-1-2-3"] {
            let error = Gtids::parse(Make::MariaDb, text).expect_err(text);
            assert!(error.to_string().contains("as in 0-1-100"), "{error}");
        }
    }

    #[test]
    fn a_position_is_reached_when_every_transaction_of_it_is_there() {
        for (make, has, asked, reached) in [
            (Make::MySql, format!("{A}:1-10"), format!("{A}:1-10"), true),
            (Make::MySql, format!("{A}:1-10"), format!("{A}:11"), false),
            // A gap is not reached by being further on.
            (Make::MySql, format!("{A}:1-4:6-20"), format!("{A}:1-6"), false),
            (Make::MySql, format!("{A}:1-10,{B}:1-3"), format!("{B}:2"), true),
            (Make::MySql, format!("{A}:1-10"), format!("{A}:backup:1"), false),
            (Make::MySql, format!("{A}:1-10"), String::new(), true),
            (Make::MariaDb, "0-1-100".to_owned(), "0-1-100".to_owned(), true),
            (Make::MariaDb, "0-1-99".to_owned(), "0-1-100".to_owned(), false),
            // Who made a transaction does not matter in a domain: that is why the primary has to be known.
            (Make::MariaDb, "0-2-100".to_owned(), "0-1-100".to_owned(), true),
            (Make::MariaDb, "0-1-100".to_owned(), "0-1-7,1-1-1".to_owned(), false),
            (Make::MariaDb, String::new(), "0-1-1".to_owned(), false),
        ] {
            assert_eq!(of(make, &has).contains(&of(make, &asked)), reached, "{has} for {asked}");
        }
        assert!(!of(Make::MySql, "").contains(&of(Make::MariaDb, "0-1-1")), "two makes");
    }

    #[test]
    fn data_of_another_primary_hold_nothing_that_is_asked_for() {
        let reached = ReachedPosition { primary: "mariadb:1".to_owned(), gtid: "0-1-100".to_owned() };
        assert!(holds(&reached, "mariadb:1", "0-1-99") && !holds(&reached, "mariadb:1", "0-1-101"));
        assert!(!holds(&reached, "mariadb:2", "0-2-1") && !holds(&reached, "mariadb:1", "nonsense"));
    }

    #[test]
    fn what_a_server_made_itself_is_found() {
        let executed = of(Make::MySql, &format!("{A}:1-10,{B}:1-2,{B}:mine:4"));
        assert_eq!(executed.made_by(&B.to_uppercase()).to_string(), format!("{B}:1-2,{B}:mine:4"));
        let logged = of(Make::MariaDb, "0-1-100,0-2-101,1-1-5");
        assert_eq!(logged.made_by("2").to_string(), "0-2-101");
        assert!(logged.made_by("3").is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let executed = of(Make::MySql, &format!("{A}:1-10:15-20"));
        let asked = of(Make::MySql, &format!("{A}:1-12:14-16:30"));
        assert_eq!(asked.without(&executed).to_string(), format!("{A}:11-12:14:30"));
        assert_eq!(of(Make::MariaDb, "0-1-9,1-1-9").without(&of(Make::MariaDb, "0-1-8,1-1-9")).to_string(), "0-1-9");
    }
}
