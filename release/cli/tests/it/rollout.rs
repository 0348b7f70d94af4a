//! `nightshift release pause`, `resume`, `deny`, `rollback`, and what `release status` shows of rollouts.

use std::fs;

use nightshift_manifest::rollout::Holds;
use nightshift_manifest::version::ReleaseVersion;

use crate::person::Person;

/// What the control branch holds back, as workers read it.
fn holds(person: &Person) -> Holds {
    let file = person.try_git(&person.central(), &["show", "control:rollout.toml"]);
    let content = (file.code == 0).then_some(file.stdout);
    Holds::of_entries(content.iter().map(|content| Some(content.as_bytes())))
}

fn control(person: &Person) -> String {
    person.git(&person.central(), &["ls-tree", "--name-only", "control"])
}

#[test]
fn a_pause_is_raised_with_its_reason_and_taken_away() {
    let person = Person::with_grid();
    person
        .in_clone(&["release", "pause", "--reason", "month's end"])
        .expect_code(0)
        .says("rollouts are paused")
        .says("`nightshift release resume` lets them go on");
    assert_eq!(holds(&person).pause.as_deref(), Some("month's end"));
    person.in_clone(&["release", "pause", "--reason", "month's end"]).expect_code(0).says("were paused already");
    person.in_clone(&["release", "resume"]).expect_code(0).says("rollouts go on");
    assert_eq!(control(&person), "README.md", "nothing is held back, and nothing is left behind");
    person.in_clone(&["release", "resume"]).expect_code(0).says("are not paused");
}

#[test]
fn a_release_is_denied_with_a_reason_and_stays_so_when_rollouts_go_on() {
    let person = Person::with_grid();
    person.in_clone(&["release", "deny", "1.5.0"]).expect_code(2).says("--reason");
    person.in_clone(&["release", "deny", "1.5.0", "--reason", " "]).expect_code(2).says("say why");
    person.in_clone(&["release", "deny", "1.5", "--reason", "x"]).expect_code(2).says("1.5.0");
    person
        .in_clone(&["release", "deny", "1.5.0", "--reason", "x"])
        .expect_code(2)
        .says("there is no release of that name")
        .says("say --yes");
    person.in_clone(&["release", "pause"]).expect_code(0);
    person
        .in_clone(&["release", "deny", "v1.5.0", "--reason", "wrong \"prices\"", "--yes"])
        .expect_code(0)
        .says("v1.5.0 is denied")
        .says("go back to the release before");
    person.in_clone(&["release", "deny", "1.4.0", "--reason", "slow", "--yes"]).expect_code(0);
    person
        .in_clone(&["release", "deny", "1.4.0", "--reason", "slow", "--yes"])
        .expect_code(0)
        .says("was denied already");
    person.in_clone(&["release", "resume"]).expect_code(0);
    let holds = holds(&person);
    assert_eq!((holds.pause.as_deref(), holds.denies.len()), (None, 2));
    assert_eq!(holds.denied(ReleaseVersion::new(1, 5, 0)), Some("wrong \"prices\""));
}

#[test]
fn what_is_held_back_survives_a_stop_and_a_start() {
    let person = Person::with_grid();
    person.nightshift(&person.home(), &["release", "pause"]).expect_code(0);
    person.in_clone(&["stop"]).expect_code(0);
    person.in_clone(&["release", "deny", "1.0.0", "--reason", "x", "--yes"]).expect_code(0);
    assert_eq!(control(&person), "README.md\nSTOP\nrollout.toml");
    person.in_clone(&["start"]).expect_code(0);
    assert_eq!(control(&person), "README.md\nrollout.toml");
}

#[test]
fn a_rollout_toml_that_somebody_wrote_and_nobody_can_read_is_not_written_over() {
    let person = Person::with_grid();
    let clone = person.clone_dir();
    person.git(&clone, &["switch", "--quiet", "control"]);
    fs::write(clone.join("rollout.toml"), "pauze = true\n").expect("written");
    person.git(&clone, &["add", "rollout.toml"]);
    person.git(&clone, &["commit", "--quiet", "-m", "oops"]);
    person.git(&clone, &["push", "--quiet", "origin", "control"]);
    person.git(&clone, &["switch", "--quiet", "main"]);
    person
        .in_clone(&["release", "pause"])
        .expect_code(1)
        .says("no worker moves to another release as it is, because rollout.toml, line 1: unknown field `pauze`")
        .says("mend it on branch control");
    assert_eq!(person.git(&person.central(), &["show", "control:rollout.toml"]), "pauze = true");
}

#[test]
fn two_people_who_hold_back_at_once_both_succeed() {
    let person = Person::with_grid();
    std::thread::scope(|scope| {
        for minor in 0..4 {
            let person = &person;
            scope.spawn(move || {
                let version = format!("1.{minor}.0");
                person
                    .nightshift(&person.home(), &["release", "deny", &version, "--reason", "x", "--yes"])
                    .expect_code(0);
            });
        }
    });
    assert_eq!(holds(&person).denies.len(), 4);
}

#[test]
fn a_rollback_releases_the_old_files_under_a_higher_version_with_the_newest_keys() {
    let person = Person::with_grid();
    person.write("data/prices.csv", "id\n1\n");
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    let keys = fs::read_to_string(person.clone_dir().join("keys/allowed_signers")).expect("there");
    person.write("data/prices.csv", "id\n9\n");
    person.write("keys/allowed_signers", &format!("# rotated\n{keys}"));
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    let main = person.git(&person.central(), &["rev-parse", "main"]);

    let ended = person
        .in_clone(&["release", "rollback", "1.0.0", "--yes"])
        .expect_code(0)
        .says("with the files of v1.0.0")
        .says("No branch was moved");
    assert_eq!(ended.stdout, "v1.1.1\n");
    let show = |file: &str| person.git(&person.central(), &["show", &format!("v1.1.1:{file}")]);
    assert_eq!(show("data/prices.csv"), "id\n1");
    assert!(show("keys/allowed_signers").starts_with("# rotated"));
    assert_eq!(person.git(&person.central(), &["rev-parse", "main"]), main);
    let listed = person.in_clone(&["release", "status", "--json"]).expect_code(0).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((&listed["releases"][0]["tag"], &listed["releases"][0]["state"]), (&"v1.1.1".into(), &"newest".into()));

    let before = person.everything();
    person
        .in_clone(&["release", "rollback", "1.0.0", "--as", "1.1.0"])
        .expect_code(2)
        .says("v1.1.0 is not above v1.1.1");
    person.in_clone(&["release", "rollback", "0.9.0"]).expect_code(3).says("there is no release v0.9.0");
    person.in_clone(&["release", "rollback", "newest"]).expect_code(2).says("no release's name");
    assert_eq!(person.everything(), before);
    assert_eq!(
        person.in_clone(&["release", "rollback", "1.0.0", "--as", "2.0.0", "--yes"]).expect_code(0).stdout,
        "v2.0.0\n"
    );
}

#[test]
fn a_rollback_reaches_everyone_at_once_unless_its_plan_is_asked_for() {
    let person = Person::with_grid();
    let plan = "[jobs]\nmax_attempts = 3\n\n[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n[[rollout.ring]]\nname = \"all\"\n";
    person.write("nightshift.toml", plan);
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    person.write("data/prices.csv", "id\n9\n");
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    let settings = |tag: &str| person.git(&person.central(), &["show", &format!("{tag}:nightshift.toml")]);
    person
        .in_clone(&["release", "rollback", "1.0.0", "--yes"])
        .expect_code(0)
        .says("every worker takes it in its next cycle");
    assert_eq!(settings("v1.1.1"), "[jobs]\nmax_attempts = 3");
    person.in_clone(&["release", "pause", "--reason", "month's end"]).expect_code(0);
    person
        .in_clone(&["release", "rollback", "1.0.0", "--by-plan", "--yes"])
        .expect_code(0)
        .says("ring by ring")
        .says("Rollouts are paused (month's end)");
    assert_eq!(settings("v1.1.2"), plan.trim_end());
}

#[test]
fn a_release_is_paused_beyond_a_ring_that_it_has_and_goes_on() {
    let person = Person::with_grid();
    let plan = "[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n[[rollout.ring]]\nname = \"all\"\n";
    person.write("nightshift.toml", plan);
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    let pause = |ring| person.in_clone(&["release", "pause", "--release", "1.0.0", "--beyond", ring]);
    pause("canry").expect_code(2).says("v1.0.0 has no ring \"canry\"; it has canary, all");
    pause("canary").expect_code(0).says("v1.0.0 goes no further than ring canary").says("no reason given");
    pause("canary").expect_code(0).says("already");
    let version = ReleaseVersion::new(1, 0, 0);
    assert_eq!(holds(&person).caps_of(version).map(|cap| cap.ring.as_str()).collect::<Vec<_>>(), ["canary"]);
    assert_eq!(holds(&person).pause, None, "nothing else is held back");
    person.in_clone(&["release", "resume"]).expect_code(0).says("are not paused");
    person.in_clone(&["release", "resume", "--release", "1.0.0"]).expect_code(0).says("v1.0.0 goes on");
    person.in_clone(&["release", "resume", "--release", "1.0.0"]).expect_code(0).says("not paused alone");
    assert!(holds(&person).is_empty());
    person.in_clone(&["release", "pause", "--release", "1.0.0"]).expect_code(2).says("--beyond");
    person.in_clone(&["release", "pause", "--beyond", "canary"]).expect_code(2).says("--release");
}

#[test]
fn a_plan_that_cannot_be_read_is_not_released() {
    let person = Person::with_grid();
    person.write("nightshift.toml", "[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n");
    person
        .in_clone(&["release", "cut", "1.0.0", "--yes"])
        .expect_code(2)
        .says("nightshift.toml, line 1: ring \"canary\" is the last and not for everybody");
    person.write("nightshift.toml", "[[rollout.ring]]\nname = \"everyone\"\n");
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
}

#[test]
fn rings_that_nobody_can_tell_are_said_to_be_so_where_there_is_a_plan() {
    let person = Person::with_grid();
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    let without = person.in_clone(&["release", "status"]).expect_code(0);
    assert_eq!(without.stderr, "", "a grid without plans needs nobody to say");
    person.write("nightshift.toml", "[[rollout.ring]]\nname = \"everyone\"\n");
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    person
        .in_clone(&["release", "status"])
        .expect_code(0)
        .says("rings are not shown, because the job server does not say");
}

#[test]
fn a_denied_release_says_why_and_the_one_before_it_is_the_newest() {
    let person = Person::with_grid();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        person.in_clone(&["release", "cut", version, "--yes"]).expect_code(0);
    }
    person.in_clone(&["release", "deny", "1.2.0", "--reason", "wrong prices", "--yes"]).expect_code(0);
    let ended = person.in_clone(&["release", "status"]).expect_code(8);
    let states: Vec<Vec<&str>> =
        ended.stdout.lines().skip(1).map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(states, [["v1.2.0", "denied"], ["v1.1.0", "newest"], ["v1.0.0", "earlier"]], "{}", ended.stdout);
    let ended = ended.says("v1.2.0 is denied: wrong prices; workers that had it go back to the release before");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);

    let listed = person.in_clone(&["release", "status", "--json"]).expect_code(8).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let denied = &listed["releases"][0];
    assert_eq!((&denied["state"], &denied["found"]), (&"denied".into(), &"wrong prices".into()));
    assert!(denied["advice"].as_str().is_some_and(|advice| advice.contains("cut a higher version")), "{denied}");
    assert_eq!(listed["releases"][1]["state"], "newest");

    // An earlier one that was denied is no news once a higher one is there.
    person.in_clone(&["release", "cut", "1.3.0", "--yes"]).expect_code(0);
    person.in_clone(&["release", "status"]).expect_code(0).says("v1.2.0 is denied: wrong prices");
}

#[test]
fn a_pause_is_said_once_however_many_releases_there_are_and_a_cap_with_its_release() {
    let person = Person::with_grid();
    let plan = "[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n[[rollout.ring]]\nname = \"all\"\n";
    person.write("nightshift.toml", plan);
    for version in ["1.0.0", "1.1.0"] {
        person.in_clone(&["release", "cut", version, "--yes"]).expect_code(0);
    }
    person.in_clone(&["release", "pause", "--reason", "month's end"]).expect_code(0);
    let pause = ["release", "pause", "--release", "1.1.0", "--beyond", "canary", "--reason", "a report first"];
    person.in_clone(&pause).expect_code(0);
    let ended = person
        .in_clone(&["release", "status"])
        .expect_code(0)
        .says("rollouts are paused: month's end; `nightshift release resume` lets them go on")
        .says("v1.1.0 goes no further than ring canary: a report first; `nightshift release resume --release 1.1.0`");
    assert_eq!(ended.stderr.matches("month's end").count(), 1, "{}", ended.stderr);
    assert!(ended.stdout.contains("v1.1.0   newest"), "a pause makes it no other release: {}", ended.stdout);
    let listed = person.in_clone(&["release", "status", "--json"]).expect_code(0).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["held"], "paused: month's end");
    let cap = &listed["releases"][0]["caps"][0];
    assert_eq!((&cap["ring"], &cap["reason"]), (&"canary".into(), &"a report first".into()));
}
