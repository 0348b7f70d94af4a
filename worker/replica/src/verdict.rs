//! What a replica is, judged by what was seen of it: one verdict for every case, the first that holds. Pure.
//!
//! In words and with the statement that cures it: `words.rs`; printed in docs/diagrams/replica-verdicts.md. Whether it has
//! reached a job's position is asked of the server ([`crate::wait`]): no verdict says so.

#[cfg(test)]
pub(crate) mod cases;
mod filters;
mod words;

use std::collections::BTreeSet;
use std::time::Duration;

use nightshift_wire::{ReplicaReport, ReplicaState};

pub(crate) use filters::hides;
pub(crate) use words::ACCOUNT;

use crate::facts::{Absence, Channel, Complaint, Facts, Heartbeat, Running, Thread};
use crate::position::Gtids;
use crate::trail::{Now, Trail};

/// What was seen: facts, or why there are none.
pub type Seen = Result<Facts, Absence>;

/// What a replica has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Whom it copies, as [`nightshift_wire::DataPosition::primary`]; `None` when nobody said.
    pub primary: Option<String>,
    /// The tables that are read, each as `schema.table`.
    pub tables: BTreeSet<String>,
    /// It may be so far behind and still be current.
    pub max_behind: Duration,
    /// Why it is being built anew, while it is.
    pub rebuilding: Option<String>,
    /// Whose its server is.
    pub whose: Whose,
}

/// Whose a replica's server is: what cures it is said to a person, or done by the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The machine's: a service, which people see to.
    Machines,
    /// The worker's, which runs it itself.
    Workers,
}

impl Default for Expected {
    fn default() -> Expected {
        Expected {
            primary: None,
            tables: BTreeSet::new(),
            max_behind: Duration::from_secs(60),
            rebuilding: None,
            whose: Whose::Machines,
        }
    }
}

/// What a replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It cannot be looked at.
    Away(Absence),
    /// It is being built anew; holds why.
    Rebuilding(String),
    /// It copies nobody.
    NotReplica,
    /// It copies files and not transactions, so that no position can be asked for.
    NoGtids,
    /// It copies another primary.
    OtherPrimary {
        /// The one that counts.
        expected: String,
        /// The one it copies.
        found: String,
    },
    /// It has what its primary never had; in its own words where it knows, else the transactions.
    Diverged(String),
    /// It can never follow again.
    Broken(Stop),
    /// Another server has its identity.
    Cloned(Stop),
    /// The primary refuses its account.
    Refused {
        /// The account and the primary's address, as `user@host:port`.
        account: String,
        /// The primary's words.
        error: String,
    },
    /// Its disk is full.
    NoRoom(Stop),
    /// A thread stands still.
    Stopped(Stop),
    /// Anybody may write to it.
    Writable,
    /// It skips errors by the setting named, and so may lack anything.
    SkipsErrors(String),
    /// It was told to stay so many seconds behind.
    Delayed(u64),
    /// A table that is needed is not copied.
    Filtered {
        /// The table.
        table: String,
        /// What leaves it out.
        filter: String,
    },
    /// It is on its way to its primary, or does not know it yet.
    Connecting {
        /// The primary's address.
        address: String,
        /// Why it is not there yet; may be empty.
        error: String,
    },
    /// It follows, and is too far behind.
    Behind {
        /// So far; `None` when that is not known yet.
        by: Option<Duration>,
        /// What it has fetched and not applied.
        missing: Gtids,
    },
    /// It is current and lacks tables that are needed.
    MissingTables(BTreeSet<String>),
    /// It follows, and is near enough.
    Current {
        /// So far behind it is.
        by: Duration,
    },
}

/// A thread that stands still, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Which.
    pub which: Which,
    /// The error's number, 0 when there is none: somebody stopped it.
    pub errno: u32,
    /// The error in the server's words.
    pub error: String,
    /// What it means.
    pub complaint: Complaint,
}

/// The threads of replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// The IO thread, which fetches.
    Receiver,
    /// The SQL thread, which applies.
    Applier,
}

impl Verdict {
    /// The verdict on what was seen, which has been noted in `trail`.
    pub fn on(seen: &Seen, trail: &Trail, expected: &Expected, now: Now) -> Verdict {
        if let Some(why) = &expected.rebuilding {
            return Verdict::Rebuilding(why.clone());
        }
        let facts = match seen {
            Ok(facts) => facts,
            Err(absence) => return Verdict::Away(absence.clone()),
        };
        let Some(channel) = channel_of(facts, expected) else { return Verdict::NotReplica };
        let verdict = of_the_way(facts, channel, expected)
            .or_else(|| of_errors(channel))
            .or_else(|| of_setting_up(facts, channel, expected))
            .or_else(|| of_running(channel));
        verdict.unwrap_or_else(|| of_lag(facts, channel, trail, expected, now))
    }

    /// The verdict in one word.
    pub fn state(&self) -> ReplicaState {
        match self {
            Verdict::Away(_) => ReplicaState::Away,
            Verdict::Rebuilding(_) => ReplicaState::Rebuilding,
            Verdict::NotReplica => ReplicaState::NotReplica,
            Verdict::OtherPrimary { .. } => ReplicaState::OtherPrimary,
            Verdict::Diverged(_) => ReplicaState::Diverged,
            Verdict::Broken(_) => ReplicaState::Broken,
            Verdict::Cloned(_) | Verdict::Refused { .. } | Verdict::NoRoom(_) | Verdict::Stopped(_) => {
                ReplicaState::Stopped
            }
            Verdict::NoGtids
            | Verdict::Writable
            | Verdict::SkipsErrors(_)
            | Verdict::Delayed(_)
            | Verdict::Filtered { .. }
            | Verdict::MissingTables(_) => ReplicaState::Unfit,
            Verdict::Connecting { .. } => ReplicaState::Connecting,
            Verdict::Behind { .. } => ReplicaState::Behind,
            Verdict::Current { .. } => ReplicaState::Current,
        }
    }

    /// Whether it may become current, or is, without anybody changing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Verdict::Away(absence) => matches!(absence, Absence::Unreachable(_) | Absence::Silent(..)),
            Verdict::Refused { .. }
            | Verdict::NoRoom(_)
            | Verdict::Stopped(_)
            | Verdict::Connecting { .. }
            | Verdict::Behind { .. }
            | Verdict::Current { .. } => true,
            Verdict::Rebuilding(_)
            | Verdict::NotReplica
            | Verdict::NoGtids
            | Verdict::OtherPrimary { .. }
            | Verdict::Diverged(_)
            | Verdict::Broken(_)
            | Verdict::Cloned(_)
            | Verdict::Writable
            | Verdict::SkipsErrors(_)
            | Verdict::Delayed(_)
            | Verdict::Filtered { .. }
            | Verdict::MissingTables(_) => false,
        }
    }

    /// The verdict on a replica of a primary that was asked after it was looked at: what the replica has and the primary has
    /// not, is of another history. Positions of the two may be alike all the same, and on MariaDB nobody else notices.
    pub fn on_history(facts: &Facts, primary_has: &Gtids) -> Option<Verdict> {
        let extra = facts.applied.without(primary_has);
        (!extra.is_empty()).then(|| {
            let why = "its binary logs were thrown away (RESET MASTER), or it came from a backup";
            Verdict::Diverged(format!("{extra} (the primary has {primary_has}: {why})"))
        })
    }

    /// What the worker tells of it.
    pub fn report(&self, seen: &Seen, expected: &Expected) -> ReplicaReport {
        let facts = seen.as_ref().ok();
        let channel = facts.and_then(|facts| channel_of(facts, expected));
        let by = match self {
            Verdict::Current { by } => Some(*by),
            Verdict::Behind { by, .. } => *by,
            _ => None,
        };
        let mut reason = self.in_words(facts.map(|facts| facts.version), expected.whose);
        if let (Verdict::Current { .. } | Verdict::Behind { .. }, Some(Heartbeat::None(why))) =
            (self, facts.map(|facts| &facts.heartbeat))
        {
            reason.push_str(&format!(
                "; by positions alone, without the primary's heartbeat ({why}): a primary that hangs is noticed late"
            ));
        }
        ReplicaReport {
            state: self.state(),
            reason,
            behind_ms: by.map(|by| u64::try_from(by.as_millis()).unwrap_or(u64::MAX)),
            primary: channel.and_then(|channel| channel.primary.clone()).unwrap_or_default(),
            gtid: facts.map(|facts| facts.applied.to_string()).unwrap_or_default(),
            server: facts.map(|facts| facts.version.to_string()).unwrap_or_default(),
        }
    }
}

/// The channel that is judged: the one of the primary that counts, else the first.
pub(crate) fn channel_of<'f>(facts: &'f Facts, expected: &Expected) -> Option<&'f Channel> {
    let counts = |channel: &&Channel| expected.primary.is_some() && channel.primary == expected.primary;
    facts.channels.iter().find(counts).or(facts.channels.first())
}

/// Whether it copies the right primary, and only that.
fn of_the_way(facts: &Facts, channel: &Channel, expected: &Expected) -> Option<Verdict> {
    if !(channel.by_gtid && facts.gtids_on) {
        return Some(Verdict::NoGtids);
    }
    if let (Some(expected), Some(found)) = (&expected.primary, &channel.primary)
        && expected != found
    {
        return Some(Verdict::OtherPrimary { expected: expected.clone(), found: found.clone() });
    }
    let own = facts.logged.made_by(&facts.own_name());
    (!own.is_empty()).then(|| Verdict::Diverged(own.to_string()))
}

/// Errors that say more than that a thread stands still.
fn of_errors(channel: &Channel) -> Option<Verdict> {
    let threads = [(Which::Applier, &channel.applier), (Which::Receiver, &channel.receiver)];
    threads.into_iter().find_map(|(which, thread)| {
        let stop = || stop(which, thread);
        match thread.complaint {
            Complaint::Purged | Complaint::Conflict => Some(Verdict::Broken(stop())),
            Complaint::Diverged => Some(Verdict::Diverged(thread.error.clone())),
            Complaint::SameIdentity => Some(Verdict::Cloned(stop())),
            Complaint::NoRoom => Some(Verdict::NoRoom(stop())),
            Complaint::Credentials if thread.running != Running::Yes => Some(Verdict::Refused {
                account: format!("{}@{}", channel.user, channel.address),
                error: thread.error.clone(),
            }),
            _ => None,
        }
    })
}

/// What a person set up wrongly.
fn of_setting_up(facts: &Facts, channel: &Channel, expected: &Expected) -> Option<Verdict> {
    if !facts.read_only {
        return Some(Verdict::Writable);
    }
    if let Some(setting) = &facts.skips {
        return Some(Verdict::SkipsErrors(setting.clone()));
    }
    // Always as far behind, it would look as if it followed closely.
    if channel.delay > 0 {
        return Some(Verdict::Delayed(channel.delay));
    }
    expected.tables.iter().find_map(|table| {
        let filter = hides(&channel.filters, table)?;
        Some(Verdict::Filtered { table: table.clone(), filter })
    })
}

fn of_running(channel: &Channel) -> Option<Verdict> {
    if channel.applier.running != Running::Yes {
        return Some(Verdict::Stopped(stop(Which::Applier, &channel.applier)));
    }
    let connecting = || Verdict::Connecting { address: channel.address.clone(), error: channel.receiver.error.clone() };
    match channel.receiver.running {
        Running::No => Some(Verdict::Stopped(stop(Which::Receiver, &channel.receiver))),
        Running::Connecting => Some(connecting()),
        // It runs and has not heard yet who is there.
        Running::Yes => channel.primary.is_none().then(connecting),
    }
}

fn of_lag(facts: &Facts, channel: &Channel, trail: &Trail, expected: &Expected, now: Now) -> Verdict {
    match trail.behind(facts, now) {
        Some(by) if by <= expected.max_behind => match facts.missing_tables.is_empty() {
            true => Verdict::Current { by },
            false => Verdict::MissingTables(facts.missing_tables.clone()),
        },
        by => Verdict::Behind { by, missing: channel.retrieved.without(&facts.applied) },
    }
}

fn stop(which: Which, thread: &Thread) -> Stop {
    let Thread { errno, error, complaint, .. } = thread;
    Stop { which, errno: *errno, error: error.clone(), complaint: *complaint }
}
