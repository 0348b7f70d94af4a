//! The local stop file, `STATE/STOP`: written and removed by boot, so that it works even when the launcher does not.

use std::fs;
use std::io::{self, Read};

use nightshift_contract::layout::StateDir;

/// The reason in the stop file; `None` when there is no such file. Anything of that name stops, readable or not.
pub fn reason(state: &StateDir) -> Option<String> {
    let path = state.stop();
    let mut text = String::new();
    let read = fs::symlink_metadata(&path).and_then(|present| match present.is_file() {
        true => fs::File::open(&path)?.take(1000).read_to_string(&mut text),
        // A link that leads nowhere would look like no file, and a pipe would hold up whoever opens it.
        false => Err(io::Error::other("it is no plain file")),
    });
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => text = format!("{} cannot be read: {error}", path.display()),
    }
    match text.trim().lines().next() {
        None | Some("") => Some("no reason given".to_owned()),
        Some(line) => Some(line.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_file_stops_whatever_it_holds() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDir::new(folder.path());
        assert_eq!(reason(&state), None);
        fs::write(state.stop(), "").expect("writable");
        assert_eq!(reason(&state).as_deref(), Some("no reason given"));
        fs::write(state.stop(), "cleaning\nuntil noon\n").expect("writable");
        assert_eq!(reason(&state).as_deref(), Some("cleaning"));
        fs::write(state.stop(), [0xff, 0xfe]).expect("writable");
        assert!(reason(&state).is_some_and(|reason| reason.contains("cannot be read")));
        fs::remove_file(state.stop()).expect("removable");
        fs::create_dir(state.stop()).expect("writable");
        assert!(reason(&state).is_some());
        fs::remove_dir(state.stop()).expect("removable");
        std::os::unix::fs::symlink("/nowhere/at/all", state.stop()).expect("writable");
        assert!(reason(&state).is_some(), "a link that leads nowhere");
        fs::remove_file(state.stop()).expect("removable");
        rustix::fs::mkfifoat(rustix::fs::CWD, state.stop(), rustix::fs::Mode::RUSR).expect("a pipe");
        assert!(reason(&state).is_some(), "a pipe nobody writes to");
    }
}
