//! `nightshift init`.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nightshift_manifest::signers::Signers;

use crate::person::Person;

fn entries(folder: &Path) -> Vec<String> {
    let read = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        read.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != ".tmp");
    names.sort();
    names
}

#[test]
fn a_new_grid_has_a_repository_a_clone_and_configurations() {
    let person = Person::new();
    let ended = person.nightshift(&person.home(), &["init", "grid"]).expect_code(0);
    assert_eq!(ended.stdout, "");
    insta::assert_snapshot!(person.same_everywhere(&ended.stderr));
    assert_eq!(entries(&person.home()), ["config", "grid"]);
    assert_eq!(entries(&person.home().join("grid")), ["central.git", "grid", "jobserver.toml", "worker.toml"]);
    assert_eq!(person.git(&person.central(), &["branch", "--format=%(refname:short)"]), "control\nmain");
    assert_eq!(person.git(&person.central(), &["ls-tree", "--name-only", "control"]), "README.md");
    assert_eq!(person.git(&person.clone_dir(), &["status", "--porcelain", "--branch"]), "## main...origin/main");
}

#[test]
fn the_configurations_are_explained_and_pin_the_signer() {
    let person = Person::with_grid();
    let read = |name: &str| std::fs::read_to_string(person.home().join("grid").join(name)).expect("written");
    let signers = read("grid/keys/allowed_signers");
    let recovery = read("grid/keys/recovery");
    let recovery = recovery.lines().last().expect("a line");
    for name in ["worker.toml", "jobserver.toml"] {
        let text = read(name);
        let shown = text.replace(signers.trim(), "[SIGNER]").replace(recovery, "[RECOVERY]");
        insta::assert_snapshot!(name, person.same_everywhere(&shown));
        let table: toml::Table = text.parse().expect("TOML");
        let pinned = table.get("signers").or_else(|| table["repository"].get("signers")).expect("signers");
        let pinned = pinned.as_array().expect("a list")[0].as_str().expect("text");
        assert_eq!(Signers::parse(pinned), Signers::parse(&signers));
    }
}

#[test]
fn the_private_key_is_the_persons_alone_and_never_in_the_grid() {
    let person = Person::with_grid();
    let mode = std::fs::metadata(person.signing_key()).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let objects = person.git(&person.central(), &["cat-file", "--batch-all-objects", "--batch", "--unordered"]);
    assert!(objects.contains("ssh-ed25519"), "the public half is there");
    assert!(!objects.contains("PRIVATE KEY"), "the private half is not");
    for name in ["worker.toml", "jobserver.toml"] {
        let text = std::fs::read_to_string(person.home().join("grid").join(name)).expect("written");
        assert!(!text.contains("PRIVATE KEY"));
    }
}

#[test]
fn a_second_grid_uses_the_same_key_and_becomes_a_context_that_no_command_takes_unasked() {
    let person = Person::with_grid();
    let key = std::fs::read(person.signing_key()).expect("a key");
    let written = person.home().join("config/nightshift/config.toml");
    let before = std::fs::read_to_string(&written).expect("there");
    person
        .nightshift(&person.home(), &["init", "other", "--jobserver", "http://127.0.0.1:7171"])
        .expect_code(0)
        .says("(yours already)")
        .says("is about another grid")
        .says("nightshift --context other release cut 1.0.0");
    assert_eq!(std::fs::read(person.signing_key()).expect("a key"), key);
    let after = std::fs::read_to_string(&written).expect("there");
    let added = after.strip_prefix(&before).expect("what stood there stays");
    let central = person.home().join("other/central.git");
    let context = format!(
        "\n[contexts.other]\njobserver = \"http://127.0.0.1:7171\"\nrepository = \"file://{}\"\n",
        central.display()
    );
    assert_eq!(added, context);
    person.nightshift(&person.home(), &["status"]).expect_code(75).says("127.0.0.1:7070");
    person.nightshift(&person.home(), &["status", "--context", "other"]).expect_code(75).says("127.0.0.1:7171");
    person.nightshift(&person.home(), &["init", "third/other"]).expect_code(2).says("make it first");
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let person = Person::new();
    let folder = person.home().join("mine");
    std::fs::create_dir(&folder).expect("folder");
    std::fs::write(folder.join("thesis.txt"), "precious").expect("file");
    person.nightshift(&person.home(), &["init", "mine"]).expect_code(2).says("mine is not empty");
    assert_eq!(entries(&folder), ["thesis.txt"]);
    assert!(!person.signing_key().exists());
}

#[test]
fn an_init_that_fails_leaves_nothing() {
    let person = Person::new();
    // A file where the configuration's folder should be: the key cannot be saved, the last step but one.
    std::fs::create_dir(person.home().join("config")).expect("folder");
    std::fs::write(person.home().join("config/nightshift"), "").expect("file");
    let ended = person.nightshift(&person.home(), &["init", "grid"]);
    assert_ne!(ended.code, 0);
    assert_eq!(entries(&person.home()), ["config"]);
}

#[test]
fn an_empty_repository_elsewhere_gets_the_first_branches() {
    let person = Person::new();
    person.git(&person.home(), &["init", "--quiet", "--bare", "--initial-branch=main", "company.git"]);
    std::fs::create_dir(person.home().join("here")).expect("folder");
    let here = person.home().join("here");
    let url = format!("file://{}", person.home().join("company.git").display());
    person.nightshift(&here, &["init", "--remote", &url, "--jobserver", "http://10.0.0.5:7070"]).expect_code(0);
    assert_eq!(entries(&here), ["grid", "jobserver.toml", "worker.toml"]);
    let branches = person.git(&person.home().join("company.git"), &["branch", "--format=%(refname:short)"]);
    assert_eq!(branches, "control\nmain");
    let worker = std::fs::read_to_string(here.join("worker.toml")).expect("written");
    assert!(worker.contains("jobserver = [\"http://10.0.0.5:7070\"]") && worker.contains(&url), "{worker}");

    person.nightshift(&person.home(), &["init", "again", "--remote", &url]).expect_code(2).says("is not empty, it has");
    assert!(!person.home().join("again").exists());
}

#[test]
fn a_remote_that_is_not_there_leaves_nothing() {
    let person = Person::new();
    let url = format!("file://{}", person.home().join("nowhere.git").display());
    person.nightshift(&person.home(), &["init", "grid", "--remote", &url]).expect_code(2).says("nowhere.git");
    assert_eq!(entries(&person.home()), Vec::<String>::new());
}

#[test]
fn a_folder_with_blanks_in_its_name_works() {
    let person = Person::new();
    person.nightshift(&person.home(), &["init", "my grid 100%"]).expect_code(0).says("my grid 100%/grid'");
    let clone = person.home().join("my grid 100%/grid");
    person.nightshift(&clone, &["release", "cut", "1.0.0"]).expect_code(0);
}

/// An address on this machine at which nothing answers.
fn free_address() -> String {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a port").port();
    format!("https://localhost:{port}")
}

fn read_toml(file: &Path) -> toml::Table {
    std::fs::read_to_string(file).expect("written").parse().expect("TOML")
}

#[test]
fn a_grid_reached_over_tls_has_its_authoritys_pin_in_worker_toml_and_its_maker_is_logged_in() {
    let (person, address) = (Person::new(), free_address());
    person
        .nightshift(&person.home(), &["init", "grid", "--jobserver", &address])
        .expect_code(0)
        .says("(pinned in worker.toml)")
        .says("nightshift token create image --role join");
    let grid = person.home().join("grid");
    let pin = read_toml(&grid.join("worker.toml"))["jobserver_ca"].as_str().expect("a pin").to_owned();
    let kept = read_toml(&person.home().join("config/nightshift/credentials.toml"));
    let server = &kept["servers"][&address];
    assert_eq!(server["ca"].as_str(), Some(&*pin));
    assert!(server["token"].as_str().is_some_and(|token| token.starts_with("ns_admin_")), "{server}");

    // The job server that jobserver.toml starts is the one that is pinned.
    let jobserver = Path::new(env!("CARGO_BIN_EXE_nightshift")).with_file_name("nightshift-jobserver");
    let config = grid.join("jobserver.toml");
    let again = person.run(jobserver, &grid, &["init", "--config", config.to_str().expect("UTF-8")]).expect_code(0);
    assert_eq!(again.stdout, format!("jobserver_ca = \"{pin}\"\n"), "nothing is made anew");
    let rights = std::fs::metadata(grid.join("state/jobserver")).expect("a folder").permissions().mode();
    assert_eq!(rights & 0o777, 0o700);
}

#[test]
fn the_authority_of_a_job_server_that_there_is_already_is_pinned_as_it_is() {
    let person = Person::new();
    let pin = format!("sha256:{}", "ab".repeat(32));
    let words = ["init", "grid", "--jobserver", "https://grid.example:7070", "--jobserver-ca", &pin];
    person.nightshift(&person.home(), &words).expect_code(0);
    let grid = person.home().join("grid");
    assert_eq!(read_toml(&grid.join("worker.toml"))["jobserver_ca"].as_str(), Some(&*pin));
    assert!(!grid.join("state").exists(), "no other authority is made");
    assert!(!person.home().join("config/nightshift/credentials.toml").exists());
}

#[test]
fn no_second_authority_is_made_for_a_job_server_that_answers_already() {
    let (person, there) = (Person::new(), TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
    let address = format!("https://{}", there.local_addr().expect("bound"));
    person
        .nightshift(&person.home(), &["init", "grid", "--jobserver", &address])
        .expect_code(2)
        .says("something answers at")
        .says("--jobserver-ca");
    assert!(!person.home().join("grid").exists());
    let pin = format!("sha256:{}", "ab".repeat(32));
    person
        .nightshift(&person.home(), &["init", "grid", "--jobserver", &address, "--jobserver-ca", &pin])
        .expect_code(0);
}

#[test]
fn a_grid_made_where_no_job_server_is_installed_says_what_is_left_to_do() {
    let person = Person::new();
    let alone = person.home().join("bin");
    std::fs::create_dir(&alone).expect("a folder");
    std::fs::copy(env!("CARGO_BIN_EXE_nightshift"), alone.join("nightshift")).expect("copied");
    person
        .run(alone.join("nightshift"), &person.home(), &["init", "grid", "--jobserver", &free_address()])
        .expect_code(0)
        .says("nightshift-jobserver is not on this machine")
        .says("nightshift-jobserver init --config");
    let worker = std::fs::read_to_string(person.home().join("grid/worker.toml")).expect("written");
    assert!(worker.contains("# jobserver_ca = \"sha256:…\""), "{worker}");
    assert_eq!(entries(&person.home().join("grid")), ["central.git", "grid", "jobserver.toml", "worker.toml"]);
}
