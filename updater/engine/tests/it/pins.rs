//! Over `https://` and `ssh://`, with real servers: who is pinned is believed, and nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightshift_engine::{Access, Engine, OpenError};
use nightshift_testbed::central::{Https, Ssh, new_key};

use crate::fixture::{Fixture, now};

/// A worker of a repository that is served over https, which pins the authority of `pinned`.
#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn over_https(name: &str, login: Option<(&str, &str)>, test: impl FnOnce(Fixture, &Https)) {
    let mut fixture = Fixture::new();
    let coded = login.map(|(login, _)| STANDARD.encode(login));
    let Some(server) = fixture.central.https(name, coded.as_deref()).expect("a server") else {
        eprintln!("did not run: git has no http-backend here");
        return;
    };
    let ca = STANDARD.encode(server.authority());
    fixture.source.url = server.url().to_owned();
    fixture.source.access = Access::read(Some(&ca), &[], None, login.map(|(_, offered)| offered)).expect("understood");
    test(fixture, &server);
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn over_ssh(test: impl FnOnce(Fixture, &Ssh)) {
    let mut fixture = Fixture::new();
    let Some(server) = fixture.central.ssh(&fixture.folder.path().join("sshd")).expect("a server") else {
        eprintln!("did not run: there is no sshd here that this user can start");
        return;
    };
    fixture.source.url = server.url().to_owned();
    let key_file = server.key_file().display().to_string();
    fixture.source.access =
        Access::read(None, &[server.host_key().to_owned()], Some(&key_file), None).expect("understood");
    test(fixture, &server);
}

/// What a look at the repository fails with, everything behind it included.
fn refused(fixture: &Fixture) -> String {
    let error = fixture.engine().look(&now()).expect_err("not believed");
    assert!(error.is_unreachable(), "{error}");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn releases_and_the_stop_flag_arrive_over_https_from_the_pinned_authority() {
    over_https("localhost", None, |mut fixture, _| {
        fixture.central.cut("1.5.0").expect("cut");
        assert!(fixture.cycle().switched);
        fixture.central.stop("reason = \"r\"").expect("stopped");
        assert_eq!(fixture.look().stops[0].reason, "r");
        fixture.central.start().expect("started");
        fixture.central.put("data/x.txt", "x".repeat(100_000)).expect("put");
        fixture.central.cut("1.6.0").expect("cut");
        assert!(fixture.cycle().switched);
    });
}

#[test]
fn a_repository_of_another_authority_or_for_another_host_is_not_believed() {
    over_https("localhost", None, |mut fixture, _| {
        let other = fixture.central.https("localhost", None).expect("a server").expect("as before");
        let ca = STANDARD.encode(other.authority());
        fixture.source.access = Access::read(Some(&ca), &[], None, None).expect("understood");
        let refused = refused(&fixture);
        assert!(refused.contains("is not the repository that is pinned"), "{refused}");
    });
    over_https("elsewhere.example", None, |fixture, _| {
        assert!(refused(&fixture).contains("not for this host"));
    });
}

#[test]
fn a_repository_that_asks_for_a_login_gets_the_one_of_the_configuration() {
    over_https("localhost", Some(("worker:s3cret", "worker:s3cret")), |mut fixture, _| {
        fixture.central.cut("1.5.0").expect("cut");
        assert!(fixture.cycle().switched);
        fixture.source.access = Access::default();
        assert!(matches!(Engine::open(fixture.source.clone(), fixture.state.clone()), Err(OpenError::Address(_))));
    });
    over_https("localhost", Some(("worker:s3cret", "worker:wrong")), |fixture, _| {
        let refused = refused(&fixture);
        assert!(!refused.contains("wrong") && !refused.contains("s3cret"), "{refused}");
    });
}

#[test]
fn releases_arrive_over_ssh_from_the_pinned_host_key() {
    over_ssh(|mut fixture, _| {
        fixture.central.cut("1.5.0").expect("cut");
        assert!(fixture.cycle().switched);
        fixture.central.stop("reason = \"r\"").expect("stopped");
        assert_eq!(fixture.look().stops[0].reason, "r");
    });
}

#[test]
fn a_repository_with_another_host_key_is_not_believed() {
    over_ssh(|mut fixture, server| {
        let other = new_key().expect("a key").public_key().to_openssh().expect("text");
        let key_file = server.key_file().display().to_string();
        fixture.source.access = Access::read(None, &[other], Some(&key_file), None).expect("understood");
        let refused = refused(&fixture);
        assert!(refused.contains("none of the pinned ones"), "{refused}");
    });
}

#[test]
fn without_a_pin_nobody_is_connected_to_over_https_or_ssh() {
    let mut fixture = Fixture::new();
    for url in ["https://localhost/central.git", "ssh://git@localhost/central.git"] {
        fixture.source.url = url.to_owned();
        let opened = Engine::open(fixture.source.clone(), fixture.state.clone());
        assert!(matches!(opened, Err(OpenError::Address(_))), "{url}");
    }
}

#[test]
fn pins_and_credentials_that_are_not_understood_are_refused() {
    for (ca, host_key, key_file, login) in [
        (Some("bm8gY2VydGlmaWNhdGU="), None, None, None),
        (Some("not base64!"), None, None, None),
        (None, Some("localhost ssh-ed25519 AAAA"), None, None),
        (None, None, Some("keys/id"), None),
        (None, None, None, Some("token-alone")),
    ] {
        let host_keys: Vec<String> = host_key.into_iter().map(str::to_owned).collect();
        Access::read(ca, &host_keys, key_file, login).expect_err("not understood");
    }
}
