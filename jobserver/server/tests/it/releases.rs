//! With the real engine on a real repository: what is released is what can be handed in for.

use std::path::Path;

use nightshift_contract::layout::StateDir;
use nightshift_engine::Source;
use nightshift_manifest::signers::Signers;
use nightshift_server::catalogue::Releases;
use nightshift_server::chores::look;
use nightshift_testbed::central::Central;
use nightshift_wire::code;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::running::{FOREVER, TestServer, limits, refusal};

/// A repository, and a folder for the server's clone of it.
struct Grid {
    central: Central,
    folder: TempDir,
}

impl Grid {
    fn new() -> Grid {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let central = Central::create(&folder.path().join("central.git")).expect("a repository");
        Grid { central, folder }
    }

    /// Puts plugin `count` with this output column into the next release, and releases it.
    fn release(&mut self, version: &str, output: &str) {
        let manifest = format!(
            "runtime = \"sql\"\n[input]\nname = \"text\"\n[output]\n{output} = \"integer\"\n[data]\nsource = \"repo\"\ntables = []\n"
        );
        let query = format!("SELECT record_id, length(name) AS {output} FROM records");
        self.central.put("plugins/count/plugin.toml", manifest).expect("put");
        self.central.put("plugins/count/query.sqlite.sql", query).expect("put");
        self.central.cut(version).expect("cut");
    }

    /// Begins to look: at once, and then only when a request wishes it.
    fn look(&self) -> Releases {
        self.look_at(&self.central.url())
    }

    fn look_at(&self, url: &str) -> Releases {
        let signers = Signers::parse(&self.central.signer_line()).expect("the testbed's own line");
        let source = Source::new(url, "control", signers);
        let state = StateDir::new(self.clone_folder());
        look::begin(source, state, FOREVER, CancellationToken::new())
    }

    fn clone_folder(&self) -> impl AsRef<Path> + Into<std::path::PathBuf> {
        self.folder.path().join("state")
    }
}

#[tokio::test]
async fn a_release_counts_from_the_next_hand_in_on() {
    let mut grid = Grid::new();
    let server = TestServer::start_on(grid.look(), limits()).await;
    let error = server.hand_in("name\nAnn\n").await.expect_err("nothing is released");
    assert_eq!(refusal(&error).code, code::UNKNOWN_PLUGIN);
    assert_eq!(
        refusal(&error).detail,
        "handing in a batch for count: no release is known yet (the repository has no release yet); \
         make one with `nightshift release cut 1.0.0`"
    );
    grid.release("1.0.0", "length");
    let first = server.hand_in("name\nAnn\n").await.expect("released");
    assert_eq!(first.outputs, ["length"]);

    grid.release("1.1.0", "letters");
    let second = server.hand_in("name\nAnn\n").await.expect("released");
    assert_eq!(second.outputs, ["letters"]);
    assert_eq!(server.client.batch(first.id).await.expect("there").outputs, ["length"], "as at its hand-in");
    let status = server.client.status().await.expect("answered");
    assert_eq!((status.release.as_deref(), status.release_problem.as_str()), (Some("v1.1.0"), ""));
}

#[tokio::test]
async fn the_grids_settings_size_jobs() {
    let mut grid = Grid::new();
    grid.central.put("nightshift.toml", "[jobs]\nsize = 3\nlease = \"7s\"\n").expect("put");
    grid.release("1.0.0", "length");
    let server = TestServer::start_on(grid.look(), limits()).await;
    assert_eq!(server.hand_in("name\na\nb\nc\nd\n").await.expect("released").jobs, 2);
    assert_eq!(server.claim("w-1").await.expect("a job").lease_ms, 7000);
}

#[tokio::test]
async fn a_refused_release_changes_nothing_and_is_shown() {
    let mut grid = Grid::new();
    grid.release("1.0.0", "length");
    let releases = grid.look();
    let server = TestServer::start_on(releases.clone(), limits()).await;
    let stranger = Central::create(&grid.folder.path().join("other.git")).expect("a repository").key().clone();
    grid.central.sign_with(stranger);
    grid.release("1.1.0", "stolen");
    assert_eq!(server.hand_in("name\nAnn\n").await.expect("released").outputs, ["length"]);
    let status = server.client.status().await.expect("answered");
    assert_eq!(status.release.as_deref(), Some("v1.0.0"));
    assert!(status.release_problem.starts_with("v1.1.0 is refused: "), "{}", status.release_problem);
}

#[tokio::test]
async fn a_stop_flag_counts_also_after_a_restart_without_the_repository() {
    let mut grid = Grid::new();
    grid.release("1.0.0", "length");
    let server = TestServer::start_on(grid.look(), limits()).await;
    server.hand_in("name\nAnn\n").await.expect("released");
    grid.central.stop("reason = \"fire drill\"\n").expect("stopped");
    server.hand_in("name\nBob\n").await.expect("a batch may come in while the grid is stopped");
    assert_eq!(server.claim("w-1").await, None);
    let stopped = server.client.status().await.expect("answered").stopped.expect("stopped");
    assert!(stopped.contains("fire drill"), "{stopped}");

    let restarted = TestServer::start_on(grid.look_at("file:///nowhere/central.git"), limits()).await;
    let batch = restarted.hand_in("name\nCid\n").await.expect("the release of the last look serves on");
    assert_eq!(batch.outputs, ["length"]);
    let status = restarted.client.status().await.expect("answered");
    assert_eq!((status.release.as_deref(), status.stopped), (Some("v1.0.0"), Some(stopped)));
    assert!(status.release_problem.contains("/nowhere/central.git"), "{}", status.release_problem);
    assert_eq!(restarted.claim("w-1").await, None);

    grid.central.start().expect("started");
    server.hand_in("name\nDora\n").await.expect("released");
    assert!(server.claim("w-1").await.is_some());
}
