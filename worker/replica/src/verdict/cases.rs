//! Every case of a verdict, as it is tested and as docs/diagrams/replica-verdicts.md shows it.

use std::fmt::Write as _;
use std::time::Duration;

use nightshift_wire::ReplicaState;

use super::{Expected, Seen, Verdict, Whose};
use crate::facts::{Absence, Channel, Complaint, Facts, Filters, Heartbeat, Identity, Running, Thread};
use crate::heal::{History, Means};
use crate::make::Version;
use crate::position::Gtids;
use crate::trail::{Now, Trail};

/// What is seen, and what it is.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) seen: Seen,
    expected: Expected,
    /// The writer's clock is ahead of the heartbeat row by so many seconds.
    age: i64,
    state: ReplicaState,
}

impl Case {
    pub(crate) fn verdict(&self) -> Verdict {
        let mut trail = Trail::default();
        let at = self.seen.as_ref().ok().and_then(|facts| match facts.heartbeat {
            Heartbeat::Row { at, .. } => Some(at),
            Heartbeat::None(_) => None,
        });
        if let Ok(facts) = &self.seen {
            trail.note(facts, Duration::ZERO);
        }
        let writer = at.map(|at| at + self.age * 1_000_000);
        Verdict::on(&self.seen, &trail, &self.expected, Now { elapsed: Duration::ZERO, writer })
    }
}

/// A MariaDB that follows and has all that its primary has.
pub(crate) fn healthy() -> Facts {
    let version = Version::parse("10.11.19-MariaDB").expect("a version");
    let at = |text| Gtids::parse(version.make, text).expect("a position");
    let thread = || Thread { running: Running::Yes, errno: 0, error: String::new(), complaint: Complaint::Nothing };
    let channel = Channel {
        name: String::new(),
        address: "db1:3306".to_owned(),
        user: "replicator".to_owned(),
        primary: Some("mariadb:1".to_owned()),
        receiver: thread(),
        applier: thread(),
        by_gtid: true,
        retrieved: at("0-1-100"),
        filters: Filters::default(),
        delay: 0,
        // It says what it likes: nothing depends on it.
        seconds_behind: Some(4711),
    };
    Facts {
        version,
        identity: Identity { id: 70, uuid: None },
        read_only: true,
        gtids_on: true,
        skips: None,
        net_timeout: Duration::from_secs(10),
        channels: vec![channel],
        applied: at("0-1-100"),
        logged: at("0-1-100"),
        heartbeat: Heartbeat::Row { server: 1, at: 1_900_000_000_000_000 },
        missing_tables: [].into(),
    }
}

pub(crate) fn all() -> Vec<Case> {
    use ReplicaState::{
        Away, Behind, Broken, Connecting, Current, Diverged, NotReplica, OtherPrimary, Rebuilding, Stopped, Unfit,
    };
    let usual = Expected {
        primary: Some("mariadb:1".to_owned()),
        tables: ["company.people".to_owned()].into(),
        ..Expected::default()
    };
    let case = |name, state, seen: Seen| Case { name, seen, expected: usual.clone(), age: 1, state };
    let with = |name, state, change: fn(&mut Facts)| {
        let mut facts = healthy();
        change(&mut facts);
        case(name, state, Ok(facts))
    };
    let absent = |name, absence| case(name, Away, Err(absence));
    let rebuilding = Expected { rebuilding: Some("its binary log was purged".to_owned()), ..usual.clone() };
    vec![
        absent("nobody listens", Absence::Unreachable("connection refused".into())),
        absent("it accepts a connection and says nothing", Absence::Silent(Duration::from_secs(5), "its version")),
        absent("wrong credentials", Absence::Credentials("Access denied for user 'reader'@'localhost'".into())),
        absent("the account may not look", Absence::MayNotLook("reader@127.0.0.1".into())),
        absent("an old server", Absence::Unsupported("5.7.44".into())),
        absent("no facts", Absence::Strange("it does not say its server_id".into())),
        Case { expected: rebuilding, state: Rebuilding, ..with("it is being built anew", Rebuilding, |_| ()) },
        with("not a replica", NotReplica, |facts| facts.channels.clear()),
        with("positions of files", Unfit, |facts| facts.channels[0].by_gtid = false),
        with("another primary", OtherPrimary, |facts| facts.channels[0].primary = Some("mariadb:2".into())),
        with("transactions of its own", Diverged, |facts| facts.logged = at(facts, "0-1-100,0-70-101")),
        with("the primary finds transactions of its own", Diverged, |facts| {
            receiver(facts, Running::No, 1236, "… it probably means that the slave has diverged …");
        }),
        with("position purged", Broken, |facts| {
            receiver(facts, Running::No, 1236, "Could not find GTID state requested by slave in any binlog files …");
        }),
        with("duplicate key", Broken, |facts| applier(facts, 1062, "Duplicate entry '1' for key 'PRIMARY'")),
        with("missing row", Broken, |facts| applier(facts, 1032, "Can't find record in 'people'")),
        with("cloned identity", Stopped, |facts| {
            receiver(facts, Running::No, 1236, "A slave with the same server_uuid/server_id as this slave …");
        }),
        with("the primary refuses the account", Stopped, |facts| {
            receiver(facts, Running::Connecting, 1045, "Access denied for user 'replicator'@'10.0.0.7'");
        }),
        with("disk full", Stopped, |facts| applier(facts, 1021, "Disk full")),
        with("read_only off", Unfit, |facts| facts.read_only = false),
        with("errors are skipped", Unfit, |facts| facts.skips = Some("exec_mode=IDEMPOTENT".into())),
        with("it stays behind on purpose", Unfit, |facts| facts.channels[0].delay = 3600),
        with("a filter hides a needed table", Unfit, |facts| {
            facts.channels[0].filters.ignore_table = "company.people".into();
        }),
        with("SQL thread stopped by somebody", Stopped, |facts| applier(facts, 0, "")),
        with("SQL thread stopped by an error", Stopped, |facts| applier(facts, 1205, "Lock wait timeout exceeded")),
        with("IO thread stopped", Stopped, |facts| receiver(facts, Running::No, 0, "")),
        with("primary away", Connecting, |facts| {
            receiver(facts, Running::Connecting, 2003, "error connecting to master");
        }),
        with("primary not met yet", Connecting, |facts| facts.channels[0].primary = None),
        Case {
            age: 90,
            ..with("90 s behind by the heartbeat row, though it says 0", Behind, |facts| {
                facts.channels[0].seconds_behind = Some(0);
                facts.channels[0].retrieved = at(facts, "0-1-120");
            })
        },
        with("fetched and not applied, without a heartbeat row", Behind, |facts| {
            facts.heartbeat = Heartbeat::None("no such table".into());
            facts.channels[0].retrieved = at(facts, "0-1-120");
        }),
        with("current, but a needed table is missing", Unfit, |facts| {
            facts.missing_tables = ["company.people".to_owned()].into();
        }),
        with("current, whatever the server says it is behind", Current, |_| ()),
        with("current, without a heartbeat row", Current, |facts| facts.heartbeat = Heartbeat::None("none".into())),
    ]
}

fn at(facts: &Facts, text: &str) -> Gtids {
    Gtids::parse(facts.version.make, text).expect("a position")
}

fn thread(running: Running, errno: u32, error: &str) -> Thread {
    Thread { running, errno, error: error.to_owned(), complaint: Complaint::of(errno, error) }
}

fn receiver(facts: &mut Facts, running: Running, errno: u32, error: &str) {
    facts.channels[0].receiver = thread(running, errno, error);
}

fn applier(facts: &mut Facts, errno: u32, error: &str) {
    facts.channels[0].applier = thread(Running::No, errno, error);
}

#[test]
fn every_case_has_its_verdict() {
    for case in all() {
        assert_eq!(case.verdict().state(), case.state, "{}: {:?}", case.name, case.verdict());
    }
}

#[test]
fn every_case_that_somebody_can_mend_has_a_sentence_of_its_own_with_the_cure() {
    let mut sentences = std::collections::BTreeSet::new();
    for case in all() {
        let verdict = case.verdict();
        let words = verdict.in_words(case.seen.as_ref().ok().map(|facts| facts.version), Whose::Machines);
        assert!(verdict.cure(None, Whose::Machines).is_some() != passes_by_itself(&verdict), "{}: {words}", case.name);
        assert!(sentences.insert(words.clone()), "{words}");
    }
}

#[test]
fn a_replica_that_is_told_by_positions_alone_says_so_in_its_report() {
    for case in all() {
        let report = case.verdict().report(&case.seen, &case.expected);
        let without = matches!(&case.seen, Ok(Facts { heartbeat: Heartbeat::None(_), .. }));
        let follows = matches!(report.state, ReplicaState::Current | ReplicaState::Behind);
        assert_eq!(report.reason.contains("without the primary's heartbeat"), without && follows, "{}", report.reason);
    }
}

#[test]
fn no_cure_of_the_workers_own_server_is_a_statement_to_run_there_or_a_change_of_worker_toml() {
    for case in all() {
        let verdict = case.verdict();
        let version = case.seen.as_ref().ok().map(|facts| facts.version);
        let Some(cure) = verdict.cure(version, Whose::Workers) else { continue };
        for harmful in ["run there", "CHANGE", "START", "SET ", "GRANT", "point it", "[replica]"] {
            assert!(!cure.contains(harmful), "{}: {cure}", case.name);
        }
        assert!(!passes_by_itself(&verdict), "{}: {cure}", case.name);
    }
}

#[test]
fn whom_the_primary_refuses_is_told_where_the_account_is_named() {
    let refused = all().into_iter().find(|case| case.name == "the primary refuses the account").expect("a case");
    let words = refused.verdict().in_words(None, Whose::Workers);
    assert!(words.contains("replicator@db1:3306") && words.contains("[replication] of jobserver.toml"), "{words}");
}

fn passes_by_itself(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Current { .. }
            | Verdict::Behind { .. }
            | Verdict::Connecting { .. }
            | Verdict::Rebuilding(_)
            | Verdict::Away(Absence::Strange(_))
    )
}

#[test]
fn no_case_is_current_that_is_not_healthy() {
    let current: Vec<&str> =
        all().iter().filter(|case| case.verdict().state() == ReplicaState::Current).map(|case| case.name).collect();
    assert_eq!(current, ["current, whatever the server says it is behind", "current, without a heartbeat row"]);
}

#[test]
fn what_a_replica_has_and_its_primary_has_not_is_of_another_history() {
    let facts = healthy();
    assert_eq!(Verdict::on_history(&facts, &at(&facts, "0-1-100")), None);
    assert_eq!(Verdict::on_history(&facts, &at(&facts, "0-1-101,1-1-7")), None);
    for primary_has in ["0-1-99", "", "1-1-200"] {
        let verdict = Verdict::on_history(&facts, &at(&facts, primary_has)).expect("another history");
        assert_eq!(verdict.state(), ReplicaState::Diverged);
        let words = verdict.in_words(Some(facts.version), Whose::Machines);
        assert!(words.contains("what its primary never had: 0-1-100") && words.contains("built anew"), "{words}");
    }
}

#[test]
fn the_page_shows_the_table() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/diagrams/replica-verdicts.md");
    let page = page();
    if std::env::var_os("UPDATE_DIAGRAMS").is_some() {
        std::fs::write(file, &page).expect("write the page");
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(written, page, "run the tests with UPDATE_DIAGRAMS=1 to write {file}");
}

fn page() -> String {
    let mut text = String::from(
        "# What a replica is found to be\n\n\
         Printed by a test of `worker/replica/src/verdict` (`UPDATE_DIAGRAMS=1 cargo test -p nightshift-replica`). The first \
         that holds counts. *In words* is said of a server that is a service of the machine; of the worker's own it is said *of \
         its own* what cures it instead. *Done* is the first step of a worker that runs its server itself; nothing of it ever skips an \
         error. Where nothing is to be changed, a job waits for its data for a while before it is given back.\n\n\
         | seen | is | in words | of its own | done |\n|---|---|---|---|---|\n",
    );
    for case in all() {
        let facts = case.seen.as_ref().ok();
        let verdict = case.verdict();
        let means = Means { own_server: true, may_administer: true };
        let done = format!("{:?}", History::default().next(&verdict, facts, means, Duration::ZERO));
        let state = serde_word(case.state);
        let words = verdict.in_words(facts.map(|facts| facts.version), Whose::Machines).replace('|', "\\|");
        let own =
            verdict.cure(facts.map(|facts| facts.version), Whose::Workers).unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(text, "| {} | **{state}** | {words} | {own} | {} |", case.name, spaced(&done));
    }
    text
}

/// `StartThreads` as people write it.
fn spaced(word: &str) -> String {
    let mut spaced = String::new();
    for c in word.chars() {
        if c.is_uppercase() && !spaced.is_empty() {
            spaced.push(' ');
        }
        spaced.extend(c.to_lowercase());
    }
    spaced
}

fn serde_word(state: ReplicaState) -> String {
    spaced(&format!("{state:?}"))
}
