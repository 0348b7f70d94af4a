//! A process that is killed while it stages and switches.
#![allow(clippy::disallowed_methods, reason = "these tests start themselves once more, to be killed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nightshift_contract::layout::StateDir;
use nightshift_engine::FREE;
use nightshift_testbed::wait;

use crate::fixture::{Fixture, now};

/// Names the folder of the fixture to the process that will be killed.
const FIXTURE: &str = "NIGHTSHIFT_TEST_KILLED_IN";
const FILES: usize = 800;

/// Not a test: what the killed process does. Does nothing when it is started without a fixture.
#[test]
fn one_cycle_in_a_process_of_its_own() {
    let Ok(folder) = std::env::var(FIXTURE) else { return };
    let folder = Path::new(&folder);
    let source = fs::read_to_string(folder.join("source")).expect("the fixture's source");
    let (url, signers) = source.split_once('\n').expect("two lines");
    let signers = nightshift_manifest::signers::Signers::parse(signers).expect("a key set");
    let source = nightshift_engine::Source::new(url, "control", signers);
    let mut engine = nightshift_engine::Engine::open(source, StateDir::new(folder.join("worker"))).expect("opens");
    let look = engine.look(&now()).expect("looks");
    engine.sync(&look, FREE).expect("syncs");
}

fn files_in_slots(state: &StateDir) -> usize {
    let count = |folder: &Path| fs::read_dir(folder).into_iter().flatten().count();
    let slots = fs::read_dir(state.slots()).into_iter().flatten().flatten();
    slots.map(|slot| count(&slot.path().join("tree/data"))).sum()
}

#[test]
fn a_process_killed_while_it_stages_or_switches_leaves_old_or_new() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    let source = format!("{}\n{}", fixture.source.url, fixture.central.signer_line());
    fs::write(fixture.folder.path().join("source"), source).expect("written");
    for file in 0..FILES {
        fixture.central.put(&format!("data/{file}.txt"), file.to_string()).expect("put");
    }
    for (number, files_first) in [1, FILES / 4, FILES / 2, FILES].into_iter().enumerate() {
        let (old, new) = (fixture.in_force(), format!("v1.{}.0", 6 + number));
        fixture.central.cut(&new[1..]).expect("cut");
        let before = files_in_slots(&fixture.state);
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "kills::one_cycle_in_a_process_of_its_own"])
            .env(FIXTURE, fixture.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let far_enough = || files_in_slots(&fixture.state) >= before + files_first;
        wait::until_ok("the files to be staged", wait::SOON, || {
            Ok((far_enough() || process.try_wait()?.is_some()).then_some(()))
        })
        .expect("staged");
        let _ = process.kill();
        process.wait().expect("ended");

        let release = fixture.engine().in_force().expect("a release in force");
        assert!(Some(&release.tag) == old.as_ref() || release.tag == new, "{}", release.tag);
        let repository = std::mem::replace(&mut fixture.source.url, "file:///nowhere.git".to_owned());
        fixture.engine().verify_slot(&release).expect("whole, without the repository's help");
        fixture.source.url = repository;
        fixture.cycle();
        assert_eq!(fixture.in_force(), Some(new));
        let left_behind = fs::read_dir(fixture.state.slots()).expect("slots").count();
        assert!(left_behind <= 2, "{left_behind}");
    }
}
