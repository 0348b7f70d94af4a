//! Becoming the launcher: the process stays the same, so signals and the exit code need no passing on.
#![allow(clippy::disallowed_methods, reason = "the launcher is started here; it takes this process's place")]

use std::os::unix::process::CommandExt;
use std::process::Command;

use nightshift_contract::exit::Exit;
use nightshift_contract::layout::LAUNCHER;

use crate::Failure;
use crate::arguments::Arguments;

/// Becomes the launcher that stands beside this program. Comes back only when that failed.
pub(crate) fn become_launcher(command: &str, arguments: &Arguments) -> Failure {
    let failed = |message| Failure { exit: Exit::Failed, message };
    let launcher = match std::env::current_exe() {
        Ok(boot) => boot.with_file_name(LAUNCHER),
        Err(error) => return failed(format!("looking for {LAUNCHER} beside this program: {error}")),
    };
    let error = Command::new(&launcher)
        .arg(command)
        .arg("--config")
        .arg(&arguments.config)
        .args(arguments.json.then_some("--json"))
        .exec();
    failed(format!("starting {}: {error}; install it there again", launcher.display()))
}
