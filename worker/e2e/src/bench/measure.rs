//! Wall and CPU time of commands.
#![allow(clippy::disallowed_methods, reason = "the one file of the benchmarks that starts commands and reads clocks")]

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What one run of a command cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    /// From its start to its end, in milliseconds.
    pub(super) wall_ms: f64,
    /// User and system time of the command and of every process it waited for, in milliseconds.
    pub(super) cpu_ms: f64,
}

/// Runs a program to its end, which has to be exit code 0, and says what it cost. Only one program may be measured at
/// a time: the kernel adds up the CPU time of all children.
pub(super) fn cost(program: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Result<Cost> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let before = children_cpu()?;
    let begun = Instant::now();
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    let wall = begun.elapsed();
    let cpu = children_cpu()?.saturating_sub(before);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
    Ok(Cost { wall_ms: millis(wall), cpu_ms: millis(cpu) })
}

/// The middle of the values; the mean of the two in the middle when their number is even.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

fn children_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking for the CPU time of children")?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
