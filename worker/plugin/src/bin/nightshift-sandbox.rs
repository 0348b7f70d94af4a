//! A sandbox's launcher and nothing else, for the tests of this crate: the core and the command line are their own.

use std::process::ExitCode;

fn main() -> ExitCode {
    nightshift_plugin::sandbox::entered(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}
