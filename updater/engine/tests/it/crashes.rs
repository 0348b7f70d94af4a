//! Crash at every step: at each named step of an update, and at each instant in between at which something reached the
//! disk, the state folder is copied as three faults would leave it, and the next cycles go on from the copy. Always the
//! old release or the new one is in force, whole; always the worker arrives where it would have arrived anyway.
//!
//! | fault | what the copy holds |
//! |---|---|
//! | killed | everything that was written: the kernel still has it |
//! | power cut, names lost | names as of each folder's last sync, bytes as of each file's last sync |
//! | power cut, bytes lost | all names, but a file has the bytes of its last sync, or none |

#![allow(clippy::disallowed_methods, reason = "these tests do boot's part, which renames")]

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use nightshift_contract::boot_state::{AtWork, BootState};
use nightshift_contract::layout::{LAUNCHER, StateDir};
use nightshift_engine::binaries::digest_of;
use nightshift_engine::steps::{self, Instant};
use nightshift_engine::{Engine, Event, FaultKind, cycle_ended};
use nightshift_manifest::binaries::{Binaries, Binary, Program};

use crate::fixture::Fixture;
use crate::trials::{Told, fault, sync};

/// What becomes of the release on trial, and so where every worker has to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// It proves itself.
    Good,
    /// Its core dies, that of the release before does not.
    Bad,
    /// Its launcher comes to nothing, and boot falls back from it.
    BadLauncher,
    /// The disk is full at first; then it proves itself.
    Unlucky,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lost {
    Nothing,
    Names,
    Bytes,
}

impl Story {
    const ALL: [Story; 4] = [Story::Good, Story::Bad, Story::BadLauncher, Story::Unlucky];

    fn arrives_at(self) -> &'static str {
        match self {
            Story::Good | Story::Unlucky => "v1.6.0",
            Story::Bad | Story::BadLauncher => "v1.5.0",
        }
    }
}

/// One file or folder, whatever it is called: its number, and when it was made, because numbers are used again.
type Id = (u64, u128);

#[derive(Clone)]
enum Node {
    Folder(Id),
    File(Id, u32),
    Link(PathBuf),
}

/// What of a folder is on the disk, as far as it was synced.
#[derive(Default)]
struct Disk {
    names: HashMap<Id, BTreeMap<PathBuf, Node>>,
    bytes: HashMap<Id, Vec<u8>>,
}

fn id(found: &fs::Metadata) -> Id {
    let made = found.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    (found.ino(), made.map_or(0, |made| made.as_nanos()))
}

fn listing(folder: &Path) -> BTreeMap<PathBuf, Node> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let node = |entry: fs::DirEntry| {
        let found = entry.path().symlink_metadata().ok()?;
        let node = if found.is_dir() {
            Node::Folder(id(&found))
        } else if found.is_symlink() {
            Node::Link(fs::read_link(entry.path()).ok()?)
        } else {
            Node::File(id(&found), found.mode())
        };
        Some((PathBuf::from(entry.file_name()), node))
    };
    entries.filter_map(node).collect()
}

impl Disk {
    fn sync_all(&mut self, folder: &Path) {
        self.sync_folder(folder);
        for (name, node) in listing(folder) {
            match node {
                Node::Folder(_) => self.sync_all(&folder.join(name)),
                Node::File(..) => self.sync_file(&folder.join(name)),
                Node::Link(_) => {}
            }
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        if let Ok(found) = folder.metadata() {
            self.names.insert(id(&found), listing(folder));
        }
    }

    fn sync_file(&mut self, file: &Path) {
        if let (Ok(found), Ok(bytes)) = (file.metadata(), fs::read(file)) {
            self.bytes.insert(id(&found), bytes);
        }
    }

    /// Writes what a fault leaves of `folder` to `copy`.
    fn leave(&self, folder: &Path, folder_id: Id, lost: Lost, copy: &Path) {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(copy).expect("made");
        let names = match lost {
            Lost::Names => self.names.get(&folder_id).cloned().unwrap_or_default(),
            Lost::Nothing | Lost::Bytes => listing(folder),
        };
        for (name, node) in names {
            let (from, to) = (folder.join(&name), copy.join(&name));
            match node {
                Node::Folder(id) => self.leave(&from, id, lost, &to),
                Node::Link(target) => symlink(target, to).expect("linked"),
                Node::File(id, mode) => {
                    let bytes = match lost {
                        Lost::Nothing => fs::read(&from).unwrap_or_default(),
                        Lost::Names | Lost::Bytes => self.bytes.get(&id).cloned().unwrap_or_default(),
                    };
                    let mut file =
                        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(to).expect("made");
                    std::io::Write::write_all(&mut file, &bytes).expect("written");
                }
            }
        }
    }
}

/// Where a fault struck.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    After(&'static str),
    Between(String),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Where::After(step) => write!(f, "after {step}"),
            Where::Between(what) => write!(f, "in between, {what}"),
        }
    }
}

/// Copies the state folder at each instant.
struct Recorder {
    disk: Disk,
    state: StateDir,
    copies: PathBuf,
    left: Vec<(Where, Lost, StateDir)>,
}

impl Recorder {
    fn take(&mut self, instant: Instant<'_>) {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = match instant {
            Instant::Done(step) => Where::After(step.name()),
            Instant::FileSynced(file) => {
                self.disk.sync_file(file);
                Where::Between(format!("{} synced", name(file)))
            }
            Instant::FolderSynced(folder) => {
                self.disk.sync_folder(folder);
                Where::Between(format!("names in {} synced", name(folder)))
            }
            Instant::AllSynced(_) => {
                let root = self.state.root().to_owned();
                self.disk.sync_all(&root);
                Where::Between("all synced".to_owned())
            }
        };
        self.leave(&place);
    }

    fn leave(&mut self, place: &Where) {
        for lost in [Lost::Nothing, Lost::Names, Lost::Bytes] {
            let copy = self.copies.join(self.left.len().to_string());
            let root = self.state.root();
            self.disk.leave(root, id(&root.metadata().expect("there")), lost, &copy);
            self.left.push((place.clone(), lost, StateDir::new(copy)));
        }
    }
}

/// Boot's part of a cycle: which slot's launcher it becomes. It syncs what it notes.
fn boot(state: &StateDir, machine_start: &str, recorder: Option<&Rc<RefCell<Recorder>>>) -> Option<String> {
    let noted = fs::read_to_string(state.boot_state()).ok().and_then(|text| BootState::parse(&text));
    let Some(noted) = noted else {
        let link = fs::read_link(state.in_force()).ok()?;
        return Some(link.file_name()?.to_string_lossy().into_owned());
    };
    let decided = noted.decide(machine_start, AtWork::Nobody, None);
    if let Some(note) = decided.note {
        let beside = state.root().join(".boot.state.new");
        fs::write(&beside, note.to_text()).expect("written");
        fs::rename(&beside, state.boot_state()).expect("renamed");
        if let Some(recorder) = recorder {
            let mut recorder = recorder.borrow_mut();
            recorder.disk.sync_file(&state.boot_state());
            recorder.disk.sync_folder(state.root());
            recorder.leave(&Where::After("tried"));
        }
    }
    decided.slot
}

/// One cycle: boot, the launcher of the slot it chose, and what the story has happen to it.
fn cycle(fixture: &Fixture, machine_start: &str, story: Story, recorder: Option<&Rc<RefCell<Recorder>>>) {
    let slot = boot(&fixture.state, machine_start, recorder);
    let program = slot.as_ref().map(|slot| fs::read(fixture.state.slot_program(slot, LAUNCHER)).unwrap_or_default());
    let runs_new = slot.is_some_and(|slot| slot.starts_with("v1.6.0"));
    if let Some(program) = program {
        let whole: [&[u8]; 2] = [b"launcher of v1.5.0", b"launcher of v1.6.0"];
        assert!(
            whole.contains(&program.as_slice()),
            "boot runs what is whole: {:?}",
            String::from_utf8_lossy(&program)
        );
    }
    if runs_new && story == Story::BadLauncher {
        return;
    }
    let told = Told::default();
    let mut engine = fixture.trying(&told);
    whole(fixture, &engine);
    sync(&mut engine);
    whole(fixture, &engine);
    let event = match story {
        Story::Good => Some(Event::Proved),
        Story::Bad => Some(Event::Failed(fault(FaultKind::Core))),
        Story::BadLauncher => None,
        Story::Unlucky if recorder.is_some() && !was_put_off(fixture) => {
            Some(Event::Hindered("the disk is full".to_owned()))
        }
        Story::Unlucky => Some(Event::Proved),
    };
    if let Some(event) = event.filter(|_| engine.on_trial().is_some()) {
        engine.judge(event).expect("noted");
    }
    if engine.suspected().is_some_and(|(_, fault)| fault.kind == FaultKind::Core) {
        engine.judge(Event::LastGoodWell).expect("noted");
    }
    whole(fixture, &engine);
    cycle_ended(&fixture.state, None).expect("noted");
}

/// Whether the story of bad luck has had it already: a file of the test's own says so.
fn was_put_off(fixture: &Fixture) -> bool {
    let note = fixture.folder.path().join("was-put-off");
    let was = note.exists();
    fs::write(note, "").expect("written");
    was
}

/// What is in force is the old release or the new one, and whole without the repository's help.
fn whole(fixture: &Fixture, engine: &Engine) {
    let Some(release) = engine.in_force() else { panic!("there is always a release in force") };
    assert!(["v1.5.0", "v1.6.0"].contains(&release.tag.as_str()), "{}", release.tag);
    let mut away = fixture.source.clone();
    away.url = "file:///nowhere.git".to_owned();
    let alone = Engine::open(away, fixture.state.clone()).expect("opens");
    alone.verify_slot(&release).expect("whole");
    for (program, name) in [(Program::Core, "core"), (Program::Launcher, "launcher")] {
        let path = release.program(program).expect("it brings one");
        assert_eq!(fs::read(path).expect("read"), format!("{name} of {}", release.tag).into_bytes());
    }
}

/// Puts programs into the next release, fetched from a folder.
pub(crate) fn put_programs(fixture: &mut Fixture, tag: &str) {
    let shelf = fixture.folder.path().join("shelf");
    fs::create_dir_all(&shelf).expect("made");
    let mut binaries = Binaries::default();
    for (program, name) in [(Program::Core, "core"), (Program::Launcher, "launcher")] {
        let built = fixture.folder.path().join("built");
        let bytes = format!("{name} of {tag}");
        fs::write(&built, &bytes).expect("written");
        let sha256 = digest_of(&built).expect("read");
        fs::copy(&built, shelf.join(sha256.as_str())).expect("copied");
        let target = "x86_64-unknown-linux-gnu".to_owned();
        let version = tag[1..].parse().expect("a version");
        binaries = binaries.with(Binary { program, version, target, size: bytes.len() as u64, sha256 });
    }
    let from = format!("[binaries]\nfrom = [\"file://{}\"]\n", shelf.display());
    fixture.central.put("nightshift.toml", from).expect("put");
    fixture.central.put("release.toml", binaries.to_toml()).expect("put");
    fixture.central.put("data/tag.txt", tag).expect("put");
    fixture.central.put_with_mode("tools/run.sh", "#!/bin/sh\n", 0o100_755).expect("put");
}

/// Plays a story once, and gives back what each fault at each instant of it left.
fn play(story: Story) -> (Fixture, Vec<(Where, Lost, StateDir)>) {
    let told = Told::default();
    let mut fixture = Fixture::in_memory();
    put_programs(&mut fixture, "v1.5.0");
    fixture.central.cut("1.5.0").expect("cut");
    let mut engine = fixture.trying(&told);
    sync(&mut engine);
    engine.judge(Event::Proved).expect("noted");
    put_programs(&mut fixture, "v1.6.0");
    fixture.central.cut("1.6.0").expect("cut");

    let mut disk = Disk::default();
    disk.sync_all(fixture.state.root());
    let copies = fixture.folder.path().join("copies");
    let state = fixture.state.clone();
    let recorder = Rc::new(RefCell::new(Recorder { disk, state, copies, left: Vec::new() }));
    let watcher = Rc::clone(&recorder);
    steps::watch(move |instant| watcher.borrow_mut().take(instant));
    for _ in 0..6 {
        cycle(&fixture, "start", story, Some(&recorder));
        let (denied, in_force) = (bad_ones(&fixture), fixture.in_force());
        if in_force.as_deref() == Some(story.arrives_at()) && fixture.engine().journal().trial.is_none() {
            assert_eq!(denied.is_empty(), story.arrives_at() == "v1.6.0");
            break;
        }
    }
    steps::unwatch();
    let left = std::mem::take(&mut recorder.borrow_mut().left);
    arrived(&fixture, story);
    (fixture, left)
}

fn arrived(fixture: &Fixture, story: Story) {
    let engine = fixture.trying(&Told::default());
    assert_eq!(engine.in_force().map(|release| release.tag).as_deref(), Some(story.arrives_at()));
    assert_eq!((engine.on_trial(), engine.suspected()), (None, None));
    let bad = matches!(story, Story::Bad | Story::BadLauncher);
    assert_eq!(bad_ones(fixture), if bad { vec!["v1.6.0"] } else { vec![] });
    assert_eq!(engine.trust().floor.map(|floor| floor.tag()).as_deref(), Some(story.arrives_at()));
    let link = fs::read_link(fixture.state.in_force()).expect("a link");
    assert!(link.starts_with("slots") && link.to_string_lossy().contains(story.arrives_at()), "{link:?}");
    let boot = fixture.boot_state();
    assert!(boot.trial.is_none() && boot.good.is_some_and(|slot| slot.starts_with(story.arrives_at())));
    let slots = fs::read_dir(fixture.state.slots()).expect("slots").count();
    assert!(slots <= 2, "{slots} slots are left");
}

fn bad_ones(fixture: &Fixture) -> Vec<String> {
    fixture.engine().journal().denied.values().map(|denial| denial.tag.clone()).collect()
}

#[test]
fn a_crash_at_any_step_of_an_update_leaves_old_or_new_and_the_worker_arrives_all_the_same() {
    let mut table: BTreeMap<(String, Where), [u32; 3]> = BTreeMap::new();
    let mut cases = 0;
    for story in Story::ALL {
        let (mut fixture, left) = play(story);
        for (place, lost, state) in left {
            fixture.state = state;
            let machine_start = if lost == Lost::Nothing { "start" } else { "the next start" };
            let label = format!("{story:?}, {place}, lost: {lost:?}, {}", fixture.state.root().display());
            let survived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                // Two tries, the fall, the old one's look; once more for the release put off.
                for _ in 0..6 {
                    cycle(&fixture, machine_start, story, None);
                }
                arrived(&fixture, story);
            }));
            if let Err(panic) = survived {
                eprintln!("{label}");
                std::mem::forget(fixture.folder);
                std::panic::resume_unwind(panic);
            }
            table.entry((format!("{story:?}"), place)).or_default()[lost as usize] += 1;
            cases += 1;
            fs::remove_dir_all(fixture.state.root()).expect("removed");
        }
    }
    println!("{:12} {:45} {:>7} {:>11} {:>11}", "story", "crash", "killed", "names lost", "bytes lost");
    for ((story, place), counts) in &table {
        println!("{story:12} {:45} {:>7} {:>11} {:>11}", place.to_string(), counts[0], counts[1], counts[2]);
    }
    println!("{cases} crashes, each survived");
    let steps: std::collections::BTreeSet<&Where> =
        table.keys().map(|(_, place)| place).filter(|place| matches!(place, Where::After(_))).collect();
    assert_eq!(steps.len(), steps::Step::ALL.len() + 1, "each named step, and boot's: {steps:?}");
}

#[test]
fn what_a_power_cut_takes_is_what_was_not_synced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, copy) = (folder.path().join("root"), folder.path().join("copy"));
    fs::create_dir(&root).expect("made");
    fs::write(root.join("synced"), "old").expect("written");
    let mut disk = Disk::default();
    disk.sync_all(&root);
    fs::write(root.join("synced"), "new").expect("written");
    fs::write(root.join("named"), "never synced").expect("written");
    let left = |lost: Lost| {
        let _ = fs::remove_dir_all(&copy);
        disk.leave(&root, id(&root.metadata().expect("there")), lost, &copy);
        let read = |name: &str| fs::read_to_string(copy.join(name)).ok();
        (read("synced"), read("named"))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(left(Lost::Nothing), (text("new"), text("never synced")));
    assert_eq!(left(Lost::Names), (text("old"), None));
    assert_eq!(left(Lost::Bytes), (text("old"), text("")));
    assert_eq!(fs::metadata(copy.join("synced")).expect("there").permissions().mode() & 0o600, 0o600);
}
