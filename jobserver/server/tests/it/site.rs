//! Job servers as processes, on one central repository with a release, each behind a proxy; and workers that do not give up.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use nightshift_client::{Client, ClientError, Timeouts};
use nightshift_testbed::central::Central;
use nightshift_testbed::database::{Make, Server, Wishes};
use nightshift_testbed::faults::Proxy;
use nightshift_testbed::grid::JobServer;
use nightshift_testbed::wait;
use nightshift_wire::{
    AttemptId, Batch, BatchId, BatchState, Claim, ClaimRequest, JobId, Outcome, Provenance, Record, RecordResult,
    Records, Submission, code,
};
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedSender;

use crate::running::{asks_for, claim_request, pieces};

/// How long a worker here waits for a server that says nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a worker here rests when nobody answers it.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// Asks again until a server answers for good.
macro_rules! persist {
    ($ask:expr) => {
        loop {
            match $ask {
                Err(error) if error.is_retryable() => tokio::time::sleep($crate::site::PAUSE).await,
                answer => break answer,
            }
        }
    };
}
pub(crate) use persist;

/// A central repository and the folder of everything.
pub(crate) struct Site {
    central: Central,
    folder: TempDir,
}

/// A job server in a process of its own, and the proxy everybody reaches it through.
pub(crate) struct Served {
    pub(crate) process: JobServer,
    pub(crate) proxy: Proxy,
}

impl Site {
    /// A repository whose release 1.0.0 has the plugin `count`: needs `name`, adds `n`; `job_size` records a job.
    pub(crate) fn new(job_size: u32) -> Site {
        Site::with_lease(job_size, "1h")
    }

    /// As [`Site::new`], with leases of this length at least.
    pub(crate) fn with_lease(job_size: u32, lease: &str) -> Site {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut central = Central::create(&folder.path().join("central.git")).expect("a repository");
        let files = [
            ("nightshift.toml", format!("[jobs]\nsize = {job_size}\nlease = {lease:?}\n")),
            (
                "plugins/count/plugin.toml",
                "runtime = \"sql\"\ndescription = \"Counts letters\"\nblock = 100\n\n[input]\nname = \"text\"\n\n\
                 [output]\nn = \"integer\"\n\n[data]\nsource = \"repo\"\ntables = []\n"
                    .to_owned(),
            ),
            ("plugins/count/query.sqlite.sql", "SELECT record_id, length(name) AS n FROM records".to_owned()),
            ("plugins/count/samples/records.csv", "name\nann\n".to_owned()),
            ("plugins/count/samples/expected.csv", "name,n,error\nann,3,\n".to_owned()),
        ];
        for (path, content) in files {
            central.put(path, content).expect("written");
        }
        central.cut("1.0.0").expect("a release");
        Site { central, folder }
    }

    /// Starts a job server; `more` are further lines of its jobserver.toml.
    pub(crate) fn server(&self, name: &str, more: &str) -> Served {
        self.server_as(Path::new(env!("CARGO_BIN_EXE_nightshift-jobserver")), name, more)
    }

    /// As [`Site::server`], by a program that becomes the job server.
    pub(crate) fn server_as(&self, program: &Path, name: &str, more: &str) -> Served {
        let repository = self.central.at(&self.central.url());
        let process = JobServer::start_as(program, &self.folder.path().join(name), &repository, more);
        let process = process.expect("a job server");
        let port = process.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        Served { process, proxy: Proxy::before(port).expect("a proxy") }
    }
}

impl Site {
    /// The folder of everything.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Served {
    /// Its address, through the proxy.
    pub(crate) fn url(&self) -> String {
        self.proxy.instead(&self.process.url())
    }
}

/// A client of several servers, the first of them asked first.
pub(crate) fn client<'a>(servers: impl IntoIterator<Item = &'a Served>) -> Client {
    Client::new(servers.into_iter().map(Served::url), Timeouts::all(PATIENCE)).expect("good addresses")
}

/// Says past the harness that this machine has no such server.
pub(crate) fn said_not_run(make: Make) {
    let what = format!("\nNOT RUN: a test on {make}, which is not installed: {}", make.advice());
    writeln!(std::io::stderr(), "{what}").expect("standard error");
}

/// A database server of one's own; `None`, and said past the harness, when the machine has none.
pub(crate) fn database(make: Make) -> Option<Server> {
    let server = Server::start(make, Wishes { binlog: true, ..Wishes::default() }).expect("a database server");
    if server.is_none() {
        said_not_run(make);
    }
    server
}

/// Results of a job: each record's name is a number, and `n` is that number.
pub(crate) fn submission(claim: &Claim, records: &Records) -> Submission {
    let result = |record: &Record| {
        let n: u64 = record.values[0].parse().expect("a number");
        RecordResult { id: record.id, outcome: Outcome::Ok([("n".to_owned(), n.into())].into()) }
    };
    Submission {
        secret: claim.secret.clone(),
        provenance: Provenance { release: "v1.0.0".to_owned(), commit: "c".repeat(40), work_ms: 1, position: None },
        results: records.records.iter().map(result).collect(),
    }
}

/// Hands in the numbers 1, 2, 3 … as names, as soon as the server knows the plugin.
pub(crate) async fn hand_in(client: &Client, records: usize) -> Batch {
    let rows: String = (1..=records).map(|n| format!("{n}\n")).collect();
    let csv = Bytes::from(format!("name\n{rows}"));
    eventually("the job server to know the plugin", async || {
        client.hand_in(&asks_for("count"), pieces([csv.clone()])).await.ok()
    })
    .await
}

/// Checks that each record has its own result, once and in its place.
pub(crate) async fn assert_whole(client: &Client, batch: BatchId, records: usize) {
    let seen = client.batch(batch).await.expect("the batch is there");
    assert_eq!((seen.state, seen.results, seen.errors), (BatchState::Done, records as u64, 0));
    let results = client.results(batch).await.expect("the batch is there").all().await.expect("whole");
    let results = String::from_utf8(results).expect("UTF-8");
    let rows = (1..=records).map(|n| format!("{n},{n},"));
    let expected: Vec<String> = std::iter::once("name,n,error".to_owned()).chain(rows).collect();
    assert_eq!(results.lines().collect::<Vec<_>>(), expected);
}

/// Looks again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| wait::until(what, wait::SOON, || handle.block_on(look()))).expect(what)
}

/// A worker of a batch: it claims and does jobs until the batch is done, asks again whatever happens, and says for which
/// jobs it was told that they are done by it.
pub(crate) async fn work(client: Client, name: String, batch: BatchId, said: UnboundedSender<JobId>) {
    // What it has claimed and not handed in; it holds on to it while no server answers.
    let mut held: BTreeMap<AttemptId, Claim> = BTreeMap::new();
    loop {
        if let Some((_, claim)) = held.first_key_value() {
            let claim = claim.clone();
            if let Some(job) = finish(&client, &claim).await {
                let _ = said.send(job);
            }
            held.remove(&claim.attempt);
        }
        let request = ClaimRequest { holding: held.keys().copied().collect(), wait_ms: 200, ..claim_request(&name) };
        match persist!(client.claim(&request).await).expect("no refusal") {
            Some(claim) => {
                held.insert(claim.attempt, claim);
            }
            None => {
                let batch = persist!(client.batch(batch).await).expect("the batch is there");
                if batch.state == BatchState::Done {
                    return;
                }
            }
        }
    }
}

/// Does a job and hands it in; `None` when it is not wanted from this attempt any more.
async fn finish(client: &Client, claim: &Claim) -> Option<JobId> {
    let columns = ["name".to_owned()];
    let records = persist!(client.records(claim.attempt, &claim.secret, &columns).await);
    let submission = submission(claim, &wanted(records)?);
    let receipt = persist!(client.submit(claim.attempt, &submission).await);
    wanted(receipt).map(|receipt| receipt.job)
}

fn wanted<T>(answer: Result<T, ClientError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            assert_eq!(error.problem().map(|problem| problem.code.as_str()), Some(code::NOT_WANTED), "{error:?}");
            None
        }
    }
}
