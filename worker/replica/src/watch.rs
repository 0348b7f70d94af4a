//! One replica under watch: looked at, remembered, judged.

use std::collections::BTreeSet;
use std::time::Duration;

use mysql_async::Opts;
use nightshift_kin::Stopwatch;

use crate::facts::{Looker, Needs, Patience};
use crate::trail::{Now, Trail};
use crate::verdict::{Expected, Seen, Verdict, channel_of};

/// A replica, what was seen of it so far, and what it has to be.
#[derive(Debug)]
pub struct Watch {
    pub(crate) looker: Looker,
    needs: Needs,
    /// What it has to be; may be changed from one look to the next.
    pub expected: Expected,
    trail: Trail,
    began: Stopwatch,
    /// The writer's clock and when that was so.
    writer: Option<(i64, Duration)>,
    /// The primary that the last look found copied.
    pub(crate) copied: Option<String>,
}

impl Watch {
    /// Watches the server that `opts` lead to, with an account that may see how replication is doing and read the heartbeat
    /// row. Nothing is done yet.
    pub fn new(opts: Opts, needs: Needs, expected: Expected, patience: Patience) -> Watch {
        let looker = Looker::new(opts, patience);
        let expected = Expected { tables: needs.tables.clone(), ..expected };
        Watch {
            looker,
            needs,
            expected,
            trail: Trail::default(),
            began: Stopwatch::start(),
            writer: None,
            copied: None,
        }
    }

    /// Looks and judges.
    pub async fn look(&mut self) -> (Seen, Verdict) {
        let seen = self.looker.look(&self.needs).await;
        let elapsed = self.began.elapsed();
        if let Ok(facts) = &seen {
            self.trail.note(facts, elapsed);
        }
        let facts = seen.as_ref().ok();
        self.copied = facts.and_then(|facts| channel_of(facts, &self.expected)?.primary.clone());
        let writer = self.writer.map(|(clock, at)| clock + micros(elapsed.saturating_sub(at)));
        let verdict = Verdict::on(&seen, &self.trail, &self.expected, Now { elapsed, writer });
        (seen, verdict)
    }

    /// Changes what is needed of the replica: these tables, each as `schema.table`.
    pub fn need(&mut self, tables: BTreeSet<String>) {
        self.needs.tables.clone_from(&tables);
        self.expected.tables = tables;
    }

    /// The clock of whoever writes the heartbeat row shows so many microseconds since 1970 now: the job server's, which
    /// launchers hear of; `None` where it is not known.
    pub fn writer_says(&mut self, micros: Option<i64>) {
        self.writer = micros.map(|micros| (micros, self.began.elapsed()));
    }

    /// Time jumped, as after a sleep of the machine: what was seen before says nothing any more.
    pub fn forget(&mut self) {
        self.trail.forget();
        self.writer = None;
    }

    /// The time since the watch began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
