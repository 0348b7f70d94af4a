//! What may stand in a release's tree: plain files in plain folders, under names that are the same file everywhere.
//!
//! [`parse`] reads one raw tree object; [`check_entries`] judges all entries of a release. Walking from tree to tree and
//! reading contents is `updater/engine`'s business; it stops at [`MAX_ENTRIES`].

use std::collections::HashMap;

/// Files and folders in a release, at most.
pub const MAX_ENTRIES: usize = 20_000;
/// Bytes in a file, at most.
pub const MAX_FILE_BYTES: u64 = 512 << 20;
/// Bytes in all files, at most.
pub const MAX_TOTAL_BYTES: u64 = 2 << 30;
/// Folders inside each other, at most.
pub const MAX_DEPTH: usize = 16;
/// Bytes in a path, at most: file systems take 4,096 with the state folder's own before it.
pub const MAX_PATH_BYTES: usize = 1024;
/// Bytes in one raw tree object, at most.
pub const MAX_TREE_BYTES: u64 = 8 << 20;

/// Git's mode of a folder.
pub const MODE_FOLDER: u32 = 0o040000;
/// Git's mode of a file.
pub const MODE_FILE: u32 = 0o100644;
/// Git's mode of a program.
pub const MODE_PROGRAM: u32 = 0o100755;

/// One entry of a raw tree object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEntry<'a> {
    /// Git's mode.
    pub mode: u32,
    /// The name as it stands there.
    pub name: &'a [u8],
    /// The object's id.
    pub id: [u8; 20],
}

/// A file, folder or anything else in a release's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path from the root, parted by `/`, as the bytes in git.
    pub path: Vec<u8>,
    /// Git's mode.
    pub mode: u32,
    /// Bytes in a file; 0 for anything else.
    pub size: u64,
}

/// What in a tree cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {problem}", self.subject())]
pub struct TreeError {
    /// The path; empty for the tree as a whole.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

impl TreeError {
    /// The path for people.
    fn subject(&self) -> String {
        if self.path.is_empty() { "the tree".to_owned() } else { format!("{:?}", self.path) }
    }

    /// A problem of one path. A path too long to read aloud is cut short.
    pub fn new(path: &[u8], problem: impl Into<String>) -> Self {
        const SHOWN: usize = 200;
        let mut shown = String::from_utf8_lossy(path.get(..SHOWN).unwrap_or(path)).into_owned();
        if path.len() > SHOWN {
            shown.push('…');
        }
        Self { path: shown, problem: problem.into() }
    }
}

/// Reads a raw tree object: `MODE SPACE NAME NUL` and 20 bytes of id, again and again. `None` when it is not one, or not
/// exactly as git writes it.
pub fn parse(raw: &[u8]) -> Option<Vec<RawEntry<'_>>> {
    parse_loosely(raw).filter(|entries| encode(entries.clone()) == raw)
}

/// As [`parse`], in any order and with modes spelled in any way: enough to find a stop flag in.
pub fn parse_loosely(raw: &[u8]) -> Option<Vec<RawEntry<'_>>> {
    let mut entries = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let space = rest.iter().take(8).position(|byte| *byte == b' ')?;
        let mode = u32::from_str_radix(str::from_utf8(&rest[..space]).ok()?, 8).ok()?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = rest.get(space + 1..end)?;
        let id = rest.get(end + 1..end + 21)?.try_into().ok()?;
        entries.push(RawEntry { mode, name, id });
        rest = &rest[end + 21..];
    }
    Some(entries)
}

/// The raw tree object of these entries, which may come in any order.
pub fn encode(mut entries: Vec<RawEntry<'_>>) -> Vec<u8> {
    // Git sorts a folder as if its name ended with a slash.
    let slash = |entry: &RawEntry<'_>| if entry.mode == MODE_FOLDER { &b"/"[..] } else { &b""[..] };
    entries.sort_by(|a, b| a.name.iter().chain(slash(a)).cmp(b.name.iter().chain(slash(b))));
    let mut raw = Vec::new();
    for entry in entries {
        raw.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
        raw.extend_from_slice(entry.name);
        raw.push(0);
        raw.extend_from_slice(&entry.id);
    }
    raw
}

/// Judges a folder before its raw tree object of `size` bytes is read, so that reading a tree takes bounded memory.
pub fn check_folder(path: &[u8], size: u64) -> Result<(), TreeError> {
    let problem = if path.iter().filter(|byte| **byte == b'/').count() >= MAX_DEPTH {
        "is too deep inside other folders".to_owned()
    } else if path.len() > MAX_PATH_BYTES {
        "is too long".to_owned()
    } else if size > MAX_TREE_BYTES {
        format!("holds more than {MAX_ENTRIES} files and folders, or monstrous names")
    } else if size == 0 && !path.is_empty() {
        "is an empty folder, which no checkout has".to_owned()
    } else {
        return Ok(());
    };
    Err(TreeError::new(path, problem))
}

/// Judges all entries of a tree, folders included.
pub fn check_entries(entries: &[Entry]) -> Result<(), TreeError> {
    if entries.len() > MAX_ENTRIES {
        return Err(TreeError::new(b"", format!("holds more than {MAX_ENTRIES} files and folders")));
    }
    let mut seen: HashMap<String, &Entry> = HashMap::with_capacity(entries.len());
    let mut total = 0_u64;
    for entry in entries {
        let wrong = |problem: String| TreeError::new(&entry.path, problem);
        check_mode(entry.mode).map_err(|problem| wrong(problem.to_owned()))?;
        let path = check_path(&entry.path).map_err(|problem| wrong(problem.to_owned()))?;
        if entry.size > MAX_FILE_BYTES {
            return Err(wrong(format!("is larger than {} MiB", MAX_FILE_BYTES >> 20)));
        }
        total = total.saturating_add(entry.size);
        if total > MAX_TOTAL_BYTES {
            return Err(TreeError::new(b"", format!("is larger than {} MiB", MAX_TOTAL_BYTES >> 20)));
        }
        if let Some(other) = seen.insert(path.to_lowercase(), entry) {
            let other = String::from_utf8_lossy(&other.path);
            return Err(wrong(format!("differs from {other:?} at most by upper and lower case")));
        }
    }
    Ok(())
}

fn check_mode(mode: u32) -> Result<(), &'static str> {
    match mode {
        MODE_FILE | MODE_PROGRAM | MODE_FOLDER => Ok(()),
        0o120000 => Err("is a symbolic link"),
        0o160000 => Err("is a submodule"),
        _ => Err("is neither a file nor a folder"),
    }
}

fn check_path(path: &[u8]) -> Result<&str, &'static str> {
    let path = str::from_utf8(path).map_err(|_| "is not UTF-8")?;
    if path.chars().any(char::is_control) {
        return Err("has a control character in its name");
    }
    if path.contains(['\\', ':']) {
        return Err("has a backslash or a colon in its name");
    }
    if path.split('/').count() > MAX_DEPTH {
        return Err("is too deep inside other folders");
    }
    if path.len() > MAX_PATH_BYTES {
        return Err("is too long");
    }
    for name in path.split('/') {
        match name {
            "" => return Err("is an empty name or an absolute path"),
            "." | ".." => return Err("leads out of its folder"),
            _ if name.len() > 255 => return Err("is too long"),
            _ if name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1") => {
                return Err("is git's own folder");
            }
            _ => {}
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Entry {
        Entry { path: path.as_bytes().to_vec(), mode: MODE_FILE, size: 1 }
    }

    fn problem(entries: &[Entry]) -> String {
        check_entries(entries).expect_err("hostile").to_string()
    }

    #[test]
    fn plain_files_and_folders_are_taken() {
        let folder = Entry { mode: MODE_FOLDER, size: 0, ..file("plugins") };
        let program = Entry { mode: MODE_PROGRAM, ..file("plugins/run.sh") };
        assert_eq!(check_entries(&[folder, program, file("nightshift.toml"), file("data/größe.csv")]), Ok(()));
    }

    #[test]
    fn symbolic_links_submodules_and_odd_modes_are_refused() {
        for (mode, why) in [
            (0o120000, "is a symbolic link"),
            (0o160000, "is a submodule"),
            (0o100664, "is neither"),
            (0o060000, "is neither"),
        ] {
            let message = problem(&[Entry { mode, ..file("a") }]);
            assert!(message.starts_with("\"a\" ") && message.contains(why), "{message}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["../x", "a/../b", "./a", "/etc/passwd", "a//b", "", "a/"] {
            check_entries(&[file(path)]).expect_err(path);
        }
    }

    #[test]
    fn gits_own_folder_is_refused_in_every_spelling() {
        for path in [".git/config", "a/.GIT", ".Git", "git~1/x"] {
            assert!(problem(&[file(path)]).contains("git's own folder"), "{path}");
        }
    }

    #[test]
    fn names_that_are_one_file_on_other_systems_are_refused() {
        assert!(problem(&[file("Data/x"), file("data/x")]).contains("upper and lower case"));
        assert!(problem(&[file("a"), file("a")]).contains("upper and lower case"));
        assert!(problem(&[file("größe"), file("GRÖßE")]).contains("upper and lower case"));
        for path in ["a\\b", "c:x", "a\nb", "a\u{7f}"] {
            check_entries(&[file(path)]).expect_err(path);
        }
        check_entries(&[Entry { path: vec![0xff], ..file("") }]).expect_err("not UTF-8");
    }

    #[test]
    fn trees_without_measure_are_refused() {
        assert!(problem(&[Entry { size: MAX_FILE_BYTES + 1, ..file("a") }]).contains("larger than 512 MiB"));
        let large: Vec<_> = (0..5).map(|n| Entry { size: MAX_FILE_BYTES, ..file(&n.to_string()) }).collect();
        assert!(problem(&large).contains("larger than 2048 MiB"));
        assert!(problem(&large).starts_with("the tree is larger"), "nobody reads \"\" as everything");
        let many: Vec<_> = (0..=MAX_ENTRIES).map(|n| file(&n.to_string())).collect();
        assert!(problem(&many).contains("more than 20000"));
        assert!(problem(&[file(&"a/".repeat(MAX_DEPTH + 1))]).contains("too deep"));
        assert!(problem(&[file(&"a".repeat(256))]).contains("too long"));
        assert!(problem(&[file(&["a".repeat(200).as_str(); 6].join("/"))]).contains("too long"));
        for (path, size) in [("a".repeat(2000), 1), ("a/".repeat(MAX_DEPTH + 1), 1), ("a".into(), MAX_TREE_BYTES + 1)] {
            check_folder(path.as_bytes(), size).expect_err(&path);
        }
        assert_eq!(check_folder(b"", 0), Ok(()));
    }

    #[test]
    fn an_empty_folder_is_refused_because_no_slot_could_hold_it_as_signed() {
        assert!(check_folder(b"data", 0).expect_err("empty").to_string().contains("\"data\" is an empty folder"));
    }

    #[test]
    fn a_path_in_a_message_is_cut_short() {
        assert!(problem(&[file(&"a".repeat(1 << 20))]).len() < 300);
    }

    #[test]
    fn a_tree_that_git_would_write_otherwise_still_shows_what_is_in_it() {
        let entry = |text: &[u8]| [text, &[0], &[7; 20]].concat();
        let raw = [entry(b"100644 b"), entry(b"040000 sub"), entry(b"100644 STOP")].concat();
        let names: Vec<_> = parse_loosely(&raw).expect("a tree").iter().map(|entry| entry.name.to_vec()).collect();
        assert_eq!(names, [b"b".to_vec(), b"sub".to_vec(), b"STOP".to_vec()]);
    }

    #[test]
    fn a_raw_tree_is_read_entry_by_entry() {
        let mut raw = b"100644 a b\0".to_vec();
        raw.extend([7; 20]);
        raw.extend(b"40000 sub\0");
        raw.extend([8; 20]);
        let entries = parse(&raw).expect("a tree");
        assert_eq!(entries[0], RawEntry { mode: MODE_FILE, name: b"a b", id: [7; 20] });
        assert_eq!(entries[1], RawEntry { mode: MODE_FOLDER, name: b"sub", id: [8; 20] });
        assert_eq!(parse(b""), Some(Vec::new()));
    }

    #[test]
    fn folders_are_sorted_as_if_their_names_ended_with_a_slash() {
        let entry = |mode, name| RawEntry { mode, name, id: [1; 20] };
        let raw = encode(vec![entry(MODE_FILE, b"a0"), entry(MODE_FOLDER, b"a"), entry(MODE_FILE, b"a.b")]);
        let names: Vec<_> = parse(&raw).expect("a tree").iter().map(|entry| entry.name.to_vec()).collect();
        assert_eq!(names, [b"a.b".to_vec(), b"a".to_vec(), b"a0".to_vec()]);
    }

    #[test]
    fn a_tree_that_git_would_write_otherwise_is_no_tree() {
        let entry = |text: &[u8]| [text, &[0], &[7; 20]].concat();
        assert!(parse(&[entry(b"100644 a"), entry(b"100644 b")].concat()).is_some());
        assert_eq!(parse(&[entry(b"100644 b"), entry(b"100644 a")].concat()), None);
        assert_eq!(parse(&entry(b"040000 sub")), None);
    }

    #[test]
    fn a_torn_tree_is_no_tree() {
        let mut raw = b"100644 a\0".to_vec();
        raw.extend([7; 20]);
        for end in 1..raw.len() {
            assert_eq!(parse(&raw[..end]), None, "{end}");
        }
        assert_eq!(parse(b"9x a\0aaaaaaaaaaaaaaaaaaaa"), None);
    }
}
