//! This test program once more, as a process of its own that can be killed.
#![allow(
    clippy::disallowed_methods,
    reason = "the one file of these tests that starts processes and reads what they are given"
)]

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// Tells the child which database to write.
const DATABASE: &str = "NIGHTSHIFT_CRASH_DATABASE";

/// The database this process was started for; `None` when it is not such a child.
pub(crate) fn database() -> Option<PathBuf> {
    std::env::var_os(DATABASE).map(PathBuf::from)
}

/// Makes a key (`key.pem`) and a certificate that it signed itself (`cert.pem`) in a folder; whether openssl is there to do so.
pub(crate) fn make_certificate(folder: &Path) -> bool {
    let arguments = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -keyout key.pem -out cert.pem";
    let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).stdin(Stdio::null()).output();
    made.is_ok_and(|made| made.status.success())
}

/// One test of this program, running alone in a process; killed and waited for at the latest when it is dropped.
pub(crate) struct Doomed {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Doomed {
    /// Starts an ignored test on a database.
    pub(crate) fn start(test: &str, database: &Path) -> Doomed {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env(DATABASE, database)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start this program again");
        let said = BufReader::new(child.stdout.take().expect("its standard output"));
        Doomed { child, said }
    }

    /// The next line it says; `None` when it ended by itself.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.said.read_line(&mut line).expect("read what the child says");
        (read > 0).then_some(line)
    }

    /// Kills it at once, as a power cut would end it, and gives what it had said by then.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("kill the child");
        std::iter::from_fn(|| self.line()).collect()
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
