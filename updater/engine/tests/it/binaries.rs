//! Programs on their way into a slot, from places that are slow, broken, lying or away.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use nightshift_engine::binaries::{FetchError, FetchLimits, Fetcher, digest_of, is_it};
use nightshift_manifest::binaries::{Binary, Place, Program, Wanted};
use nightshift_testbed::web::{Answering, Web};
use tempfile::TempDir;

/// A program, a web server that has it, and a worker's folders.
struct Way {
    web: Web,
    bytes: Vec<u8>,
    binary: Binary,
    fetcher: Fetcher,
    bin: PathBuf,
    folder: TempDir,
}

impl Way {
    fn new() -> Way {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = folder.path().join("built");
        fs::write(&file, &bytes).expect("written");
        let binary = Binary {
            program: Program::Core,
            version: "0.2.0".parse().expect("a version"),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            size: bytes.len() as u64,
            sha256: digest_of(&file).expect("read"),
        };
        let web = Web::start().expect("a server");
        web.put(binary.sha256.as_str(), bytes.clone());
        let fetcher = Fetcher {
            places: vec![web.url().parse().expect("a place")],
            job_server: None,
            downloads: folder.path().join("downloads"),
            near: Vec::new(),
            watch: Arc::new(|_| true),
            limits: FetchLimits { silence: Duration::from_secs(20), total: Duration::from_secs(60) },
        };
        Way { web, bytes, binary, fetcher, bin: folder.path().join("slot/bin"), folder }
    }

    fn fetch(&self) -> Result<(), FetchError> {
        self.fetcher.fetch(&Wanted { core: Some(self.binary.clone()), launcher: None }, &self.bin)
    }

    fn program(&self) -> PathBuf {
        self.bin.join("nightshift-core")
    }

    /// It arrived whole, can be run and not be changed, and nothing else is left.
    fn arrived(&self) {
        assert!(is_it(&self.program(), &self.binary));
        assert_eq!(fs::metadata(self.program()).expect("there").permissions().mode() & 0o777, 0o555);
        assert_eq!(fs::read_dir(&self.bin).expect("listed").count(), 1);
        assert_eq!(fs::read_dir(&self.fetcher.downloads).expect("listed").count(), 0);
    }

    /// It did not arrive, and the error says why.
    fn refused(&self, why: &str) {
        let error = self.fetch().expect_err(why);
        let text = error.to_string();
        assert!(text.contains(why) && text.contains(&self.web.url()), "{text}");
        assert!(!self.program().exists(), "{text}");
    }

    /// Where the requests began.
    fn asked_from(&self) -> Vec<usize> {
        self.web.asked().iter().map(|asked| asked.from).collect()
    }

    fn folder_place(&self, name: &str, bytes: &[u8]) -> Place {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join(self.binary.sha256.as_str()), bytes).expect("written");
        Place::Folder(folder)
    }
}

#[test]
fn a_program_arrives_whole_from_a_web_server() {
    let way = Way::new();
    way.fetch().expect("arrives");
    way.arrived();
    way.fetch().expect("is there");
    assert_eq!(way.web.asked().len(), 1, "what is there is not fetched again");
}

#[test]
fn a_program_arrives_from_a_folder() {
    let mut way = Way::new();
    way.fetcher.places = vec![way.folder_place("shelf", &way.bytes)];
    way.fetch().expect("arrives");
    way.arrived();
    assert!(way.web.asked().is_empty());
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_was() {
    let way = Way::new();
    way.web.answer([Answering::BreaksOffAfter(500_000), Answering::BreaksOffAfter(100_000)]);
    way.refused("broke off after 500000 of 1200000 bytes");
    way.refused("broke off after 600000 of 1200000 bytes");
    way.fetch().expect("arrives");
    way.arrived();
    assert_eq!(way.asked_from(), [0, 500_000, 600_000]);
}

#[test]
fn a_download_goes_on_at_the_next_place() {
    let mut way = Way::new();
    let other = Web::start().expect("a server");
    other.put(way.binary.sha256.as_str(), way.bytes.clone());
    way.fetcher.places.push(other.url().parse().expect("a place"));
    way.web.answer([Answering::BreaksOffAfter(700_000)]);
    way.fetch().expect("arrives");
    way.arrived();
    assert_eq!(other.asked()[0].from, 700_000);
}

#[test]
fn a_server_that_only_sends_everything_is_taken_too() {
    let way = Way::new();
    way.web.answer([Answering::BreaksOffAfter(500_000), Answering::Whole]);
    way.refused("broke off");
    way.fetch().expect("arrives");
    way.arrived();
}

#[test]
fn a_wrong_byte_throws_everything_away() {
    for answering in [Answering::FlippedAt(0), Answering::FlippedAt(1_199_999), Answering::Zeros] {
        let way = Way::new();
        way.web.answer([answering]);
        way.refused("sent other bytes than the release names");
        assert_eq!(fs::read_dir(&way.fetcher.downloads).expect("listed").count(), 0, "{answering:?}");
        way.fetch().expect("arrives");
        way.arrived();
        assert_eq!(way.asked_from(), [0, 0], "{answering:?}");
    }
}

#[test]
fn wrong_bytes_of_an_earlier_place_are_not_held_against_the_next() {
    let way = Way::new();
    fs::create_dir_all(&way.fetcher.downloads).expect("made");
    let partial = way.fetcher.downloads.join(format!("{}.part", way.binary.sha256));
    fs::write(partial, vec![7; 400_000]).expect("written");
    way.fetch().expect("arrives");
    way.arrived();
    assert_eq!(way.asked_from(), [400_000, 0]);
}

#[test]
fn a_place_that_sends_garbage_is_passed_over() {
    let mut way = Way::new();
    let garbage = way.folder_place("garbage", &vec![0; way.bytes.len()]);
    way.fetcher.places.insert(0, garbage);
    way.fetch().expect("arrives");
    way.arrived();
}

#[test]
fn a_file_of_another_size_is_not_begun_or_left_at_once() {
    for (answering, why) in [
        (Answering::Longer(1), "has 1200001 bytes under this name, and the release says 1200000"),
        (Answering::LongerUnsaid(1_000_000), "bytes under this name, and the release says 1200000"),
        (Answering::Shorter(5000), "broke off after 5000 of 1200000 bytes"),
        (Answering::Status(503), "answers otherwise than with a file (status 503)"),
    ] {
        let way = Way::new();
        way.web.answer([answering]);
        way.refused(why);
        let kept = fs::read_dir(&way.fetcher.downloads).expect("listed").flatten();
        assert!(kept.map(|entry| entry.metadata().expect("there").len()).sum::<u64>() <= 1_200_000, "{answering:?}");
        way.fetch().expect("arrives");
        way.arrived();
    }
}

#[test]
fn another_part_than_was_asked_for_is_not_taken() {
    let way = Way::new();
    way.web.answer([Answering::BreaksOffAfter(500_000), Answering::OtherPart]);
    way.refused("broke off");
    way.refused("it is another part than was asked for");
    way.fetch().expect("arrives");
    way.arrived();
}

#[test]
fn a_place_that_falls_silent_is_left_after_a_while() {
    let mut way = Way::new();
    way.fetcher.limits.silence = Duration::from_millis(300);
    way.web.answer([Answering::SilentAfter(100_000)]);
    way.refused("it said nothing for 0.3 s");
    way.fetcher.limits.silence = Duration::from_secs(20);
    way.fetch().expect("arrives");
    way.arrived();
}

#[test]
fn every_place_is_named_with_its_fault() {
    let mut way = Way::new();
    let empty = way.folder.path().join("empty");
    fs::create_dir_all(&empty).expect("made");
    way.fetcher.places = vec![Place::JobServer, Place::Folder(empty), "http://127.0.0.1:1/".parse().expect("a place")];
    let text = way.fetch().expect_err("nowhere").to_string();
    for part in [
        "fetching core 0.2.0 (SHA-256 ",
        "jobserver is named, and this worker has none",
        "empty does not have it",
        "http://127.0.0.1:1/ cannot be asked (",
        "tried again at the next look",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn the_same_program_in_another_slot_is_linked_and_not_fetched() {
    let mut way = Way::new();
    way.fetch().expect("arrives");
    let before = way.program();
    way.fetcher.near = vec![way.bin.clone()];
    way.bin = way.folder.path().join("next/bin");
    way.fetch().expect("is near");
    way.arrived();
    let inode = |path| fs::metadata(path).expect("there").ino();
    assert_eq!(inode(before), inode(way.program()));
    assert_eq!(way.web.asked().len(), 1);
}

#[test]
fn a_damaged_program_in_another_slot_is_fetched_anew() {
    let mut way = Way::new();
    let damaged = way.folder.path().join("damaged/bin");
    fs::create_dir_all(&damaged).expect("made");
    let mut bytes = way.bytes.clone();
    bytes[77] ^= 4;
    fs::write(damaged.join("nightshift-core"), bytes).expect("written");
    way.fetcher.near = vec![damaged];
    way.fetch().expect("arrives");
    way.arrived();
    assert_eq!(way.web.asked().len(), 1);
}

#[test]
fn a_program_that_does_not_fit_the_disk_is_not_begun() {
    let mut way = Way::new();
    way.binary.size = 1 << 60;
    let error = way.fetch().expect_err("an exbibyte does not fit");
    assert!(matches!(error, FetchError::NoRoom { .. }), "{error}");
    assert!(error.to_string().contains("MiB left"), "{error}");
    assert!(way.web.asked().is_empty());
}

#[test]
fn a_download_that_is_stopped_goes_on_later() {
    let mut way = Way::new();
    let stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stopped);
    way.fetcher.watch = Arc::new(move |here| {
        if here >= 600_000 {
            seen.store(true, Ordering::SeqCst);
        }
        !seen.load(Ordering::SeqCst)
    });
    let error = way.fetch().expect_err("stopped");
    assert!(matches!(error, FetchError::Ended { .. }), "{error}");
    way.fetcher.watch = Arc::new(|_| true);
    way.fetch().expect("arrives");
    way.arrived();
    assert!(way.asked_from()[1] >= 600_000, "{:?}", way.asked_from());
}

#[test]
fn a_stop_does_not_wait_for_a_place_that_fell_silent() {
    let mut way = Way::new();
    way.fetcher.limits.silence = Duration::from_secs(3600);
    way.web.answer([Answering::SilentAfter(600_000)]);
    let (asked, before) = (AtomicUsize::new(0), AtomicU64::new(0));
    // Stopped while no byte comes: asked again and again about as many.
    way.fetcher.watch = Arc::new(move |here| {
        if before.swap(here, Ordering::SeqCst) != here {
            asked.store(0, Ordering::SeqCst);
        }
        here == 0 || asked.fetch_add(1, Ordering::SeqCst) < 3
    });
    let error = way.fetch().expect_err("stopped");
    assert!(matches!(error, FetchError::Ended { .. }), "{error}");
}

#[test]
fn what_is_left_of_programs_nobody_wants_is_removed() {
    let way = Way::new();
    fs::create_dir_all(way.fetcher.downloads.join(".tmp-left-behind")).expect("made");
    fs::write(way.fetcher.downloads.join("0123.part"), "half of another").expect("written");
    way.fetch().expect("arrives");
    way.arrived();
}
