//! For the tests: a process that adopts orphans and starts a perl script under a mark, `keeper MARK READY SCRIPT [hold]`.
//! Once the script has written the file READY it ends its family and prints how many were killed; with `hold` it waits
//! for the end of its stdin instead, and then goes without ending anything.
#![allow(clippy::disallowed_methods, reason = "a stage for tests: it starts what the tests then end")]

use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nightshift_kin::{Roots, adopt_orphans, end};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mark, ready, script, rest @ ..] = arguments.as_slice() else { return ExitCode::from(2) };
    let mut command = Command::new("perl");
    command.args(["-e", script, ready]).stdin(Stdio::null());
    nightshift_kin::mark(&mut command, mark);
    let started = adopt_orphans().and_then(|()| command.spawn());
    let Ok(child) = started else { return ExitCode::from(3) };
    while !Path::new(ready).exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    if !rest.is_empty() {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        return ExitCode::SUCCESS;
    }
    let roots = Roots { below: Some(std::process::id()), ..Roots::default() };
    let ended = end(&roots, &[], Duration::from_secs(30));
    drop(child);
    match ended {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(4),
    }
}
