//! What holds for every input, tried on many.

use jiff::{Timestamp, ToSpan};
use nightshift_manifest::binaries::{BINARIES_FILE, Binaries, Binary, Digest, Place, Program};
use nightshift_manifest::hours::{Hours, Window};
use nightshift_manifest::plugin::PluginManifest;
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::signers::Signers;
use nightshift_manifest::stop::StopFlag;
use nightshift_manifest::tree::{self, RawEntry};
use nightshift_manifest::version::ReleaseVersion;
use nightshift_manifest::{duration, tag};
use proptest::prelude::*;

const KEY: &str = "ann ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqi";

/// Pieces that tags are made of, in any order: nearer to the truth than random bytes.
fn nearly_a_tag() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"object 0123456789abcdef0123456789abcdef01234567\n".to_vec()),
        Just(b"type commit\n".to_vec()),
        Just(b"tag v1.5.0\n".to_vec()),
        Just(b"tagger Ann <a@b> 1772000000 +0000\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"-----BEGIN SSH SIGNATURE-----\n".to_vec()),
        Just(b"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg\n".to_vec()),
        Just(b"-----END SSH SIGNATURE-----\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A line of working hours.
fn hours_line() -> impl Strategy<Value = String> {
    let day = prop::sample::select(vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);
    let minute = (0..24_u8, 0..60_u8).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"));
    (day.clone(), day, prop::option::of((minute.clone(), minute))).prop_map(|(first, last, times)| match times {
        Some((from, to)) if from != to => format!("{first}-{last} {from}-{to}"),
        _ => format!("{first}-{last}"),
    })
}

/// A program as a release names it.
fn binary() -> impl Strategy<Value = Binary> {
    let target = prop::sample::select(vec!["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "riscv64gc-a-b"]);
    (any::<bool>(), any::<[u64; 3]>(), target, 1..=512_u64 << 20, any::<[u8; 32]>()).prop_map(
        |(core, [major, minor, patch], target, size, digest)| Binary {
            program: if core { Program::Core } else { Program::Launcher },
            version: ReleaseVersion::new(major, minor, patch),
            target: target.to_owned(),
            size,
            sha256: Digest::of_bytes(digest),
        },
    )
}

proptest! {
    #[test]
    fn the_programs_of_a_release_are_read_as_they_were_written(
        named in prop::collection::vec(binary(), 1..8),
        noise in "\\PC{0,40}",
        cut in any::<prop::sample::Index>(),
    ) {
        let binaries = named.iter().fold(Binaries::default(), |list, binary| list.with(binary.clone()));
        let text = binaries.to_toml();
        prop_assert_eq!(Binaries::parse(&text, BINARIES_FILE), Ok(binaries));
        let last = named.last().expect("one");
        let wanted = Binaries::parse(&text, BINARIES_FILE).expect("read");
        prop_assert!(wanted.iter().any(|binary| binary == last), "the last one named stands");
        // Noise in between is an error, or no more than a comment: never another program.
        let mut at = cut.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        if let Ok(read) = Binaries::parse(&format!("{}{noise}{}", &text[..at], &text[at..]), BINARIES_FILE) {
            prop_assert!(read.iter().count() <= named.len());
        }
    }

    #[test]
    fn no_tag_without_a_good_signature_is_believed(raw in nearly_a_tag()) {
        let signers = Signers::parse(KEY).expect("a key set");
        tag::verify(&raw, "v1.5.0", &signers).expect_err("nobody signed it");
    }

    #[test]
    fn nothing_a_person_writes_brings_a_parser_down(text in "\\PC{0,200}") {
        let _ = GridSettings::parse(&text, "nightshift.toml");
        let _ = PluginManifest::parse("p", &text);
        let _ = Binaries::parse(&text, BINARIES_FILE);
        let _ = text.parse::<Place>();
        let _ = Signers::parse(&text);
        let _ = duration::parse(&text);
        let _ = Hours::always().add(&text);
        let _ = ReleaseVersion::parse_tag(&text);
        StopFlag::of_entry(b"STOP", "control", Some(text.as_bytes()));
    }

    #[test]
    fn a_tree_that_can_be_read_is_written_the_same(
        names in prop::collection::btree_set("[a-zA-Z0-9._-]{1,12}", 0..20),
        folder in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mode = if folder { tree::MODE_FOLDER } else { tree::MODE_FILE };
        let entries = names.iter().map(|name| RawEntry { mode, name: name.as_bytes(), id: [3; 20] }).collect();
        let raw = tree::encode(entries);
        prop_assert_eq!(tree::parse(&raw).map(tree::encode), Some(raw));
        if let Some(read) = tree::parse(&noise) {
            prop_assert_eq!(tree::encode(read), noise);
        }
    }

    #[test]
    fn a_release_is_named_by_its_tag_and_by_nothing_else(major in any::<u64>(), minor in any::<u64>(), patch in any::<u64>()) {
        let version = ReleaseVersion::new(major, minor, patch);
        prop_assert_eq!(ReleaseVersion::parse_tag(&version.tag()), Ok(version));
        prop_assert!(ReleaseVersion::parse_tag(&version.to_string()).is_err());
    }

    #[test]
    fn a_window_is_open_until_it_closes_and_closed_until_it_opens(
        lines in prop::collection::vec(hours_line(), 1..4),
        zone in prop::sample::select(vec!["UTC", "Europe/London", "America/New_York", "Asia/Kolkata"]),
        minutes in 0..600_000_i64,
    ) {
        let mut hours = Hours::in_zone(zone).expect("a zone");
        for line in &lines {
            hours.add(line).expect("a line");
        }
        let now = Timestamp::from_second(1_772_000_000 + minutes * 60).expect("a time");
        let is_open = |at: Timestamp| matches!(hours.open_until(at), Window::Open { .. });
        match hours.open_until(now) {
            Window::Open { until: Some(until) } => {
                prop_assert!(until > now);
                prop_assert!(is_open(until - 1.second()));
                prop_assert!(!is_open(until));
            }
            Window::Closed { opens } => {
                prop_assert!(opens > now);
                prop_assert!(!is_open(opens - 1.second()));
                prop_assert!(is_open(opens));
            }
            Window::Open { until: None } => prop_assert!(is_open(now + (6 * 24).hours())),
        }
    }
}
