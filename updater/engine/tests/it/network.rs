//! Over `git://`, with a real daemon, and with one that never answers.

use std::net::TcpListener;

use nightshift_engine::{Engine, OpenError};
use nightshift_testbed::central::Forgery;

use crate::fixture::{Fixture, now};

/// Runs `test` with a daemon, or says that it did not run.
#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn served(name: &str, test: impl FnOnce(Fixture)) {
    let mut fixture = Fixture::new();
    match fixture.central.daemon().expect("a daemon that listens") {
        Some(daemon) => {
            fixture.source.url = daemon.url().to_owned();
            test(fixture);
        }
        None => eprintln!("{name} did not run: git has no daemon here"),
    }
}

#[test]
fn releases_and_the_stop_flag_arrive_over_a_git_daemon() {
    served("releases_and_the_stop_flag_arrive_over_a_git_daemon", |mut fixture| {
        fixture.central.cut("1.5.0").expect("cut");
        assert!(fixture.cycle().switched);
        fixture.central.stop("reason = \"r\"").expect("stopped");
        assert_eq!(fixture.look().stops[0].reason, "r");
        fixture.central.start().expect("started");
        fixture.central.put("data/x.txt", "x".repeat(100_000)).expect("put");
        fixture.central.cut("1.6.0").expect("cut");
        let sync = fixture.cycle();
        assert!(sync.switched && sync.refused.is_empty());
    });
}

#[test]
fn a_tag_that_cannot_be_fetched_does_not_keep_good_releases_out() {
    served("a_tag_that_cannot_be_fetched_does_not_keep_good_releases_out", |mut fixture| {
        fixture.central.cut("1.5.0").expect("cut");
        fixture.central.forge("v1.6.0", Forgery::Garbage).expect("forged");
        fixture.central.cut("1.4.0").expect("cut");
        let sync = fixture.cycle();
        assert!(sync.switched);
        assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
        assert_eq!(sync.unfetched.iter().map(|tag| tag.tag.as_str()).collect::<Vec<_>>(), ["v1.6.0"]);
    });
}

#[test]
fn the_one_new_tag_that_cannot_be_fetched_is_named_and_the_release_in_force_stays() {
    served("the_one_new_tag_that_cannot_be_fetched_is_named_and_the_release_in_force_stays", |mut fixture| {
        fixture.central.cut("1.5.0").expect("cut");
        assert!(fixture.cycle().switched);
        fixture.central.forge("v1.6.0", Forgery::Garbage).expect("forged");
        let marker = fixture.state.clone_dir().join("marker");
        for cycle in 0..2 {
            let sync = fixture.cycle();
            match cycle {
                0 => std::fs::write(&marker, "").expect("written"),
                _ => assert!(marker.exists(), "the clone was fetched again"),
            }
            assert!(sync.unfetched[0].to_string().starts_with("v1.6.0 cannot be fetched"), "{sync:?}");
            assert_eq!((sync.switched, sync.refused), (false, vec![]));
        }
        fixture.central.delete_tag("v1.6.0").expect("deleted");
        assert_eq!(fixture.cycle().unfetched, []);
    });
}

#[test]
fn every_forged_tag_is_refused_over_a_git_daemon_too() {
    served("every_forged_tag_is_refused_over_a_git_daemon_too", |mut fixture| {
        fixture.central.cut("1.5.0").expect("cut");
        for (number, forgery) in Forgery::PUSHABLE.into_iter().enumerate() {
            fixture.central.forge(&format!("v1.{}.0", 60 + number), forgery).expect("forged");
        }
        assert!(fixture.cycle().switched);
        assert_eq!(fixture.cycle().refused.len(), Forgery::PUSHABLE.len());
    });
}

#[test]
fn a_repository_that_never_answers_is_given_up_on() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut fixture = Fixture::new();
    fixture.source.url = format!("git://{}/x.git", silent.local_addr().expect("an address"));
    let error = fixture.engine().look(&now()).expect_err("no answer");
    assert!(error.is_unreachable(), "{error}");
}

#[test]
fn a_repository_that_is_down_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let mut fixture = Fixture::with_1_5_0_in_force();
    fixture.source.url = format!("git://127.0.0.1:{port}/x.git");
    assert!(fixture.engine().look(&now()).expect_err("down").is_unreachable());
    assert_eq!(fixture.in_force().as_deref(), Some("v1.5.0"));
    assert_eq!(fixture.engine().last_look().map(|record| record.at.clone()), Some(now()), "the last one that counted");
}

#[test]
fn a_plain_connection_beyond_this_machine_needs_allow_plain() {
    let mut fixture = Fixture::new();
    fixture.source.url = "git://192.0.2.1/central.git".to_owned();
    let opened = Engine::open(fixture.source.clone(), fixture.state.clone());
    assert!(matches!(opened, Err(OpenError::Address(_))));
    fixture.source.allow_plain = true;
    fixture.engine();
}
