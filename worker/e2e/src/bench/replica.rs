//! What a worker's replica costs and how soon it says what is: on a primary and a replica of each make that this machine has,
//! the slower of which counts.
//!
//! - `replica_check_ms`: a look at a healthy replica and the verdict on it. Beside it: one `SELECT 1` and one statement for the
//!   status of replication, on a connection of their own, in turn.
//! - `replica_silent_detect_s`: from the moment its primary is frozen until the verdict is another than current. Beside it: the
//!   time-out of replication that a worker sets.
//! - `replica_resume_s`: from waking a replica that was frozen for a minute, while its primary went on, until a job that needs
//!   the newest position may begin. Beside it: until the server answers again at all.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};
use nightshift_replica::Watch;
use nightshift_replica::facts::{Needs, Patience};
use nightshift_replica::heal::{Action, NET_TIMEOUT};
use nightshift_replica::verdict::{Expected, Verdict, Whose};
use nightshift_testbed::database::{Make, Pair, PairWishes, Server, Wishes};
use nightshift_wire::DataPosition;
use tokio::time::{interval, sleep, timeout};

use super::Group;
use super::figure::{Figure, Line, Lost, Target};
use super::measure::{Moment, median};

pub(super) const GROUPS: [Group; 3] = [
    Group { names: &[CHECK], run: || measured(check) },
    Group { names: &[SILENT], run: || measured(silent) },
    Group { names: &[RESUME], run: || measured(resume) },
];

const CHECK: &str = "replica_check_ms";
const SILENT: &str = "replica_silent_detect_s";
const RESUME: &str = "replica_resume_s";

const ROUNDS: usize = 200;
const FREEZE: Duration = Duration::from_secs(60);
const WITHIN: Duration = Duration::from_secs(120);
/// A worker's launcher looks no more often than that.
const LOOKS: Duration = Duration::from_secs(1);

const COMPANY: [&str; 4] = [
    "SET sql_log_bin = 1",
    "CREATE TABLE nightshift.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY)",
    "CREATE TABLE nightshift.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY)",
    "INSERT INTO nightshift.orders VALUES ()",
];
const BEAT: &str = "REPLACE INTO nightshift.heartbeat VALUES (DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%f'), \
                    @@server_id)";

/// A pair, its heart and the watch over it.
struct Scene {
    make: Make,
    pair: Pair,
    watch: Watch,
}

/// What is measured on each make.
type Measure = fn(&mut Scene, &tokio::runtime::Runtime) -> Result<Figure>;

/// The slower of the makes, with the other in the note.
fn measured(measure: Measure) -> Result<Vec<Line>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut figures = Vec::new();
    let mut not_run = Vec::new();
    for make in [Make::MariaDb, Make::MySql] {
        match Scene::set(make, &runtime)? {
            Some(mut scene) => figures.push((make, measure(&mut scene, &runtime)?)),
            None => not_run.push(format!("not on {make}: {}", make.advice())),
        }
    }
    let notes = figures.iter().map(|(make, figure)| format!("{make} {:.3} {}", figure.value, figure.unit));
    let notes: Vec<String> = notes.chain(not_run.iter().cloned()).collect();
    let slower = figures.into_iter().max_by(|(_, one), (_, other)| one.value.total_cmp(&other.value));
    let Some((_, figure)) = slower else { bail!("{}", not_run.join("; ")) };
    Ok(vec![Line::Measured(Figure { note: notes.join(", "), ..figure })])
}

impl Scene {
    fn set(make: Make, runtime: &tokio::runtime::Runtime) -> Result<Option<Scene>> {
        let primary = Wishes { at_first: COMPANY.map(str::to_owned).into(), ..Wishes::default() };
        let Some(pair) = Pair::start(make, PairWishes { primary, ..PairWishes::default() })? else { return Ok(None) };
        let opts = opts(&pair.replica)?;
        let watch = Watch::new(opts, Needs::default(), Expected::default(), Patience::default());
        let mut scene = Scene { make, pair, watch };
        let heart = self::opts(&scene.pair.primary)?;
        runtime.spawn(async move {
            let mut beats = interval(Duration::from_secs(1));
            loop {
                beats.tick().await;
                // A frozen primary holds a beat up; the next one comes when it wakes.
                let _ = timeout(Duration::from_secs(5), ask(heart.clone(), BEAT)).await;
            }
        });
        runtime.block_on(async {
            scene.until_current().await?;
            // As a worker sets it; by default a silent primary goes unseen for a minute.
            let set = scene.watch.act(Action::SetTimeouts).await;
            set.map_err(|why| anyhow::anyhow!("setting the time-outs: {why:?}"))?;
            scene.until_current().await
        })?;
        Ok(Some(scene))
    }

    async fn until_current(&mut self) -> Result<()> {
        // Set time-outs take hold with a new connection, and the lag is known when the row has moved.
        self.watch.until_current(WITHIN).await.map(drop).context("the replica of a new pair")
    }

    /// Where the primary is now.
    async fn position(&self) -> Result<DataPosition> {
        let (name, query) = match self.make {
            Make::MariaDb => ("mariadb", "SELECT CAST(@@server_id AS CHAR), @@gtid_binlog_pos"),
            Make::MySql => ("mysql", "SELECT @@server_uuid, @@gtid_executed"),
        };
        let mut connection = Conn::new(opts(&self.pair.primary)?).await?;
        let (id, gtid): (String, String) = connection.query_first(query).await?.context("a position")?;
        Ok(DataPosition { primary: format!("{name}:{id}"), gtid, noted: 0 })
    }
}

fn check(scene: &mut Scene, runtime: &tokio::runtime::Runtime) -> Result<Figure> {
    runtime.block_on(async {
        let status = if scene.make == Make::MariaDb { "SHOW ALL SLAVES STATUS" } else { "SHOW REPLICA STATUS" };
        let mut raw_connection = Conn::new(opts(&scene.pair.replica)?).await?;
        let (mut ours, mut raw) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Moment::now();
            let (_, verdict) = scene.watch.look().await;
            ours.push((Moment::now() - begun).as_secs_f64() * 1000.0);
            ensure!(matches!(verdict, Verdict::Current { .. }), alarm(&verdict));
            let begun = Moment::now();
            raw_connection.query_drop("SELECT 1").await?;
            raw_connection.query_drop(status).await?;
            raw.push((Moment::now() - begun).as_secs_f64() * 1000.0);
        }
        let beside = "one SELECT 1 and one status of replication";
        Ok(Figure::new(CHECK, median(ours), "ms", Target::AtMost(5.0), beside, median(raw)))
    })
}

fn silent(scene: &mut Scene, runtime: &tokio::runtime::Runtime) -> Result<Figure> {
    runtime.block_on(async {
        scene.pair.primary.freeze();
        let frozen = Moment::now();
        loop {
            let (_, verdict) = scene.watch.look().await;
            let after = Moment::now() - frozen;
            if !matches!(verdict, Verdict::Current { .. }) {
                scene.pair.primary.thaw();
                let (value, limit) = (after.as_secs_f64(), NET_TIMEOUT.as_secs_f64());
                return Ok(Figure::new(SILENT, value, "s", Target::AtMost(15.0), "the time-out of replication", limit));
            }
            ensure!(after < WITHIN, "a frozen primary goes unseen for {} s", after.as_secs());
            sleep(LOOKS).await;
        }
    })
}

fn resume(scene: &mut Scene, runtime: &tokio::runtime::Runtime) -> Result<Figure> {
    runtime.block_on(async {
        scene.pair.replica.freeze();
        let frozen = Moment::now();
        let primary = opts(&scene.pair.primary)?;
        while Moment::now() - frozen < FREEZE {
            ask(primary.clone(), "INSERT INTO nightshift.orders VALUES ()").await?;
            sleep(Duration::from_millis(100)).await;
        }
        let position = scene.position().await?;
        let count: u64 = first(&primary, "SELECT COUNT(*) FROM nightshift.orders").await?;
        let replica = opts(&scene.pair.replica)?;
        scene.pair.replica.thaw();
        let woken = Moment::now();
        let answers = async {
            first::<u64>(&replica, "SELECT 1").await?;
            anyhow::Ok((Moment::now() - woken).as_secs_f64())
        };
        let begins = async {
            scene.watch.until_reached(&position, WITHIN).await?;
            anyhow::Ok((Moment::now() - woken).as_secs_f64())
        };
        let (answers, begins) = tokio::join!(answers, begins);
        let (answers, begins) = (answers?, begins?);
        let there: u64 = first(&replica, "SELECT COUNT(*) FROM nightshift.orders").await?;
        ensure!(
            there >= count,
            anyhow::anyhow!("{there} of {count} orders when it was said to be there").context(Lost)
        );
        let beside = "until the server answers at all";
        Ok(Figure::new(RESUME, begins, "s", Target::AtMost(2.0), beside, answers))
    })
}

/// A healthy replica was not found current.
fn alarm(verdict: &Verdict) -> anyhow::Error {
    anyhow::anyhow!("a false alarm: {}", verdict.in_words(None, Whose::Machines)).context(Lost)
}

fn opts(server: &Server) -> Result<Opts> {
    let opts = Opts::from_url(&server.url("nightshift"))?;
    Ok(OptsBuilder::from_opts(opts).prefer_socket(false).into())
}

async fn ask(opts: Opts, statement: &str) -> Result<()> {
    let mut connection = Conn::new(opts).await?;
    connection.query_drop(statement).await?;
    Ok(connection.disconnect().await?)
}

async fn first<T: mysql_async::prelude::FromRow + Send + 'static>(opts: &Opts, query: &str) -> Result<T> {
    let mut connection = Conn::new(opts.clone()).await?;
    connection.query_first(query).await?.context("an answer")
}
