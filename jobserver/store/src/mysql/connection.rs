//! Connections to the database, transactions on them, and how often a verb is tried.
//!
//! A verb is tried in rounds. One round: take a connection, begin, work, commit; every step has a time limit, so that a
//! database that accepts and stays silent is an error and not a hang. A round that failed for a reason that passes by
//! itself is followed by another, at most [`ROUNDS`] in all. When it is not known whether a commit took place, the next
//! round is told so (`in_doubt`) and looks before it repeats. When no round finds out, the caller is told that it is not known.

use std::time::Duration;

use mysql_async::{
    Opts, OptsBuilder, Params, Pool, PoolConstraints, PoolOpts, Row, Transaction, TxOpts,
    prelude::{FromValue, Queryable as _},
};
use nightshift_wire::{DataPosition, ReachedPosition};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{failure::Failure, sql};
use crate::words::Word;

/// So many connections of each kind at most; further verbs wait for one.
const CONNECTIONS: usize = 32;

/// A connection that nobody needs for so long is closed. Without it each would be closed at once.
const IDLE: Duration = Duration::from_secs(60);

/// So often a verb is tried at most.
const ROUNDS: u32 = 9;

/// The first pause between two rounds; each further one is twice as long, give or take.
const PAUSE: Duration = Duration::from_millis(5);

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Waiting for a free connection, making a new one included.
    pub connect: Duration,
    /// One statement, its rows included.
    pub statement: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connect: Duration::from_secs(5), statement: Duration::from_secs(10) }
    }
}

/// Connections of one kind, made when needed and used again.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pool: Pool,
    limits: Limits,
    writes: bool,
}

impl Connections {
    /// Connections that write.
    pub(super) fn to_write(opts: &Opts, limits: Limits) -> Connections {
        Connections { writes: true, ..Connections::new(opts, sql::READ_COMMITTED, limits) }
    }

    /// Connections that only read, each transaction on one snapshot.
    pub(super) fn to_read(opts: &Opts, limits: Limits) -> Connections {
        Connections::new(opts, sql::REPEATABLE_READ, limits)
    }

    fn new(opts: &Opts, isolation: &str, limits: Limits) -> Connections {
        let constraints = PoolConstraints::new(0, CONNECTIONS).unwrap_or_default();
        // What a connection is set up with stays: resetting it would forget its prepared statements, at every use.
        let pool = PoolOpts::default()
            .with_constraints(constraints)
            .with_inactive_connection_ttl(IDLE)
            .with_reset_connection(false);
        let opts = OptsBuilder::from_opts(opts.clone())
            .pool_opts(pool)
            .client_found_rows(true)
            .stmt_cache_size(128)
            .setup(vec![sql::SESSION.to_owned(), isolation.to_owned()]);
        Connections { pool: Pool::new(opts), limits, writes: false }
    }

    /// Begins a transaction; dropped without a commit, it is undone.
    pub(super) async fn begin(&self) -> Result<Tx, Failure> {
        let begun = within(self.limits.connect, self.pool.start_transaction(TxOpts::default())).await?;
        Ok(Tx { transaction: begun, limit: self.limits.statement, writes: self.writes })
    }
}

/// Waits for the database, but not for ever.
pub(super) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T, Failure> {
    timeout(limit, answer).await.map_err(|_| Failure::Silent(limit))?.map_err(Failure::from)
}

/// A transaction; dropped without a commit, it is undone.
#[derive(Debug)]
pub(super) struct Tx {
    transaction: Transaction<'static>,
    limit: Duration,
    writes: bool,
}

impl Tx {
    /// Changes rows; how many there were to change, those included that were so already.
    pub(super) async fn change(&mut self, sql: &str, params: impl Into<Params>) -> Result<u64, Failure> {
        within(self.limit, self.transaction.exec_drop(sql, params.into())).await?;
        Ok(self.transaction.affected_rows())
    }

    /// Adds a row, or takes numbers; the number the database gave.
    pub(super) async fn insert(&mut self, sql: &str, params: impl Into<Params>) -> Result<i64, Failure> {
        within(self.limit, self.transaction.exec_drop(sql, params.into())).await?;
        let id = self.transaction.last_insert_id().and_then(|id| i64::try_from(id).ok());
        id.ok_or_else(|| Failure::Contradiction("the database gave no number".to_owned()))
    }

    /// All rows of a query, fetched to the last: an error may come with any of them.
    pub(super) async fn all(&mut self, sql: &str, params: impl Into<Params>) -> Result<Vec<Fields>, Failure> {
        let rows: Vec<Row> = within(self.limit, self.transaction.exec(sql, params.into())).await?;
        Ok(rows.into_iter().map(Fields::of).collect())
    }

    /// The first row of a query.
    pub(super) async fn first(&mut self, sql: &str, params: impl Into<Params>) -> Result<Option<Fields>, Failure> {
        Ok(self.all(sql, params).await?.into_iter().next())
    }

    /// Makes everything durable.
    pub(super) async fn commit(self) -> Result<(), Failure> {
        let committed = within(self.limit, self.transaction.commit()).await;
        // Where nothing was written there is nothing to doubt.
        if self.writes { committed.map_err(Failure::of_commit) } else { committed }
    }
}

/// A row, read by the names of its columns.
#[derive(Debug)]
pub(super) struct Fields {
    row: Row,
    /// Where the next column is looked for first: most are read in their order, and by the hundred thousand a second.
    next: usize,
}

impl Fields {
    /// A row of a statement outside a transaction.
    pub(super) fn of(row: Row) -> Fields {
        Fields { row, next: 0 }
    }

    /// A value; each can be taken once.
    pub(super) fn get<T: FromValue>(&mut self, column: &str) -> Result<T, Failure> {
        let columns = self.row.columns_ref();
        let mut places = (self.next..columns.len()).chain(0..self.next);
        let place = places.find(|place| columns[*place].name_ref() == column.as_bytes());
        self.next = place.map_or(0, |place| place + 1);
        match place.and_then(|place| self.row.take_opt(place)) {
            Some(value) => Ok(value?),
            None => Err(Failure::Contradiction(format!("a row without `{column}`"))),
        }
    }

    /// A state.
    pub(super) fn word<T: Word>(&mut self, column: &str) -> Result<T, Failure> {
        let word: String = self.get(column)?;
        T::of(&word).ok_or_else(|| Failure::Contradiction(format!("`{word}` is not a known state")))
    }

    /// The position in the columns `data_primary`, `data_gtid` and `data_noted`.
    pub(super) fn position(&mut self) -> Result<Option<DataPosition>, Failure> {
        let Some(ReachedPosition { primary, gtid }) = self.reached()? else { return Ok(None) };
        Ok(Some(DataPosition { primary, gtid, noted: self.get("data_noted")? }))
    }

    /// The position in the columns `data_primary` and `data_gtid`.
    pub(super) fn reached(&mut self) -> Result<Option<ReachedPosition>, Failure> {
        let (primary, gtid): (Option<String>, Option<String>) = (self.get("data_primary")?, self.get("data_gtid")?);
        Ok(primary.zip(gtid).map(|(primary, gtid)| ReachedPosition { primary, gtid }))
    }

    /// A text that is JSON.
    pub(super) fn json<T: DeserializeOwned>(&mut self, column: &str) -> Result<T, Failure> {
        let text: Vec<u8> = self.get(column)?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// The rounds of one verb.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    done: u32,
    /// Whether an earlier round may have been committed after all.
    pub(super) in_doubt: bool,
}

impl Rounds {
    /// What a round came to: an answer for the caller, or nothing when there shall be another round.
    pub(super) async fn after<T>(&mut self, outcome: Result<T, Failure>) -> Option<Result<T, Failure>> {
        let failure = match outcome {
            Ok(answer) => return Some(Ok(answer)),
            Err(failure) => failure,
        };
        self.in_doubt |= matches!(failure, Failure::CommitUnknown(_));
        self.done += 1;
        if self.done >= ROUNDS || !failure.is_worth_repeating() {
            return Some(Err(if self.in_doubt { failure.in_doubt() } else { failure }));
        }
        let pause = PAUSE * (1 << (self.done - 1));
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        None
    }
}

/// Runs a verb's work in rounds of one transaction each: `$work` is a call with the transaction and the doubt.
macro_rules! in_rounds {
    ($connections:expr, |$tx:ident, $in_doubt:ident| $work:expr) => {{
        let mut rounds = $crate::mysql::connection::Rounds::default();
        loop {
            let $in_doubt = rounds.in_doubt;
            let round = async {
                let mut transaction = $connections.begin().await?;
                let $tx = &mut transaction;
                let answer = $work.await?;
                transaction.commit().await?;
                Ok::<_, $crate::mysql::failure::Failure>(answer)
            };
            let outcome = round.await;
            if let Some(outcome) = rounds.after(outcome).await {
                break outcome;
            }
        }
    }};
}
pub(super) use in_rounds;
