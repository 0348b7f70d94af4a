//! A central repository and a worker's engine in one temporary folder.

use std::time::Duration;

use jiff::Timestamp;
use nightshift_contract::layout::StateDir;
use nightshift_engine::{Engine, FREE, Look, Moment, NetworkLimits, Refusal, Rule, Source, Sync};
use nightshift_manifest::signers::Signers;
use nightshift_testbed::central::{CONTROL, Central};
use tempfile::TempDir;

pub(crate) struct Fixture {
    pub(crate) central: Central,
    pub(crate) source: Source,
    pub(crate) state: StateDir,
    /// Last, so that it outlives what is in it.
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::below(tempfile::tempdir().expect("a folder"))
    }

    /// Where the machine has a disk in memory, on that: for tests that sync thousands of times.
    pub(crate) fn in_memory() -> Self {
        Self::below(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder"))
    }

    fn below(folder: TempDir) -> Self {
        // Short enough for a test of silence, long enough for a loaded machine.
        NetworkLimits { connect: Duration::from_secs(3), silence: Duration::from_secs(3) }.set();
        let central = Central::create(&folder.path().join("central.git")).expect("a repository");
        let signers = Signers::parse(&central.signer_line()).expect("a key set");
        let source = Source::new(central.url(), CONTROL, signers);
        let state = StateDir::new(folder.path().join("worker"));
        Self { central, source, state, folder }
    }

    /// A repository with v1.5.0 in it, and a worker that has it in force.
    pub(crate) fn with_1_5_0_in_force() -> Self {
        let mut fixture = Self::new();
        fixture.central.cut("1.5.0").expect("cut");
        assert!(fixture.cycle().switched);
        fixture
    }

    /// The worker's engine, as a new process opens it.
    pub(crate) fn engine(&self) -> Engine {
        Engine::open(self.source.clone(), self.state.clone()).expect("opens")
    }

    pub(crate) fn look(&self) -> Look {
        self.engine().look(&now()).expect("looks")
    }

    /// Look and sync of a new process.
    pub(crate) fn cycle(&self) -> Sync {
        let mut engine = self.engine();
        let look = engine.look(&now()).expect("looks");
        engine.sync(&look, FREE).expect("syncs")
    }

    pub(crate) fn in_force(&self) -> Option<String> {
        self.engine().in_force().map(|release| release.tag)
    }
}

pub(crate) fn now() -> Moment {
    let wall = Timestamp::from_second(1_772_000_000).expect("a time");
    Moment { wall, since_boot_ms: 1000, boot: "a".to_owned() }
}

/// Tags and the rules they broke.
pub(crate) fn rules(refused: &[Refusal]) -> Vec<(&str, Rule)> {
    refused.iter().map(|refusal| (refusal.tag.as_str(), refusal.rule)).collect()
}
