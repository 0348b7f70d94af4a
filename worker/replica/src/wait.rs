//! Waiting until a replica has reached a position of its primary, or is current.
//!
//! 1. Who is copied is looked at first: on MariaDB a position of another primary counts as reached at once.
//! 2. The server is asked to wait, a few seconds at a time, so that one that freezes is noticed.
//! 3. Then it is looked at again: what it has applied has to hold the position, and the primary still has to be the same.
//!    What it has applied then is what data that are read from now on hold at least.
//!
//! A replica that stands still, connects or is away may come back, and is waited for. One that has to be changed by somebody
//! is not.

use std::time::Duration;

use nightshift_kin::Stopwatch;
use nightshift_wire::{DataPosition, ReachedPosition};
use tokio::time::sleep;

use crate::facts::{Absence, Facts};
use crate::make::Make;
use crate::position::Gtids;
use crate::verdict::{Verdict, channel_of};
use crate::watch::Watch;

const WAIT_MARIADB: &str = include_str!("wait_mariadb.sql");
const WAIT_MYSQL: &str = include_str!("wait_mysql.sql");
/// The server waits no longer at a time.
const SLICE: Duration = Duration::from_secs(2);
/// An answer comes so long after the slice at most.
const ANSWER: Duration = Duration::from_secs(5);
/// How long until it is looked at again where the server cannot wait for it.
const PAUSE: Duration = Duration::from_millis(250);

/// Why data are not new enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waiting for the replica to {asked}, {} s so far: {why}", waited.as_secs())]
pub struct NotReached {
    /// What it was waited for: to reach a position, or to be current.
    pub asked: String,
    /// For so long.
    pub waited: Duration,
    /// What it is instead, in words.
    pub why: String,
    /// What it was when it was looked at last.
    pub verdict: Verdict,
}

/// What to do after a look.
enum Next {
    Done(ReachedPosition),
    GiveUp,
    GoOn,
}

impl Watch {
    /// Waits until the replica of that primary has reached the position. Gives what it has applied then: a true lower bound for
    /// what is read from it from then on.
    ///
    /// # Errors
    /// When it has not after `limit` (longer by one look at most), or never will by itself.
    pub async fn until_reached(
        &mut self,
        position: &DataPosition,
        limit: Duration,
    ) -> Result<ReachedPosition, NotReached> {
        let watch = Stopwatch::start();
        let before = self.expected.primary.replace(position.primary.clone());
        let wanted = Gtids::parse(Make::of_primary(&position.primary), &position.gtid);
        let reached = match wanted {
            Ok(wanted) => self.reach(&wanted, limit, watch).await,
            Err(error) => Err((Verdict::Away(Absence::Strange(error.to_string())), error.to_string())),
        };
        self.expected.primary = before;
        let asked = || format!("reach {} of {}", position.gtid, position.primary);
        reached.map_err(|(verdict, why)| NotReached { asked: asked(), waited: watch.elapsed(), why, verdict })
    }

    /// What the replica has applied now, where it may become current by itself; `None` where that cannot be said.
    pub async fn applied(&mut self) -> Option<ReachedPosition> {
        // What is applied is read between two looks at who is copied.
        drop(self.look().await);
        let before = self.copied.clone();
        let (seen, verdict) = self.look().await;
        seen.ok().filter(|_| verdict.may_pass() && self.copied == before).and_then(|facts| self.position(&facts))
    }

    /// Waits until the replica is current. Gives what it has applied then.
    ///
    /// # Errors
    /// When it is not after `limit` (longer by one look at most), or never will be by itself.
    pub async fn until_current(&mut self, limit: Duration) -> Result<ReachedPosition, NotReached> {
        let watch = Stopwatch::start();
        loop {
            let (seen, verdict) = self.look().await;
            if let (Verdict::Current { .. }, Ok(facts)) = (&verdict, &seen)
                && let Some(position) = self.position(facts)
            {
                return Ok(position);
            }
            if watch.elapsed() >= limit || !verdict.may_pass() {
                let why = verdict.in_words(seen.ok().map(|facts| facts.version), self.expected.whose);
                return Err(NotReached { asked: "be current".to_owned(), waited: watch.elapsed(), why, verdict });
            }
            sleep(PAUSE).await;
        }
    }

    async fn reach(
        &mut self,
        wanted: &Gtids,
        limit: Duration,
        watch: Stopwatch,
    ) -> Result<ReachedPosition, (Verdict, String)> {
        loop {
            // What is applied is read between two looks at who is copied.
            let known = self.copied.is_some() && self.copied == self.expected.primary;
            let (seen, verdict) = self.look().await;
            let right = seen.as_ref().is_ok_and(|facts| self.copies_the_right_one(facts));
            match self.next(seen.as_ref(), &verdict, wanted, known && right) {
                Next::Done(position) => return Ok(position),
                Next::GoOn if watch.elapsed() < limit => {}
                Next::GoOn | Next::GiveUp => {
                    return Err((
                        verdict.clone(),
                        verdict.in_words(seen.ok().map(|facts| facts.version), self.expected.whose),
                    ));
                }
            }
            match right {
                true => self.slice(wanted, limit.saturating_sub(watch.elapsed()).min(SLICE)).await,
                false => sleep(PAUSE).await,
            }
        }
    }

    fn next(&self, seen: Result<&Facts, &Absence>, verdict: &Verdict, wanted: &Gtids, sure: bool) -> Next {
        let Ok(facts) = seen else { return Next::GoOn };
        if !verdict.may_pass() {
            return Next::GiveUp;
        }
        if !sure || !facts.applied.contains(wanted) {
            return Next::GoOn;
        }
        match self.position(facts) {
            Some(position) if facts.missing_tables.is_empty() => Next::Done(position),
            _ => Next::GoOn,
        }
    }

    fn copies_the_right_one(&self, facts: &Facts) -> bool {
        let channel = channel_of(facts, &self.expected);
        channel.is_some_and(|channel| channel.primary.is_some() && channel.primary == self.expected.primary)
    }

    /// What a server has, as a position of the primary it copies.
    fn position(&self, facts: &Facts) -> Option<ReachedPosition> {
        let primary = channel_of(facts, &self.expected)?.primary.clone()?;
        Some(ReachedPosition { primary, gtid: facts.applied.to_string() })
    }

    /// Has the server wait until it has applied that, for `slice` at most. What comes of it, the next look shows.
    async fn slice(&mut self, wanted: &Gtids, slice: Duration) {
        let query = if matches!(wanted, Gtids::MariaDb(_)) { WAIT_MARIADB } else { WAIT_MYSQL };
        // Both are of our own making: digits, letters, dashes, colons and commas.
        let query =
            query.replace("@POSITION@", &wanted.to_string()).replace("@SECONDS@", &slice.as_secs_f32().to_string());
        let waited = self
            .looker
            .on_a_connection(async |connection| connection.rows_within(slice + ANSWER, "a position", &query).await)
            .await;
        if waited.is_err() {
            sleep(PAUSE).await;
        }
    }
}
