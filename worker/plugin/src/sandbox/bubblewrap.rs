//! Bubblewrap's arguments: a view of the machine in which there is nothing but the system's programs, the plugin's own files
//! and an empty folder for scratch; no other process, and no network unless it is declared.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nightshift_contract::shown::SYSTEM;

use super::cell::{Cell, Network, Shown};

/// Where bubblewrap may be installed.
pub(super) const PLACES: [&str; 3] = ["/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"];

/// Arguments for bubblewrap that have it start `program` with `arguments` inside. `settings` are what of /etc it sees;
/// `link_of` says where a link leads.
pub(super) fn arguments(
    cell: &Cell,
    program: &Path,
    arguments: impl IntoIterator<Item = OsString>,
    settings: &[PathBuf],
    link_of: impl Fn(&Path) -> Option<PathBuf>,
) -> Vec<OsString> {
    let mut all: Vec<OsString> = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        .iter()
        .chain(&["--die-with-parent", "--new-session"])
        .map(OsString::from)
        .collect();
    let mut add = |words: &[&dyn AsRef<std::ffi::OsStr>]| all.extend(words.iter().map(|word| word.as_ref().to_owned()));
    if !cell.network.is_shared() {
        add(&[&"--unshare-net"]);
    }
    for folder in SYSTEM.map(Path::new) {
        match link_of(folder) {
            Some(target) => add(&[&"--symlink", &target, &folder]),
            None => add(&[&"--ro-bind-try", &folder, &folder]),
        }
    }
    add(&[&"--perms", &"0755", &"--dir", &"/etc"]);
    for path in settings {
        add(&[&"--ro-bind-try", path, path]);
    }
    add(&[&"--proc", &"/proc", &"--dev", &"/dev"]);
    let size = cell.limits.scratch.max(1).to_string();
    for folder in ["/tmp", "/dev/shm"] {
        add(&[&"--perms", &"1777", &"--size", &size, &"--tmpfs", &folder]);
    }
    // Bubblewrap would make them for its own user alone.
    let socket = if let Network::Socket(path) = &cell.network { Some(path) } else { None };
    let paths = cell.readable.iter().map(|shown| &shown.at).chain([&cell.launcher]).chain(socket);
    let above: BTreeSet<&Path> = paths.flat_map(|path| path.ancestors().skip(1)).collect();
    for folder in above.into_iter().filter(|folder| *folder != Path::new("/")) {
        add(&[&"--perms", &"0755", &"--dir", &folder]);
    }
    for shown in cell.readable.iter().chain([&Shown::there(cell.launcher.clone())]) {
        add(&[&"--ro-bind", &shown.from, &shown.at]);
    }
    if let Some(path) = socket {
        add(&[&"--ro-bind", path, path]);
    }
    // They are in memory, and no limit counts them.
    add(&[&"--remount-ro", &"/dev", &"--remount-ro", &"/"]);
    add(&[&"--chdir", &"/", &"--", &program]);
    all.extend(arguments);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(cell: &Cell) -> String {
        let inside = ["x".into()];
        let etc = ["/etc/ssl".into()];
        let all = arguments(cell, Path::new("/n"), inside, &etc, |path| {
            (path == Path::new("/bin")).then(|| "usr/bin".into())
        });
        all.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_program_sees_the_system_and_its_own_files_and_no_network_unless_it_declares_it() {
        let cell = Cell {
            launcher: "/n".into(),
            readable: vec![Shown { from: "/c/p".into(), at: "/s/p".into() }],
            ..Cell::default()
        };
        let alone = words(&cell);
        for part in ["--unshare-net", "--symlink usr/bin /bin", "--ro-bind /c/p /s/p", "-- /n x"] {
            assert!(alone.contains(part), "{part} in {alone}");
        }
        assert_eq!(alone.matches(" /etc/").count(), 2, "/etc/ssl alone, from and to: {alone}");
        assert!(!words(&Cell { network: Network::All, ..cell }).contains("--unshare-net"));
    }
}
