//! `nightshift release cut` and `nightshift release status`.

use std::fs;

use nightshift_manifest::signers::Signers;
use nightshift_manifest::tag;

use crate::person::Person;

/// The keys that the grid's worker.toml pins.
fn pinned(person: &Person) -> Signers {
    let text = fs::read_to_string(person.home().join("grid/worker.toml")).expect("written");
    let table: toml::Table = text.parse().expect("TOML");
    let lines: Vec<&str> =
        table["signers"].as_array().expect("a list").iter().map(|line| line.as_str().expect("text")).collect();
    Signers::parse(&lines.join("\n")).expect("signers")
}

/// Judges a tag of the central repository as a worker does.
fn believed(person: &Person, name: &str) -> tag::VerifiedTag {
    let mut raw = person.git(&person.central(), &["cat-file", "tag", name]);
    raw.push('\n');
    tag::verify(raw.as_bytes(), name, &pinned(person)).expect("believed")
}

#[test]
fn a_cut_release_is_one_that_workers_believe() {
    let person = Person::with_grid();
    let ended = person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    assert_eq!(ended.stdout, "v1.0.0\n");
    insta::assert_snapshot!(person.same_everywhere(&ended.stderr));
    let release = believed(&person, "v1.0.0");
    assert_eq!(release.commit, person.git(&person.central(), &["rev-parse", "main"]));
    assert_eq!(release.signer, "ada@localhost");
}

#[test]
fn a_tag_made_with_plain_git_is_a_release() {
    let person = Person::with_grid();
    let clone = person.clone_dir();
    let signed = person.try_git(&clone, &["tag", "-s", "v1.0.0", "-m", "by hand"]);
    if signed.code != 0 && signed.stderr.contains("ssh-keygen") {
        eprintln!("not tested: `git tag -s` needs ssh-keygen, which is not installed");
        return;
    }
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    person.git(&clone, &["push", "--quiet", "--atomic", "origin", "main", "v1.0.0"]);
    assert_eq!(believed(&person, "v1.0.0").message, "by hand");
    let verified = person.try_git(&clone, &["tag", "-v", "v1.0.0"]);
    assert!(verified.stderr.contains("Good \"git\" signature for ada@localhost"), "{}", verified.stderr);

    // The command line goes on from it, and plain git believes what the command line makes.
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    let verified = person.try_git(&clone, &["tag", "-v", "v1.1.0"]);
    assert!(verified.stderr.contains("Good \"git\" signature"), "{}", verified.stderr);
}

#[test]
fn what_is_not_committed_is_committed_with_the_release() {
    let person = Person::with_grid();
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    person.in_clone(&["plugin", "new", "shout", "--runtime", "sql"]).expect_code(0);
    fs::remove_file(person.clone_dir().join("README.md")).expect("removed");
    let ended = person.in_clone(&["release", "cut", "v1.1.0", "--yes"]).expect_code(0);
    insta::assert_snapshot!(person.same_everywhere(&ended.stderr));
    let files = person.git(&person.central(), &["ls-tree", "-r", "--name-only", "v1.1.0"]);
    assert!(files.contains("plugins/shout/plugin.toml") && !files.contains("README.md"), "{files}");
    assert_eq!(person.git(&person.clone_dir(), &["status", "--porcelain", "--branch"]), "## main...origin/main");
}

#[test]
fn without_a_terminal_nothing_is_committed_that_nobody_said_should_be() {
    let person = Person::with_grid();
    let clone = person.clone_dir();
    person.write("nightshift.toml", "[jobs]\nsize = 5\n");
    person.write("data/countries.csv", "id\n1\n");
    let before = person.everything();
    let ended = person
        .in_clone(&["release", "cut", "1.0.0"])
        .expect_code(2)
        .says("v1.0.0 is not released, because 2 files would be committed with it and there is no terminal to ask on")
        .says("data/countries.csv, nightshift.toml; commit them first, or add --yes");
    assert_eq!(ended.stdout, "");
    assert_eq!(person.everything(), before);

    person.git(&clone, &["add", "nightshift.toml", "data"]);
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(2).says("2 files would be committed");
    person.git(&clone, &["commit", "--quiet", "-m", "five to a job"]);
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    person.write("nightshift.toml", "[jobs]\nsize = 6\n");
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0).says("committed 1 file on main");
}

#[test]
fn a_batch_that_lies_in_the_clone_is_not_released() {
    let person = Person::with_grid();
    person.write("people.csv", "name\nAda Lovelace\n");
    person.write("answers/1.csv", "name\nAda Lovelace\n");
    person.write("docs/wanted.md", "this one is meant\n");
    person.write("data/countries.csv", "id\n1\n");
    person.git(&person.clone_dir(), &["add", "docs"]);
    person
        .in_clone(&["release", "cut", "1.0.0", "--yes"])
        .expect_code(0)
        .says("new      data/countries.csv  (not committed yet)")
        .says("! answers/ and 1 more: not released")
        .says("`git add` them first");
    let files = person.git(&person.central(), &["ls-tree", "-r", "--name-only", "v1.0.0"]);
    assert!(files.contains("data/countries.csv") && files.contains("docs/wanted.md"), "{files}");
    assert!(!files.lines().any(|file| file == "people.csv" || file.starts_with("answers")), "{files}");
    let left = person.git(&person.clone_dir(), &["status", "--porcelain"]);
    assert_eq!(left, "?? answers/\n?? people.csv");
}

#[test]
fn a_release_never_goes_back() {
    let person = Person::with_grid();
    person.in_clone(&["release", "cut", "1.5.0"]).expect_code(0);
    let before = person.everything();
    person.in_clone(&["release", "cut", "1.5.0"]).expect_code(2).says("v1.5.0 is released already");
    person.in_clone(&["release", "cut", "1.4.9"]).expect_code(2).says("v1.4.9 is not above v1.5.0");
    person.in_clone(&["release", "cut", "1.6"]).expect_code(2).says("1.6.0");
    assert_eq!(person.everything(), before);
}

#[test]
fn a_release_in_which_nothing_changed_is_cut_only_when_it_is_meant() {
    let person = Person::with_grid();
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    person.write("people.csv", "name\nAda Lovelace\n");
    let before = person.everything();
    person
        .in_clone(&["release", "cut", "1.1.0"])
        .expect_code(2)
        .says("! people.csv: not released")
        .says("nothing changed since v1.0.0; to release the same under a higher version, add --yes");
    assert_eq!(person.everything(), before);
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    believed(&person, "v1.1.0");
}

#[test]
fn a_fault_in_a_file_is_named_and_nothing_changes() {
    let cases = [
        ("nightshift.toml", "[workers]\nhour = []\n", "nightshift.toml, line 2: unknown field `hour`"),
        (
            "plugins/name-count/plugin.toml",
            "runtime = \"sql\"\nblok = 3\n",
            "plugin.toml, line 2: unknown field `blok`",
        ),
        ("plugins/empty/query.sqlite.sql", "SELECT 1", "plugins/empty/plugin.toml: it is missing"),
        ("plugins/name-count/query.sqlite.sql", "SELEC", "query.sqlite.sql"),
        ("plugins/name-count/samples/expected.csv", "name_count,word_counts\n", "samples/expected.csv"),
        ("keys/allowed_signers", "ada cert-authority ssh-ed25519 AAAA\n", "keys/allowed_signers: line 1"),
        ("keys/allowed_signers", OTHER_SIGNER, "does not name your key"),
    ];
    for (path, content, fault) in cases {
        let person = Person::with_grid();
        person.write(path, content);
        let before = person.everything();
        let ended = person
            .in_clone(&["release", "cut", "1.0.0", "--yes"])
            .expect_code(2)
            .says(fault)
            .says("nothing was changed");
        assert_eq!(ended.stdout, "");
        assert_eq!(person.everything(), before, "{path}");
    }
}

const OTHER_SIGNER: &str =
    "ben namespaces=\"git\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqi\n";

#[test]
fn a_plugin_that_fails_its_samples_is_not_released() {
    let person = Person::with_grid();
    person.in_clone(&["plugin", "new", "shout", "--runtime", "sql"]).expect_code(0);
    person.write("plugins/shout/samples/expected.csv", "shouted,letters\nADA LOVELACE,12\nALAN TURING,12\n");
    let before = person.everything();
    person
        .in_clone(&["release", "cut", "1.0.0", "--yes"])
        .expect_code(1)
        .says("plugins/shout/samples/expected.csv, line 3: letters should be \"12\" and is \"11\"")
        .says("plugin shout fails its own samples");
    assert_eq!(person.everything(), before);
}

#[test]
fn a_symbolic_link_is_not_released() {
    let person = Person::with_grid();
    std::os::unix::fs::symlink("/etc/passwd", person.clone_dir().join("data/link.csv")).expect("link");
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(2).says("\"data/link.csv\" is a symbolic link");
}

#[test]
fn a_push_that_fails_changes_nothing_here_or_there() {
    let person = Person::with_grid();
    let hook = person.central().join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().expect("a folder")).expect("folder");
    fs::write(&hook, "#!/bin/sh\necho 'closed for the holidays' >&2\nexit 1\n").expect("hook");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&hook, mode).expect("executable");
    person.write("data/more.csv", "id\n1\n");
    let before = person.everything();
    person
        .in_clone(&["release", "cut", "1.0.0", "--yes"])
        .expect_code(1)
        .says("closed for the holidays")
        .says("nothing was changed, neither there nor here");
    assert_eq!(person.everything(), before);

    fs::remove_file(&hook).expect("removed");
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    believed(&person, "v1.0.0");
}

#[test]
fn a_release_is_cut_from_the_newest_commits_only() {
    let person = Person::with_grid();
    let other = person.home().join("other");
    person.git(&person.home(), &["clone", "--quiet", &person.central().to_string_lossy(), "other"]);
    fs::write(other.join("data/theirs.csv"), "id\n").expect("file");
    person.git(&other, &["add", "."]);
    person.git(&other, &["-c", "user.name=ben", "-c", "user.email=b@x", "commit", "--quiet", "-m", "theirs"]);
    person.git(&other, &["push", "--quiet"]);
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(1).says("git pull --rebase --autostash");
    person.git(&person.clone_dir(), &["pull", "--quiet", "--rebase"]);
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
}

#[test]
fn without_a_push_the_release_stays_in_the_clone() {
    let person = Person::with_grid();
    person
        .in_clone(&["release", "cut", "1.0.0", "--no-push"])
        .expect_code(0)
        .says("git push --atomic origin main v1.0.0");
    assert_eq!(person.git(&person.central(), &["tag"]), "");
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(2).says("was never pushed");
    person.git(&person.clone_dir(), &["push", "--quiet", "--atomic", "origin", "main", "v1.0.0"]);
    believed(&person, "v1.0.0");
}

#[test]
fn outside_a_clone_nothing_is_released() {
    let person = Person::with_grid();
    person.nightshift(&person.home(), &["release", "cut", "1.0.0"]).expect_code(2).says("is not in a clone of a grid");
}

#[test]
fn refused_releases_are_listed_with_the_rule_and_what_to_do() {
    let person = Person::with_grid();
    let clone = person.clone_dir();
    person.in_clone(&["release", "status"]).expect_code(0).says("no release yet");
    person.in_clone(&["release", "cut", "1.0.0"]).expect_code(0);
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0);
    person.in_clone(&["release", "status"]).expect_code(0);
    // Lightweight, unsigned, misnamed, and the good v1.1.0 under a higher name.
    person.git(&clone, &["tag", "v1.2.0"]);
    person.git(&clone, &["tag", "-a", "-m", "unsigned", "v1.3.0"]);
    person.git(&clone, &["tag", "1.4.0"]);
    let good = person.git(&clone, &["rev-parse", "v1.1.0"]);
    person.git(&clone, &["update-ref", "refs/tags/v1.5.0", &good]);
    person.git(&clone, &["push", "--quiet", "origin", "v1.2.0", "v1.3.0", "1.4.0", "v1.5.0"]);
    let ended = person.in_clone(&["release", "status"]).expect_code(8);
    insta::assert_snapshot!(person.same_everywhere(&format!("{}{}", ended.stdout, ended.stderr)));
    let ended = person.in_clone(&["release", "status", "--json"]).expect_code(8);
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(document["version"], 1);
    let read: Vec<(&str, &str)> = document["releases"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["tag"].as_str().expect("tag"), row["rule"].as_str().unwrap_or("")))
        .collect();
    let expected = [
        ("v1.5.0", "same-name"),
        ("v1.3.0", "signed"),
        ("v1.2.0", "annotated"),
        ("v1.1.0", ""),
        ("v1.0.0", ""),
        ("1.4.0", "name"),
    ];
    assert_eq!(read, expected);
    // A name that is taken by a tag that workers refuse is no version to cut.
    person.in_clone(&["release", "cut", "1.2.0"]).expect_code(2).says("though workers refuse it");
    person.in_clone(&["release", "cut", "1.6.0", "--yes"]).expect_code(0);
}

/// Git tells files by their times in whole seconds, and looks closer at those written in the second of its index.
#[test]
fn a_change_of_equal_length_in_the_second_of_gits_own_index_is_released() {
    let person = Person::with_grid();
    let clone = person.clone_dir();
    // The time of the last change of any kind cannot be set back, so it must not count.
    person.git(&clone, &["config", "core.trustctime", "false"]);
    person.write("nightshift.toml", "[jobs]\nsize = 5\n");
    person.git(&clone, &["add", "nightshift.toml"]);
    person.in_clone(&["release", "cut", "1.0.0", "--yes"]).expect_code(0);
    person.git(&clone, &["update-index", "--refresh"]);
    let file = clone.join("nightshift.toml");
    let second = fs::metadata(&file).and_then(|file| file.modified()).expect("a time");
    person.write("nightshift.toml", "[jobs]\nsize = 6\n");
    for file in [file, clone.join(".git/index")] {
        fs::File::options().write(true).open(file).and_then(|file| file.set_modified(second)).expect("a time");
    }
    person.in_clone(&["release", "cut", "1.1.0", "--yes"]).expect_code(0).says("changed  nightshift.toml");
}
