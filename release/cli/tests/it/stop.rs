//! `nightshift stop` and `nightshift start`.

use std::fs;

use crate::person::Person;

fn control(person: &Person) -> String {
    person.git(&person.central(), &["ls-tree", "--name-only", "control"])
}

#[test]
fn the_flag_is_raised_once_and_taken_away() {
    let person = Person::with_grid();
    person.in_clone(&["stop", "--reason", "prices are wrong"]).expect_code(0);
    assert_eq!(control(&person), "README.md\nSTOP");
    assert!(person.git(&person.central(), &["show", "control:STOP"]).ends_with("reason = \"prices are wrong\""));
    let raised = person.git(&person.central(), &["rev-parse", "control"]);
    person.in_clone(&["stop"]).expect_code(0).says("was stopped already: prices are wrong (STOP on branch control)");
    assert_eq!(person.git(&person.central(), &["rev-parse", "control"]), raised);

    person.in_clone(&["start"]).expect_code(0).says("STOP on branch control");
    assert_eq!(control(&person), "README.md");
    person.in_clone(&["start"]).expect_code(0).says("has no stop flag");
    assert_eq!(person.git(&person.central(), &["log", "--format=%s", "control"]).lines().count(), 3);
}

#[test]
fn the_persons_work_is_left_alone() {
    let person = Person::with_grid();
    person.write("nightshift.toml", "# half an idea\n");
    person.git(&person.clone_dir(), &["add", "nightshift.toml"]);
    person.write("nightshift.toml", "# another half\n");
    let state = || person.git(&person.clone_dir(), &["status", "--porcelain", "--branch"]);
    let before = state();
    person.in_clone(&["stop"]).expect_code(0);
    person.in_clone(&["start"]).expect_code(0);
    assert_eq!(state(), before);
}

#[test]
fn the_grid_can_be_stopped_from_anywhere() {
    let person = Person::with_grid();
    person.nightshift(&person.home(), &["stop"]).expect_code(0);
    assert_eq!(control(&person), "README.md\nSTOP");
    person.nightshift(&person.home(), &["start"]).expect_code(0);
    assert_eq!(control(&person), "README.md");

    let stranger = Person::new();
    stranger.nightshift(&stranger.home(), &["stop"]).expect_code(2).says("give --repository URL");
    let url = format!("file://{}", person.central().display());
    stranger.nightshift(&stranger.home(), &["stop", "--repository", &url]).expect_code(0);
    assert_eq!(control(&person), "README.md\nSTOP");
}

#[test]
fn in_the_clone_of_another_grid_than_the_configured_one_the_configured_job_server_is_left_alone() {
    let person = Person::with_grid();
    person.nightshift(&person.home(), &["init", "second"]).expect_code(0);
    let second = person.home().join("second");
    let of_second = || person.git(&second.join("central.git"), &["ls-tree", "--name-only", "control"]);
    for (verb, holds) in [("stop", "README.md\nSTOP"), ("start", "README.md")] {
        let ended = person.nightshift(&second.join("grid"), &[verb]).expect_code(0);
        ended.says("it is not asked, because the configuration has").says("name the job server of this grid");
        assert_eq!((of_second().as_str(), control(&person).as_str()), (holds, "README.md"));
    }
    // Who names it means it; nothing listens there.
    let named = ["stop", "--jobserver", "http://127.0.0.1:1"];
    let ended = person.nightshift(&second.join("grid"), &named).expect_code(0);
    assert!(!ended.stderr.contains("it is not asked"), "{}", ended.stderr);
}

#[test]
fn flags_that_others_raised_are_taken_away_wherever_they_are() {
    let person = Person::with_grid();
    let clone = person.clone_dir();
    person.git(&clone, &["push", "--quiet", "origin", "HEAD:refs/heads/stop"]);
    person.in_clone(&["stop"]).expect_code(0).says("was stopped already: no reason given (ref refs/heads/stop)");
    fs::write(clone.join("stop.txt"), "panic").expect("file");
    person.git(&clone, &["add", "stop.txt"]);
    person.git(&clone, &["commit", "--quiet", "-m", "stop it"]);
    person.git(&clone, &["push", "--quiet", "origin", "main", "main:refs/tags/STOP"]);

    person
        .in_clone(&["start"])
        .expect_code(0)
        .says("stop.txt on branch main")
        .says("ref refs/heads/stop")
        .says("ref refs/tags/STOP");
    assert_eq!(person.git(&person.central(), &["branch", "--format=%(refname:short)"]), "control\nmain");
    assert_eq!(person.git(&person.central(), &["tag"]), "");
    assert!(!person.git(&person.central(), &["ls-tree", "--name-only", "main"]).contains("stop.txt"));
    assert_eq!(person.git(&clone, &["log", "-1", "--format=%s"]), "stop it", "the person's own branch stays");
}

#[test]
fn two_people_who_stop_at_once_both_succeed() {
    let person = Person::with_grid();
    let url = format!("file://{}", person.central().display());
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (person, url) = (&person, &url);
            scope.spawn(move || {
                let reason = format!("caller {number}");
                let words = ["stop", "--repository", url, "--reason", &reason];
                person.nightshift(&person.home(), &words).expect_code(0);
            });
        }
    });
    assert_eq!(control(&person), "README.md\nSTOP");
}

#[test]
fn a_repository_that_is_away_is_an_error_with_its_name() {
    let person = Person::with_grid();
    fs::remove_dir_all(person.central()).expect("gone");
    person.in_clone(&["stop"]).expect_code(1).says("central.git");
}
