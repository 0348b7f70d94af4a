//! A scene to play in: a central repository, a job server and workers, all below one temporary folder.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nightshift_client::{Access, Client, ClientError, Timeouts};
use nightshift_testbed::central::Central;
use nightshift_testbed::grid::{Grid, Worker};
use nightshift_testbed::wait;
use nightshift_wire::{Batch, BatchId, BatchState, HandIn, Job, JobSize, StopView};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::clock;

/// How long a batch of a test may take on a loaded machine.
const BATCH_WITHIN: Duration = Duration::from_secs(120);

/// A scene. Workers made from it have to be dropped before it.
pub struct Scene {
    /// The job server, and what workers are made from.
    pub grid: Grid,
    /// The central repository.
    pub central: Central,
    runtime: Runtime,
    folder: TempDir,
}

impl Scene {
    /// A scene without a release, reached by `file://`.
    ///
    /// # Errors
    /// When the programs are not built or the job server does not come up.
    pub fn set() -> Result<Scene> {
        Scene::set_on(None)
    }

    /// A scene without a release whose job server looks as often as it does when nobody says how often.
    ///
    /// # Errors
    /// As [`Scene::set`].
    pub fn as_shipped() -> Result<Scene> {
        Scene::set_with("look_every = \"2s\"")
    }

    /// A scene without a release whose job server knows the primary of the company's data, by its address.
    ///
    /// # Errors
    /// As [`Scene::set`].
    pub fn with_primary(url: &str) -> Result<Scene> {
        Scene::set_with(&format!("primary.url = {url:?}"))
    }

    fn set_on(store: Option<&str>) -> Result<Scene> {
        Scene::set_with(&store.map(|address| format!("store = {address:?}")).unwrap_or_default())
    }

    /// A scene without a release, with further lines of jobserver.toml in `more`.
    ///
    /// # Errors
    /// As [`Scene::set`].
    pub fn set_with(more: &str) -> Result<Scene> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let central = Central::create(&folder.path().join("central.git"))?;
        let grid = Grid::start_with(folder.path(), central.at(&central.url()), more)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Scene { grid, central, runtime, folder })
    }

    /// A scene whose release 1.0.0 holds the plugin `twice`.
    ///
    /// # Errors
    /// As [`Scene::set`].
    pub fn with_release() -> Result<Scene> {
        Scene::with_release_on(None)
    }

    /// As [`Scene::with_release`]; the job server keeps everything in the store at this address, when one is named.
    ///
    /// # Errors
    /// As [`Scene::set`].
    pub fn with_release_on(store: Option<&str>) -> Result<Scene> {
        let mut scene = Scene::set_on(store)?;
        scene.put_twice(Work::Quick)?;
        scene.central.cut("1.0.0")?;
        Ok(scene)
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the plugin `twice` into the next release: input `n`, output `twice`, twice as much.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn put_twice(&mut self, work: Work) -> Result<()> {
        let manifest = "runtime = \"sql\"\ndescription = \"Doubles a number\"\nblock = 20\n\n[input]\nn = \"integer\"\n\n\
                        [output]\ntwice = \"integer\"\n\n[data]\nsource = \"repo\"\ntables = []\n";
        let query = match work {
            Work::Quick => "SELECT record_id, n * 2 AS twice FROM records".to_owned(),
            Work::Slow { steps } => format!(
                "SELECT record_id, n * 2 + 0 * (WITH RECURSIVE step(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM step \
                 WHERE i < {steps} + n * 0) SELECT count(*) FROM step) AS twice FROM records"
            ),
            // The amount of the smallest number there is, which is no number.
            Work::FailsBeyondItsSample => {
                "SELECT record_id, CASE n WHEN 1 THEN 2 ELSE abs(-9223372036854775807 - n / n) END AS twice FROM records"
                    .to_owned()
            }
        };
        self.central.put("plugins/twice/plugin.toml", manifest)?;
        self.central.put("plugins/twice/query.sqlite.sql", query)?;
        self.central.put("plugins/twice/samples/records.csv", "n\n1\n")?;
        self.central.put("plugins/twice/samples/expected.csv", "n,twice,error\n1,2,\n")
    }

    /// Puts `twice` into the next release as a process plugin, a perl script that works so long on each record and keeps
    /// a process that hides: in a session of its own, twice forked, deaf to signals and renamed.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn put_twice_as_a_program(&mut self, each: Duration, block: u32) -> Result<()> {
        self.put_program("twice", each, block)
    }

    /// As [`Scene::put_twice_as_a_program`], under another name.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn put_program(&mut self, name: &str, each: Duration, block: u32) -> Result<()> {
        let manifest = format!(
            "runtime = \"process\"\ncommand = [\"perl\", \"twice.pl\"]\nblock = {block}\n\n[input]\nn = \"integer\"\n\n\
             [output]\ntwice = \"integer\"\n"
        );
        let script = format!("my $each = {};\n{PROGRAM}", each.as_secs_f64());
        self.central.put(&format!("plugins/{name}/plugin.toml"), manifest)?;
        self.central.put(&format!("plugins/{name}/twice.pl"), script)?;
        self.central.put(&format!("plugins/{name}/samples/records.csv"), "n\n1\n")?;
        self.central.put(&format!("plugins/{name}/samples/expected.csv"), "n,twice,error\n1,2,\n")
    }

    /// Settings for the next release under which no worker works now.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn put_closed_hours(&mut self) -> Result<()> {
        let day = clock::weekday_in_days(3);
        self.central.put("nightshift.toml", format!("[workers]\nhours = [\"{day} 12:00-12:01\"]\n"))
    }

    /// Replaces the stop flag, and waits until the job server has seen that: until then it tells of the one before, and
    /// what anybody says is stopped, is stopped.
    ///
    /// # Errors
    /// When the repository cannot be written, or the job server does not see it.
    pub fn stop_otherwise(&mut self, content: &str, is_so: impl Fn(&StopView) -> bool) -> Result<()> {
        self.central.stop(content)?;
        self.stops_are(is_so)
    }

    /// Removes the stop flag, and waits until the job server has seen that, as [`Scene::stop_otherwise`].
    ///
    /// # Errors
    /// As [`Scene::stop_otherwise`].
    pub fn start(&mut self) -> Result<()> {
        self.central.start()?;
        self.stops_are(|view| view.stopped.is_none() && view.stops.is_empty())
    }

    fn stops_are(&self, is_so: impl Fn(&StopView) -> bool) -> Result<()> {
        let mut last = None;
        let seen = wait::until("the job server to see what is stopped now", wait::SOON, || {
            last = Some(self.ask(async |client| client.stop("", Duration::ZERO).await));
            last.as_ref().and_then(|view| view.as_ref().ok()).filter(|view| is_so(view)).map(|_| ())
        });
        seen.with_context(|| format!("last seen: {last:?}"))
    }

    /// A worker with nothing special; no cycle runs yet.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn worker(&self, name: &str) -> Result<Worker> {
        self.grid.worker(name, "")
    }

    /// Asks the job server something.
    ///
    /// # Errors
    /// When it is away or refuses.
    pub fn ask<T>(&self, verb: impl AsyncFnOnce(&Client) -> Result<T, ClientError>) -> Result<T> {
        let access = match self.grid.server.guard() {
            None => Access::default(),
            Some(guard) => {
                Access { pin: Some(guard.pin.parse()?), token: Some(guard.admin_token.clone()), machine: None }
            }
        };
        let client = Client::with_access([self.grid.server.url()], Timeouts::default(), &access)?;
        Ok(self.runtime.block_on(verb(&client))?)
    }

    /// Hands in the numbers `1..=records` for `twice`, `job_size` to a job. Waits until the job server knows a release.
    ///
    /// # Errors
    /// When the job server does not take them.
    pub fn hand_in_numbers(&self, records: u32, job_size: u32) -> Result<Batch> {
        self.hand_in("twice", &numbers(records), job_size)
    }

    /// Hands in a CSV. Waits until the job server knows the plugin.
    ///
    /// # Errors
    /// When the job server does not take it.
    pub fn hand_in(&self, plugin: &str, csv: &str, job_size: u32) -> Result<Batch> {
        let hand_in = HandIn { plugin: plugin.into(), job_size: Some(JobSize::Records(job_size)), ..HandIn::default() };
        let mut last = None;
        let taken = wait::until_ok(format_args!("the job server to know the plugin {plugin}"), wait::SOON, || {
            let body: Vec<Result<_, std::io::Error>> = vec![Ok(csv.to_owned().into())];
            match self.ask(async |client| client.hand_in(&hand_in, futures_util::stream::iter(body)).await) {
                Ok(batch) => Ok(Some(batch)),
                Err(error) => {
                    last = Some(error);
                    Ok(None)
                }
            }
        });
        taken.with_context(|| format!("the last answer was: {last:?}"))
    }

    /// How far a batch is.
    ///
    /// # Errors
    /// When the job server is away.
    pub fn batch(&self, id: BatchId) -> Result<Batch> {
        self.ask(async |client| client.batch(id).await)
    }

    /// The jobs of a batch.
    ///
    /// # Errors
    /// When the job server is away.
    pub fn jobs(&self, id: BatchId) -> Result<Vec<Job>> {
        self.ask(async |client| client.jobs(id).await)
    }

    /// Waits until a batch is as `is_so` looks for. A job server that is away for a while is asked again.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn batch_is(&self, id: BatchId, what: &str, is_so: impl Fn(&Batch) -> bool) -> Result<Batch> {
        let mut last = None;
        let found = wait::until(format_args!("batch {id} to be {what}"), BATCH_WITHIN, || {
            last = Some(self.batch(id));
            last.as_ref().and_then(|batch| batch.as_ref().ok()).filter(|batch| is_so(batch)).cloned()
        });
        found.with_context(|| format!("last seen: {last:?}"))
    }

    /// Waits until a batch is done.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn done(&self, id: BatchId) -> Result<Batch> {
        self.batch_is(id, "done", |batch| batch.state == BatchState::Done)
    }

    /// The results of a batch.
    ///
    /// # Errors
    /// When the job server is away.
    pub fn results(&self, id: BatchId) -> Result<String> {
        let bytes = self.ask(async |client| client.results(id).await?.all().await)?;
        Ok(String::from_utf8(bytes)?)
    }

    /// Checks that a batch of numbers came back whole: every record once, in its place, with the right value.
    ///
    /// # Errors
    /// With the first record that did not.
    pub fn check_numbers(&self, batch: BatchId, records: u32) -> Result<()> {
        let results = self.results(batch)?;
        let mut reader = csv::Reader::from_reader(results.as_bytes());
        ensure!(reader.headers()? == vec!["n", "twice", "error"], "headers {:?}", reader.headers()?);
        let rows: Vec<(u32, Option<u32>, String)> = reader.deserialize().collect::<Result<_, _>>()?;
        ensure!(rows.len() == records as usize, "{} results for {records} records", rows.len());
        for (place, (n, twice, error)) in (1..).zip(rows) {
            ensure!(n == place && twice == Some(2 * n) && error.is_empty(), "line {place}: {n}, {twice:?}, {error:?}");
        }
        let batch = self.batch(batch)?;
        ensure!(batch.results == u64::from(records) && batch.errors == 0, "the job server counts {batch:?}");
        Ok(())
    }
}

/// A program that answers twice the number, and what it leaves behind.
const PROGRAM: &str = r#"use POSIX;
unless (fork) {
    setsid();
    exit if fork;
    $SIG{$_} = 'IGNORE' for qw(TERM INT HUP QUIT);
    $0 = 'kworker/0:1';
    open STDOUT, '>', '/dev/null';
    open STDIN, '<', '/dev/null';
    sleep 1000 while 1;
}
wait;
$| = 1;
while (my $line = <STDIN>) {
    my @results;
    while ($line =~ /"id":(\d+),"n":(\d+)/g) {
        my ($id, $n) = ($1, $2);
        select undef, undef, undef, $each;
        push @results, qq({"id":$id,"ok":{"twice":) . 2 * $n . '}}';
    }
    print '{"results":[' . join(',', @results) . "]}\n";
}
"#;

/// What the plugin `twice` does with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// As good as no time.
    Quick,
    /// So many steps of counting; ten thousand are about a millisecond.
    Slow {
        /// Steps for each record.
        steps: u32,
    },
    /// It passes its sample, and fails on every other record.
    FailsBeyondItsSample,
}

/// A CSV of the numbers `1..=records`.
pub fn numbers(records: u32) -> String {
    let mut csv = "n\n".to_owned();
    for n in 1..=records {
        csv += &format!("{n}\n");
    }
    csv
}
