//! Becoming the launcher: the process stays the same, so signals and the exit code need no passing on.
#![allow(clippy::disallowed_methods, reason = "the launcher is started here; it takes this process's place")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nightshift_contract::exit::Exit;
use nightshift_contract::layout::LAUNCHER;

use crate::Failure;
use crate::arguments::Arguments;
use crate::choice::Choice;

/// Becomes the first launcher of the choice that can be started, at last the installed one, which stands beside this
/// program. Comes back only when none can.
pub(crate) fn become_launcher(command: &str, arguments: &Arguments, choice: &Choice) -> Failure {
    let failed = |message| Failure { exit: Exit::Failed, message };
    let boot = match std::env::current_exe() {
        Ok(boot) => boot,
        Err(error) => return failed(format!("looking for {LAUNCHER} beside this program: {error}")),
    };
    for program in &choice.programs {
        // Comes back only when it could not be started.
        let _ = exec(program, command, arguments, &boot);
        choice.note_fall_back();
    }
    let installed: PathBuf = boot.with_file_name(LAUNCHER);
    let error = exec(&installed, command, arguments, &boot);
    failed(format!("starting {}: {error}; install it there again", installed.display()))
}

/// The variable that names the certificate authorities OpenSSL trusts.
const AUTHORITIES: &str = "SSL_CERT_FILE";

fn exec(program: &Path, command: &str, arguments: &Arguments, boot: &Path) -> std::io::Error {
    Command::new(program)
        // A launcher believes the one authority that worker.toml pins. Reading the machine's hundred others, as OpenSSL does
        // when it is loaded, would be more than half of what a cycle costs that finds nothing to do.
        .env(AUTHORITIES, "/dev/null")
        .arg(command)
        .arg("--config")
        .arg(&arguments.config)
        .arg("--boot")
        .arg(boot)
        .arg("--launcher")
        .arg(program)
        .args(arguments.json.then_some("--json"))
        .exec()
}
