//! Compiles the C programs that these benchmarks bring.
#![allow(
    clippy::disallowed_methods,
    reason = "the one file of these benchmarks that starts a compiler and its programs"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The folder of the plugins' C sources.
pub(super) fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin/guests")
}

/// The folder of the benchmarks' own.
pub(super) fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench/plugins")
}

/// Compiles `sources` into `program`, with headers from `include`.
pub(super) fn native(sources: &[PathBuf], include: &Path, program: &Path) -> Result<()> {
    let mut command = Command::new("cc");
    command.args(["-O2", "-std=gnu11", "-I"]).arg(include).arg("-o").arg(program).args(sources);
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What `program` prints, given `files`.
pub(super) fn said(program: &Path, files: &[&Path]) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.args(files).output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
