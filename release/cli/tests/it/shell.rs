//! What packages ship beside the program: completion and man pages, made from the commands themselves.

use std::fs;

use crate::person::Person;

#[test]
fn every_shell_gets_what_completes_the_commands() {
    let person = Person::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = person.nightshift(&person.home(), &["completion", shell]).expect_code(0).stdout;
        for word in ["submit", "explain", "without-server", "context"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    person.nightshift(&person.home(), &["completion", "cmd"]).expect_code(2).says("possible values: bash");
}

#[test]
fn the_script_for_bash_is_one_that_bash_can_read() {
    let person = Person::new();
    let script = person.nightshift(&person.home(), &["completion", "bash"]).expect_code(0).stdout;
    fs::write(person.home().join("nightshift.bash"), script).expect("written");
    person.run("bash", &person.home(), &["-n", "nightshift.bash"]).expect_code(0);
}

#[test]
fn every_command_has_a_man_page_that_says_what_its_help_says() {
    let person = Person::new();
    person.nightshift(&person.home(), &["man", "pages/man1"]).expect_code(0).says("pages/man1");
    let folder = person.home().join("pages/man1");
    let page = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(page("nightshift.1").contains("central git repository"));
    assert!(page("nightshift-batch-submit.1").contains("\\-\\-job\\-size"));
    assert!(page("nightshift-plan.1").contains("benchmark first"));
    let pages = fs::read_dir(&folder).expect("the folder").count();
    assert!(pages >= 55, "{pages} pages");
}
