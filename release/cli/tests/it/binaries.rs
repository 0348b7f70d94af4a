//! `nightshift release cut --core FILE --launcher FILE`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nightshift_manifest::binaries::{BINARIES_FILE, Binaries};
use nightshift_manifest::machine::this_target;
use nightshift_testbed::grid::Programs;
use nightshift_testbed::wait::{self, SOON};

use crate::person::{Background, Person};

/// A grid whose job server runs.
fn with_job_server() -> (Person, Background) {
    let person = Person::new();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let url = format!("http://127.0.0.1:{port}");
    person.nightshift(&person.home(), &["init", "grid", "--jobserver", &url]).expect_code(0);
    let server = Programs::beside_this_one().expect("built").path("nightshift-jobserver");
    let grid = person.home().join("grid");
    let server = person.start(server, &grid, &["serve", "--config", "jobserver.toml"]);
    wait::until("the job server", SOON, || (person.nightshift(&grid, &["status"]).code == 0).then_some(()))
        .expect("it answers");
    (person, server)
}

/// A program of a release, which says that it is `says`.
fn program(person: &Person, name: &str, says: &str) -> String {
    let path: PathBuf = person.home().join(name);
    fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path.to_string_lossy().into_owned()
}

fn released(person: &Person, tag: &str) -> Binaries {
    let text = person.git(&person.central(), &["cat-file", "blob", &format!("{tag}:{BINARIES_FILE}")]);
    Binaries::parse(&text, BINARIES_FILE).expect("well formed")
}

#[test]
fn programs_are_named_in_the_release_and_put_where_workers_fetch_them() {
    let (person, _server) = with_job_server();
    let core = program(&person, "core", "nightshift-core 0.2.0");
    let ended = person.in_clone(&["release", "cut", "1.0.0", "--core", &core]).expect_code(0);
    let ended = ended.says("put into the artifact store");
    assert!(ended.stderr.contains("core 0.2.0 for") && ended.stderr.contains("starts here"), "{}", ended.stderr);
    let wanted = released(&person, "v1.0.0").for_target(&this_target()).expect("for this machine");
    let named = wanted.core.expect("named");
    assert_eq!((named.version.to_string().as_str(), named.size), ("0.2.0", fs::metadata(&core).expect("there").len()));
    assert_eq!(wanted.launcher, None);
    let kept = walk(&person.home().join("grid"), named.sha256.as_str());
    assert_eq!(fs::read(kept).expect("kept"), fs::read(&core).expect("there"));
    assert_eq!(person.git(&person.clone_dir(), &["status", "--porcelain", "--branch"]), "## main...origin/main");

    // The next release keeps it, with and without another program beside it.
    let launcher = program(&person, "launcher", "nightshift-launcher 0.3.0");
    person
        .in_clone(&["release", "cut", "1.1.0", "--launcher", &launcher, "--core", &core])
        .expect_code(0)
        .says("already");
    person.in_clone(&["release", "cut", "1.2.0", "--yes"]).expect_code(0);
    let wanted = released(&person, "v1.2.0").for_target(&this_target()).expect("for this machine");
    assert_eq!(wanted.core, Some(named));
    assert_eq!(wanted.launcher.expect("named").version.to_string(), "0.3.0");
}

/// The file of this name somewhere below a folder.
fn walk(folder: &std::path::Path, name: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("listed").flatten() {
            match entry.file_type().expect("a type").is_dir() {
                true => folders.push(entry.path()),
                false if entry.file_name() == name => return entry.path(),
                false => {}
            }
        }
    }
    panic!("no file {name}");
}

#[test]
fn a_program_that_is_not_what_it_should_be_is_not_released() {
    let person = Person::with_grid();
    person.write("data/more.csv", "id\n1\n");
    let file = |name: &str, content: &[u8]| {
        let path = person.home().join(name);
        fs::write(&path, content).expect("written");
        path.to_string_lossy().into_owned()
    };
    let foreign = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 11], &[183, 0], &[0; 60]].concat();
    let crashes = file("crashes", b"#!/bin/sh\necho broken >&2\nexit 3\n");
    let cases = [
        (program(&person, "other", "nightshift-launcher 0.2.0"), "is it the right file?"),
        (program(&person, "unversioned", "nightshift-core next"), "is it the right file?"),
        (crashes, "started with --version it ends with exit status: 3: broken"),
        (file("notes", b"no program"), "it is no Linux program"),
        (file("empty", b""), "it has 0 bytes"),
        (file("foreign", &foreign), "it is a program for aarch64, and would be released for x86_64"),
        (person.home().join("nowhere").to_string_lossy().into_owned(), "opening it"),
    ];
    let before = person.everything();
    for (file, why) in cases {
        let ended = person.in_clone(&["release", "cut", "1.0.0", "--core", &file]);
        if why.contains("aarch64") && !this_target().starts_with("x86_64") {
            continue;
        }
        ended.expect_code(2).says(why).says("nothing was changed");
        assert_eq!(person.everything(), before, "{file}");
    }
    assert!(!person.clone_dir().join(BINARIES_FILE).exists());
}

#[test]
fn a_program_for_another_machine_is_named_beside_this_machines_own() {
    let (person, _server) = with_job_server();
    let core = program(&person, "core", "nightshift-core 0.2.0");
    let other = ["--target", "riscv64gc-unknown-linux-gnu"];
    let cut = |version: &str, more: &[&str]| {
        person.in_clone(&[&["release", "cut", version, "--core", &core][..], more].concat())
    };
    cut("1.0.0", &other).expect_code(2).says("add --binary-version X.Y.Z");
    cut("1.0.0", &["--target", "riscv"]).expect_code(2).says("write one such as");
    cut("1.0.0", &[&other[..], &["--binary-version", "0.1.9"]].concat()).expect_code(0).says("not tried");
    cut("1.1.0", &[]).expect_code(0);
    cut("1.2.0", &other).expect_code(0);
    let versions: Vec<String> =
        released(&person, "v1.2.0").iter().map(|binary| format!("{} {}", binary.version, binary.target)).collect();
    assert_eq!(versions, ["0.2.0 riscv64gc-unknown-linux-gnu".to_owned(), format!("0.2.0 {}", this_target())]);
}

#[test]
fn without_a_job_server_nothing_is_pushed() {
    let person = Person::new();
    person.nightshift(&person.home(), &["init", "grid", "--jobserver", "http://127.0.0.1:1"]).expect_code(0);
    let core = program(&person, "core", "nightshift-core 0.2.0");
    let before = person.everything();
    person
        .in_clone(&["release", "cut", "1.0.0", "--core", &core])
        .expect_code(75)
        .says("uploading the programs; nothing was pushed");
    assert_eq!(person.everything(), before);

    // Where workers fetch elsewhere, no job server is needed, and the person is told what to do.
    person.write("nightshift.toml", "[binaries]\nfrom = [\"file:///srv/programs\"]\n");
    person
        .in_clone(&["release", "cut", "1.0.0", "--core", &core, "--yes"])
        .expect_code(0)
        .says("at file:///srv/programs/");
}
