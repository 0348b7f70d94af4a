//! A repository that sends too much, and what was made good on the way.

use std::fs;
use std::time::Duration;

use nightshift_engine::{Limit, Repair};

use crate::fixture::{Fixture, now};

/// Bytes that no compression makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn too_large(mut fixture: Fixture) {
    fixture.source.limits.releases = Limit { bytes: 200_000, time: Duration::from_secs(600) };
    fixture.central.cut("1.5.0").expect("cut");
    fixture.central.put("data/noise.txt", noise(1_000_000)).expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    for cycle in 0..2 {
        let sync = fixture.cycle();
        assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"), "the good one is taken");
        assert_eq!(sync.unfetched.iter().map(|tag| tag.tag.as_str()).collect::<Vec<_>>(), ["v1.6.0"], "cycle {cycle}");
        assert!(sync.unfetched[0].why.contains("too large"), "{}", sync.unfetched[0]);
    }
    let noted =
        fs::read_to_string(fixture.state.clone_dir().join("oversized")).expect("noted, and not asked for again");
    assert_eq!(noted.lines().count(), 1);
}

#[test]
fn a_release_beyond_the_bounds_of_a_fetch_is_ended_named_and_not_asked_for_again() {
    too_large(Fixture::new());
}

#[test]
fn a_release_beyond_the_bounds_of_a_fetch_is_ended_over_the_network_too() {
    let mut fixture = Fixture::new();
    match fixture.central.daemon().expect("a daemon that listens") {
        Some(daemon) => {
            fixture.source.url = daemon.url().to_owned();
            too_large(fixture);
        }
        None => eprintln!("did not run: git has no daemon here"),
    }
}

#[test]
fn a_fetch_that_takes_too_long_is_ended() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.source.limits.releases = Limit { bytes: u64::MAX, time: Duration::ZERO };
    fixture.central.put("data/noise.txt", noise(3_000_000)).expect("put");
    fixture.central.cut("1.6.0").expect("cut");
    let sync = fixture.cycle();
    assert!(!sync.switched);
    assert!(sync.unfetched[0].why.contains("took too long"), "{}", sync.unfetched[0]);
    fixture.source.limits = nightshift_engine::RepositoryLimits::default();
    assert!(fixture.cycle().switched, "it is asked for again");
}

#[test]
fn a_control_branch_beyond_its_bounds_is_no_look() {
    let mut fixture = Fixture::new();
    fixture.look();
    fixture.source.limits.control = Limit { bytes: 1000, time: Duration::from_secs(600) };
    let noise = noise(100_000).iter().map(|byte| char::from(b'a' + byte % 26)).collect::<String>();
    fixture.central.put_control(&[("notes.txt", &noise)]).expect("pushed");
    let error = fixture.engine().look(&now()).expect_err("too large");
    assert!(error.is_unreachable() && error.to_string().contains("too large"), "{error}");
}

#[test]
fn what_is_made_good_is_counted() {
    let mut fixture = Fixture::with_1_5_0_in_force();
    fs::write(fixture.state.clone_dir().join("config.lock"), "").expect("left behind");
    fixture.central.cut("1.6.0").expect("cut");
    let mut engine = fixture.engine();
    let look = engine.look(&now()).expect("looks");
    engine.sync(&look, nightshift_engine::FREE).expect("syncs");
    let release = engine.in_force().expect("in force");
    fs::write(release.tree().join("added.txt"), "x").expect("added");
    engine.verify_slot(&release).expect("made good");
    let counts: Vec<_> = engine.take_repairs().into_iter().collect();
    assert_eq!(counts, [(Repair::LeftBehind, 1), (Repair::Slot, 1)]);
    assert!(engine.take_repairs().is_empty(), "they are told once");
    assert_eq!(fixture.engine().all_repairs().into_iter().collect::<Vec<_>>(), counts, "and counted for good");
}
