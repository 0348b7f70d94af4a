//! What `--help` prints is the manual.

use crate::person::Person;

#[test]
fn the_manual_says_what_every_command_does() {
    let person = Person::new();
    let commands: [&[&str]; 64] = [
        &[],
        &["init"],
        &["plugin", "new"],
        &["plugin", "test"],
        &["release", "cut"],
        &["release", "status"],
        &["release", "approve"],
        &["release", "promote"],
        &["release", "pause"],
        &["release", "resume"],
        &["release", "deny"],
        &["release", "rollback"],
        &["key", "rotate"],
        &["key", "revoke"],
        &["stop"],
        &["start"],
        &["batch", "submit"],
        &["batch", "list"],
        &["batch", "show"],
        &["batch", "results"],
        &["batch", "errors"],
        &["batch", "receipt"],
        &["batch", "suspend"],
        &["batch", "resume"],
        &["batch", "retry"],
        &["batch", "delete"],
        &["job", "list"],
        &["job", "show"],
        &["job", "explain"],
        &["job", "suspend"],
        &["job", "resume"],
        &["job", "edit"],
        &["job", "retry"],
        &["job", "delete"],
        &["worker", "list"],
        &["worker", "show"],
        &["worker", "drain"],
        &["worker", "resume"],
        &["worker", "set"],
        &["worker", "approve"],
        &["worker", "revoke"],
        &["worker", "rules", "list"],
        &["worker", "rules", "add"],
        &["worker", "rules", "remove"],
        &["artifact", "list"],
        &["artifact", "put"],
        &["artifact", "get"],
        &["artifact", "delete"],
        &["token", "create"],
        &["token", "list"],
        &["token", "revoke"],
        &["login"],
        &["context", "list"],
        &["context", "use"],
        &["status"],
        &["stats"],
        &["stats", "baseline", "record"],
        &["stats", "baseline", "list"],
        &["stats", "baseline", "remove"],
        &["plan"],
        &["doctor"],
        &["demo"],
        &["completion"],
        &["man"],
    ];
    let mut manual = String::new();
    for command in commands {
        let ended = person.nightshift(&person.home(), &[command, &["--help"]].concat()).expect_code(0);
        manual.push_str(&format!("==== nightshift {}\n{}\n", command.join(" "), ended.stdout));
    }
    insta::assert_snapshot!(manual);
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_meant() {
    let person = Person::new();
    person.nightshift(&person.home(), &["relaese"]).expect_code(2).says("similar subcommand exists: 'release'");
    person.nightshift(&person.home(), &["batch", "submit", "x.csv"]).expect_code(2).says("--plugin <NAME>");
    person.nightshift(&person.home(), &["batch", "submit", "--plugin", "x"]).expect_code(2).says("--table <TABLE>");
    let both = ["batch", "submit", "x.csv", "--plugin", "x", "--param", "a=1"];
    person.nightshift(&person.home(), &both).expect_code(2).says("cannot be used with");
    let unlike = ["batch", "submit", "--plugin", "x", "--param", "a=1", "--param", "b=1"];
    person.nightshift(&person.home(), &unlike).expect_code(2).says("write the same names every time");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named_with_its_line() {
    let person = Person::new();
    std::fs::create_dir_all(person.home().join("config/nightshift")).expect("folder");
    std::fs::write(person.home().join("config/nightshift/config.toml"), "jobserver = \"http://a\"\njbs = 1\n")
        .expect("file");
    person.nightshift(&person.home(), &["status"]).expect_code(2).says("config.toml").says("line 2").says("jbs");
}

#[test]
fn a_job_server_that_is_away_is_worth_another_try() {
    let person = Person::new();
    let words = ["batch", "list", "--jobserver", "http://127.0.0.1:1"];
    person.nightshift(&person.home(), &words).expect_code(75).says("check that the job server runs");
    let words = ["batch", "list", "--jobserver", "nonsense"];
    person.nightshift(&person.home(), &words).expect_code(2).says("nonsense");
}
