//! A primary with a company's data and a heartbeat, its replica, and a worker's watch over that.
//!
//! Whatever a row does, its [`Row::order`]s are the jobs: each writes a number on the primary and notes the position behind
//! it. A replica that is said to have reached the position and has not the number would be a job on older data.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Row as Found};
use nightshift_replica::Watch;
use nightshift_replica::facts::{Needs, Patience};
use nightshift_replica::heal::{Action, History, Means};
use nightshift_replica::verdict::{Expected, Seen, Verdict};
use nightshift_replica::wait::NotReached;
use nightshift_testbed::database::{Make, Pair, PairWishes, Server, Wishes};
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::{DataPosition, ReachedPosition, ReplicaState};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// What the primary begins with, copied to the replica, accounts included.
const COMPANY: &[&str] = &[
    "SET sql_log_bin = 1",
    "CREATE DATABASE company",
    "CREATE TABLE company.people (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL)",
    "CREATE TABLE company.orders (id BIGINT PRIMARY KEY)",
    "INSERT INTO company.people VALUES (1, 'Anna'), (2, 'Bert')",
    "CREATE TABLE nightshift.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY, file \
     VARCHAR(255), position BIGINT UNSIGNED, relay_master_log_file VARCHAR(255), exec_master_log_pos BIGINT UNSIGNED)",
    "CREATE USER looker@'127.0.0.1'",
    "GRANT SELECT ON company.* TO looker@'127.0.0.1'",
    "GRANT SELECT ON nightshift.heartbeat TO looker@'127.0.0.1'",
];
/// Of a server that answers.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(3), answer: Duration::from_secs(3) };
/// The worker's own server, with all rights.
const MEANS: Means = Means { own_server: true, may_administer: true };
/// How long a position is waited for that cannot come.
pub(crate) const SHORT: Duration = Duration::from_millis(1500);

/// Pairs that may start at a time: all the rows that wait begin at once, and half a hundred servers that start on two cores
/// keep each other from answering.
static STARTING: Semaphore = Semaphore::const_new(4);

/// A job's needs: a number, and the position behind it.
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) position: DataPosition,
}

/// A pair under watch.
pub(crate) struct Row {
    pub(crate) make: Make,
    pub(crate) pair: Pair,
    pub(crate) watch: Watch,
    history: History,
    numbers: u64,
    heart: Heart,
    runtime: Arc<Runtime>,
}

/// Plays a row on each make of server there is, side by side.
pub(crate) fn on_each(play: impl Fn(&mut Row) + Sync) {
    on_each_with(|_| PairWishes::default(), play);
}

pub(crate) fn on_each_with(wishes: impl Fn(Make) -> PairWishes + Sync, play: impl Fn(&mut Row) + Sync) {
    crate::overlap::begin();
    std::thread::scope(|scope| {
        for make in [Make::MariaDb, Make::MySql] {
            let (wishes, play) = (&wishes, &play);
            scope.spawn(move || match Row::start(make, wishes(make)) {
                Some(mut row) => play(&mut row),
                // Past the test harness, which would swallow it.
                None => writeln!(std::io::stderr(), "\nNOT RUN: a row on {make}: {}", make.advice()).expect("stderr"),
            });
        }
    });
}

impl Row {
    /// The pair, current.
    fn start(make: Make, mut wishes: PairWishes) -> Option<Row> {
        let primary = &mut wishes.primary;
        primary.at_first.extend(COMPANY.iter().map(|statement| (*statement).to_owned()));
        let right = if make == Make::MariaDb { "SLAVE MONITOR" } else { "REPLICATION CLIENT" };
        primary.at_first.push(format!("GRANT {right} ON *.* TO looker@'127.0.0.1'"));
        primary.settings.push("--binlog-format=ROW".to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _turn = runtime.block_on(STARTING.acquire()).expect("never closed");
        let pair = Pair::start(make, wishes).expect("the servers start")?;
        let (watch, runtime) = (watch(&pair.replica, "looker"), Arc::new(runtime));
        let heart = Heart::beat(&pair.primary, "UTC_TIMESTAMP(6)");
        let mut row = Row { make, pair, watch, history: History::default(), numbers: 0, heart, runtime };
        row.until_current();
        Some(row)
    }

    /// Runs a statement with all rights.
    pub(crate) fn run(&self, server: &Server, statement: &str) -> Vec<Found> {
        self.runtime.block_on(run(server, statement))
    }

    /// Runs statements on the primary, over one connection.
    pub(crate) fn run_together(&self, statements: &[impl AsRef<str>]) {
        let opts = opts(&self.pair.primary, "nightshift");
        self.runtime.block_on(run_all(opts, statements));
    }

    /// Runs statements on the replica, over one connection.
    pub(crate) fn on_replica_together(&self, statements: &[&str]) {
        self.on_replica_as("nightshift", statements);
    }

    /// Runs statements on the replica, over one connection of that account.
    pub(crate) fn on_replica_as(&self, account: &str, statements: &[&str]) {
        self.runtime.block_on(run_all(opts(&self.pair.replica, account), statements));
    }

    /// Holds what a query on the replica locks, until the answer is dropped.
    pub(crate) fn hold(&self, query: &str) -> Held {
        let connection = self.runtime.block_on(async {
            let mut connection = Conn::new(opts(&self.pair.replica, "nightshift")).await.expect("connects");
            connection.query_drop("BEGIN").await.expect("begins");
            connection.query_drop(query).await.expect("locks");
            connection
        });
        Held { connection: Some(connection), runtime: Arc::clone(&self.runtime) }
    }

    /// Runs statements on the replica, in the words of its make.
    pub(crate) fn on_replica(&self, mariadb: &[&str], mysql: &[&str]) {
        for statement in if self.make == Make::MariaDb { mariadb } else { mysql } {
            self.run(&self.pair.replica, statement);
        }
    }

    pub(crate) fn look(&mut self) -> (Seen, Verdict) {
        self.runtime.block_on(self.watch.look())
    }

    /// A job: it needs what is on the primary now.
    pub(crate) fn order(&mut self) -> Order {
        self.numbers += 1;
        let number = self.numbers;
        self.run(&self.pair.primary, &format!("INSERT INTO company.orders VALUES ({number})"));
        Order { number, position: self.position_of(&self.pair.primary) }
    }

    /// Where a primary is.
    pub(crate) fn position_of(&self, primary: &Server) -> DataPosition {
        let (name, query) = match self.make {
            Make::MariaDb => ("mariadb", "SELECT CAST(@@server_id AS CHAR), @@gtid_binlog_pos"),
            Make::MySql => ("mysql", "SELECT @@server_uuid, @@gtid_executed"),
        };
        let row = self.run(primary, query).pop().expect("a position");
        let (id, gtid): (String, String) = mysql_async::from_row(row);
        DataPosition { primary: format!("{name}:{id}"), gtid, noted: 0 }
    }

    /// Whether the replica has the order's number: what a plugin would see.
    pub(crate) fn has(&self, order: &Order) -> bool {
        !self.run(&self.pair.replica, &format!("SELECT 1 FROM company.orders WHERE id = {}", order.number)).is_empty()
    }

    /// Waits as a worker does before it begins a job.
    ///
    /// # Panics
    /// When the position is said to be reached and is not.
    pub(crate) fn wait_for(&mut self, order: &Order, limit: Duration) -> Result<ReachedPosition, NotReached> {
        let reached = self.runtime.block_on(self.watch.until_reached(&order.position, limit));
        if reached.is_ok() {
            assert!(self.has(order), "{:?}: a job on older data: {reached:?}", self.make);
        }
        reached
    }

    /// Has the order done, when the replica is said to have reached it.
    pub(crate) fn does(&mut self, order: &Order) {
        let reached = self.wait_for(order, SOON).unwrap_or_else(|why| panic!("{:?}: {why}", self.make));
        assert_eq!(reached.primary, order.position.primary);
    }

    /// The order cannot be done now; gives the reason.
    pub(crate) fn does_not(&mut self, order: &Order) -> NotReached {
        self.wait_for(order, SHORT).expect_err("it is not there")
    }

    /// Looks until the verdict is one of a kind.
    pub(crate) fn until(&mut self, state: ReplicaState) -> Verdict {
        let mut last = String::new();
        let found = wait::until(format!("a verdict {state:?}"), SOON, || {
            let (_, verdict) = self.look();
            last = format!("{verdict:?}");
            (verdict.state() == state).then_some(verdict)
        });
        found.unwrap_or_else(|error| panic!("{:?}: {error:#}; it is {last}; {}", self.make, self.said_of_itself()))
    }

    /// What the replica's server says of its copying, whoever may look at it otherwise.
    fn said_of_itself(&self) -> String {
        let question = if self.make == Make::MariaDb { "SHOW SLAVE STATUS" } else { "SHOW REPLICA STATUS" };
        format!("{:?}", self.run(&self.pair.replica, question))
    }

    /// Looks until the verdict is none of a kind.
    pub(crate) fn until_not(&mut self, state: ReplicaState) -> Verdict {
        let found = wait::until(format!("no verdict {state:?}"), SOON, || {
            let (_, verdict) = self.look();
            (verdict.state() != state).then_some(verdict)
        });
        found.unwrap_or_else(|error| self.fails(&error))
    }

    /// Something that was waited for did not happen.
    pub(crate) fn fails(&mut self, error: &anyhow::Error) -> ! {
        let (_, verdict) = self.look();
        panic!("{:?}: {error:#}; it is {verdict:?}", self.make)
    }

    pub(crate) fn until_current(&mut self) {
        self.until(ReplicaState::Current);
    }

    /// Looks, and does what is to be done by SQL, until it is current. Gives what was done.
    pub(crate) fn heal(&mut self) -> Vec<Action> {
        let mut done = Vec::new();
        let current = wait::until("it to heal by itself", 2 * SOON, || {
            let action = self.next_step();
            if !matches!(action, Action::Nothing | Action::Wait) {
                done.push(action);
            }
            (action == Action::Nothing).then_some(())
        });
        current.unwrap_or_else(|error| self.fails(&error));
        done
    }

    /// What is to be done now; done, where SQL can.
    pub(crate) fn next_step(&mut self) -> Action {
        let (seen, verdict) = self.look();
        let action = self.history.next(&verdict, seen.as_ref().ok(), MEANS, self.watch.elapsed());
        let mut administrator = watch(&self.pair.replica, "nightshift");
        self.runtime.block_on(administrator.act(action)).unwrap_or_else(|why| panic!("{action:?}: {why:?}"));
        action
    }

    /// Looks again and again while everything is well.
    ///
    /// # Panics
    /// At a false alarm.
    pub(crate) fn stays_current(&mut self, looks: u32) {
        for _ in 0..looks {
            let order = self.order();
            self.does(&order);
            let (_, verdict) = self.look();
            assert_eq!(verdict.state(), ReplicaState::Current, "{:?}: a false alarm: {verdict:?}", self.make);
        }
    }

    /// The heartbeat is written by a clock that is wrong by so much from now on.
    pub(crate) fn beat_with_a_clock_off_by(&mut self, hours: i32) {
        self.heart = Heart::beat(&self.pair.primary, &format!("UTC_TIMESTAMP(6) + INTERVAL {hours} HOUR"));
    }

    /// Another watch over the replica, by that account.
    pub(crate) fn watch_as(&self, account: &str, needs: Needs) -> Verdict {
        let expected = Expected { tables: needs.tables.clone(), ..Expected::default() };
        let mut watch = Watch::new(opts(&self.pair.replica, account), needs, expected, PATIENCE);
        self.runtime.block_on(watch.look()).1
    }

    /// A watch over the replica that needs a table.
    pub(crate) fn watch_needing(&self, table: &str) -> Watch {
        let needs = Needs { tables: [table.to_owned()].into(), ..Needs::default() };
        Watch::new(opts(&self.pair.replica, "looker"), needs, Expected::default(), PATIENCE)
    }

    /// Looks until it is known how far the replica is behind.
    pub(crate) fn until_settled(&self, watch: &mut Watch) -> Verdict {
        let verdict = wait::until("a verdict on the lag", SOON, || {
            let (_, verdict) = self.runtime.block_on(watch.look());
            (verdict.state() != ReplicaState::Behind).then_some(verdict)
        });
        verdict.expect("the heartbeat row moves")
    }

    /// Waits for an order's position with another watch.
    pub(crate) fn wait_on(
        &self,
        watch: &mut Watch,
        order: &Order,
        limit: Duration,
    ) -> Result<ReachedPosition, NotReached> {
        self.runtime.block_on(watch.until_reached(&order.position, limit))
    }
}

/// Another server with the same data to begin with, of a history of its own.
pub(crate) fn another_primary(make: Make) -> Server {
    let at_first = COMPANY.iter().map(|statement| (*statement).to_owned()).collect();
    let wishes = Wishes { at_first, ..Wishes::default() };
    nightshift_testbed::database::start_primary(make, wishes).expect("it starts").expect("there is one")
}

fn watch(server: &Server, account: &str) -> Watch {
    Watch::new(opts(server, account), Needs::default(), Expected::default(), PATIENCE)
}

fn opts(server: &Server, account: &str) -> Opts {
    let url = server.url("nightshift").replacen("nightshift@", &format!("{account}@"), 1);
    OptsBuilder::from_opts(Opts::from_url(&url).expect("an address"))
        .prefer_socket(false)
        .db_name(None::<String>)
        .into()
}

async fn run(server: &Server, statement: &str) -> Vec<Found> {
    let mut connection = Conn::new(opts(server, "nightshift")).await.expect("connects");
    let rows = connection.query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    connection.disconnect().await.expect("disconnects");
    rows
}

async fn run_all(opts: Opts, statements: &[impl AsRef<str>]) {
    let mut connection = Conn::new(opts).await.expect("connects");
    for statement in statements {
        let statement = statement.as_ref();
        connection.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    connection.disconnect().await.expect("disconnects");
}

/// A lock on the replica.
pub(crate) struct Held {
    connection: Option<Conn>,
    runtime: Arc<Runtime>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // A connection that ends takes its transaction back.
            self.runtime.block_on(connection.disconnect()).expect("disconnects");
        }
    }
}

/// Writes the heartbeat row until it is dropped.
struct Heart {
    ended: Arc<AtomicBool>,
    writing: Option<JoinHandle<()>>,
}

impl Heart {
    /// Writes what `clock` says, several times a second. A primary that freezes holds it up.
    fn beat(primary: &Server, clock: &str) -> Heart {
        let write = format!(
            "REPLACE INTO nightshift.heartbeat (ts, server_id) VALUES (DATE_FORMAT({clock}, '%Y-%m-%dT%H:%i:%s.%f'), @@server_id)"
        );
        let (opts, ended) = (opts(primary, "nightshift"), Arc::new(AtomicBool::new(false)));
        let writing = std::thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    while !ended.load(Ordering::Relaxed) {
                        // One that is crashed or replaced is written to again when it is back.
                        let beat = async {
                            let mut connection = Conn::new(opts.clone()).await?;
                            while !ended.load(Ordering::Relaxed) {
                                connection.query_drop(&write).await?;
                                tokio::time::sleep(Duration::from_millis(250)).await;
                            }
                            connection.disconnect().await
                        };
                        let _ = tokio::time::timeout(Duration::from_secs(5), beat).await;
                    }
                });
            }
        });
        Heart { ended, writing: Some(writing) }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(writing) = self.writing.take() {
            let _ = writing.join();
        }
    }
}
