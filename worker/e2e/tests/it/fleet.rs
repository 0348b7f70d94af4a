//! Two hundred simulated workers, and releases that spread over them.
//!
//! Real: the repository, each worker's engine with its own state folder and clone, the job server with its store, its API
//! and its own look at the repository, jobs claimed and done over HTTP, the rules and gates of rings as launchers use
//! them. Simulated: time (a cycle every ten minutes, all clocks in one hand), the core (a job's result is made up, good or
//! bad as the story says), and the processes around the engine: no boot, no launcher's loop, no trial.
#![allow(clippy::print_stdout, reason = "the figures of a story are a part of what it shows")]

mod workers;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use nightshift_manifest::rollout::Plan;
use nightshift_manifest::settings::GridSettings;
use nightshift_wire::RingState;

use workers::{Fleet, Moment, Work};

const WORKERS: usize = 200;
/// Workers with the tag `canary`.
const CANARIES: usize = 10;
/// A cycle of cron's.
const CYCLE: Duration = Duration::from_secs(600);

/// A Monday. In March London's clock shows UTC.
const BEGIN: &str = "2026-03-02T17:00:00Z";

const PLAN: &str = "[jobs]\nsize = 1\nerror_rate = 1\n\
    [rollout]\nzone = \"Europe/London\"\nmin_jobs = 10\n\
    [[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n\
    [[rollout.ring]]\nname = \"early\"\npercent = 15\nnot_before = \"2026-03-02 18:00\"\n\
    [[rollout.ring]]\nname = \"half\"\npercent = 50\nwindow = [\"mon-fri 19:00-19:45\"]\n\
    [[rollout.ring]]\nname = \"everyone\"\n";

fn plan() -> Plan {
    GridSettings::parse(PLAN, "nightshift.toml").expect(PLAN).rollout.expect("a plan")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// A fleet that has worked a while with v1.0.0, and a release v1.1.0 that was just pushed.
async fn with_a_new_release(folder: &Path) -> Fleet {
    let mut fleet = Fleet::new(folder, WORKERS, CANARIES, at(BEGIN)).await;
    fleet.cycle(|_, _| Work::Good).await;
    assert_eq!(fleet.on("v1.0.0").len(), WORKERS, "without a plan everybody takes it in the next cycle");
    fleet.release("1.1.0", PLAN);
    fleet
}

/// The workers of each ring of v1.1.0.
fn members(fleet: &Fleet) -> Vec<BTreeSet<String>> {
    let plan = plan();
    let mut rings = vec![BTreeSet::new(); plan.rings.len()];
    for worker in &fleet.workers {
        rings[plan.ring_of(&worker.name, &worker.tags, "v1.1.0")].insert(worker.name.clone());
    }
    assert!(rings.iter().all(|ring| !ring.is_empty()));
    rings
}

/// A release whose results are errors in one ring of four, and good in those before it: whoever gets it is of that ring or
/// an earlier one, and that ring goes back.
async fn a_bad_release(bad_in: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = with_a_new_release(folder.path()).await;
    let rings = members(&fleet);
    let may_have_it: BTreeSet<String> = rings[..=bad_in].iter().flatten().cloned().collect();
    let is_bad = |worker: &str, release: &str| release == "v1.1.0" && rings[bad_in].contains(worker);
    let mut most = 0;
    // Until every ring's time has come and gone.
    while fleet.now() < at("2026-03-02T20:30:00Z") {
        fleet.cycle(|worker, release| if is_bad(worker, release) { Work::Bad } else { Work::Good }).await;
        let exposed = fleet.on("v1.1.0");
        let of_the_ring = exposed.intersection(&rings[bad_in]).count();
        most = most.max(of_the_ring);
        assert!(exposed.is_subset(&may_have_it), "{}: beyond ring {bad_in}: {exposed:?}", fleet.now());
    }
    assert!(most > 0, "somebody tried it");
    let left = fleet.on("v1.1.0");
    assert_eq!(left.intersection(&rings[bad_in]).count(), 0, "the ring went back to its last good slot");
    let before: BTreeSet<String> = rings[..bad_in].iter().flatten().cloned().collect();
    assert_eq!(left, before, "rings that did well with it keep it");
    let seen = fleet.client.rollout("v1.1.0").await.expect("known");
    assert_eq!(seen.rings[bad_in].state, RingState::SentBack);
    assert!(seen.rings[bad_in].reason.contains("are errors, 0 % were before"), "{}", seen.rings[bad_in].reason);
    println!(
        "bad in ring {bad_in} of 4: {most} of {} in the ring had it, {} of {WORKERS} at most",
        rings[bad_in].len(),
        may_have_it.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_bad_in_the_first_ring_of_four_never_leaves_it() {
    a_bad_release(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_bad_in_the_second_ring_of_four_never_leaves_it_and_the_ring_goes_back() {
    a_bad_release(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_release_reaches_everybody_each_ring_within_its_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = with_a_new_release(folder.path()).await;
    let rings = members(&fleet);
    let mut reached: Vec<Option<Timestamp>> = vec![None; rings.len()];
    while fleet.on("v1.1.0").len() < WORKERS {
        assert!(fleet.now() < at("2026-03-02T21:00:00Z"), "{} workers have it: {reached:?}", fleet.on("v1.1.0").len());
        let before = fleet.on("v1.1.0");
        fleet.cycle(|_, _| Work::Good).await;
        for (ring, reached) in rings.iter().zip(&mut reached) {
            let new = fleet.on("v1.1.0").difference(&before).any(|worker| ring.contains(worker));
            let first = new && reached.replace(fleet.now()).is_none();
            assert!(!new || first, "a ring takes it in one cycle: everybody looks in each");
        }
    }
    let reached: Vec<Timestamp> = reached.into_iter().map(|at| at.expect("reached")).collect();
    println!(
        "a good release reached its rings of {:?} workers at {reached:?}",
        rings.iter().map(BTreeSet::len).collect::<Vec<_>>()
    );
    assert!(reached.is_sorted() && reached[0] < at("2026-03-02T18:00:00Z"), "{reached:?}");
    assert!(reached[1] >= at("2026-03-02T18:00:00Z"), "not before its time: {reached:?}");
    assert!(
        (at("2026-03-02T19:00:00Z")..at("2026-03-02T19:45:00Z")).contains(&reached[2]),
        "in its window: {reached:?}"
    );

    // Denied, all of them are back in one cycle, for good, and the job server takes nothing of it any more.
    fleet.hold("[[deny]]\nrelease = \"1.1.0\"\nreason = \"wrong prices\"\n");
    fleet.cycle(|_, _| Work::None).await;
    assert_eq!(fleet.on("v1.0.0").len(), WORKERS);
    fleet.hold("");
    fleet.cycle(|_, _| Work::Good).await;
    assert_eq!(fleet.on("v1.0.0").len(), WORKERS, "what was left is not taken again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_a_cap_and_a_malformed_rollout_toml_hold_everybody_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = with_a_new_release(folder.path()).await;
    for held in ["pause = \"month's end\"\n", "pause = \n"] {
        fleet.hold(held);
        fleet.cycle(|_, _| Work::Good).await;
        assert_eq!(fleet.on("v1.0.0").len(), WORKERS, "{held:?}");
    }
    fleet.hold("[[cap]]\nrelease = \"1.1.0\"\nring = \"canary\"\n");
    while fleet.now() < at("2026-03-02T18:30:00Z") {
        fleet.cycle(|_, _| Work::Good).await;
    }
    assert_eq!(fleet.on("v1.1.0"), members(&fleet)[0], "no further than its cap");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_job_server_away_rings_stay_as_they_were_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = with_a_new_release(folder.path()).await;
    fleet.cycle(|_, _| Work::Good).await;
    fleet.cycle(|_, _| Work::Good).await;
    let had_it = fleet.on("v1.1.0");
    assert_eq!(had_it, members(&fleet)[0]);
    fleet.end_the_job_server().await;
    while fleet.now() < at("2026-03-02T20:00:00Z") {
        fleet.cycle(|_, _| Work::None).await;
    }
    assert_eq!(fleet.on("v1.1.0"), had_it, "nobody moves forward");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_repository_stops_everybody_at_max_offline() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut fleet = with_a_new_release(folder.path()).await;
    fleet.cycle(|_, _| Work::Good).await;
    assert_eq!(fleet.at_work(), WORKERS);
    fleet.freeze_the_repository();
    let last_look: Moment = fleet.now();
    fleet.leap(Duration::from_secs(24 * 60 * 60) - CYCLE);
    fleet.look_all();
    assert_eq!(fleet.at_work(), WORKERS, "{} after the last look they carry on", fleet.now().duration_since(last_look));
    fleet.leap(CYCLE);
    fleet.look_all();
    assert_eq!(fleet.at_work(), 0, "{} after the last look nobody does", fleet.now().duration_since(last_look));
}
