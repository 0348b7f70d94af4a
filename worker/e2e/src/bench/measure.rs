//! Wall time, CPU time and memory: of commands, of a process that runs, of this one.
#![allow(clippy::disallowed_methods, reason = "the one file of the benchmarks that starts commands and reads clocks")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::{Add, Sub};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
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

/// What a program that was watched to its end came to.
#[derive(Debug)]
pub(super) struct Ran {
    /// From its start to its end.
    pub(super) wall: Duration,
    /// The most memory it ever had in use, in megabytes.
    pub(super) peak_mb: f64,
    pub(super) stdout: Vec<u8>,
}

/// Runs a program to its end, which has to be exit code 0, and watches its memory. The kernel keeps the peak until the
/// program ends, so the last of many looks is it, but for what came in the last moment.
pub(super) fn watched(program: &Path, arguments: &[&str]) -> Result<Ran> {
    const LOOK: Duration = Duration::from_millis(20);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("running {command:?}"))?;
    let process = Watched::new(child.id());
    let mut stdout = child.stdout.take().context("its stdout")?;
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).map(|_| all)
    });
    let mut peak_mb = 0.0_f64;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // Between its last breath and its end it has no memory to tell of.
        peak_mb = process.peak_memory_mb().unwrap_or(0.0).max(peak_mb);
        std::thread::sleep(LOOK);
    };
    let wall = begun.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    let stdout = reader.join().map_err(|_| anyhow!("reading what {command:?} prints"))??;
    Ok(Ran { wall, peak_mb, stdout })
}

/// How many bytes a program prints that is started in `folder` and told `input`.
pub(super) fn output_bytes(program: &str, arguments: &[&str], folder: &Path, input: &str) -> Result<usize> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("running {command:?}"))?;
    child.stdin.take().context("its stdin")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    Ok(output.stdout.len())
}

/// A program that answers each line with a line. It is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Talking {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Talking {
    pub(super) fn start(program: &Path) -> Result<Talking> {
        let mut command = Command::new(program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting a program")?;
        let (stdin, stdout) = (child.stdin.take().context("its stdin")?, child.stdout.take().context("its stdout")?);
        Ok(Talking { child, stdin, stdout: BufReader::new(stdout) })
    }

    /// The answer to `line`, which ends as lines do. The program has to read all of it before it answers.
    pub(super) fn ask(&mut self, line: &str) -> Result<Vec<u8>> {
        self.stdin.write_all(line.as_bytes())?;
        let mut answer = Vec::new();
        self.stdout.read_until(b'\n', &mut answer)?;
        Ok(answer)
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

/// A moment of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Moment(Instant);

impl Moment {
    pub(super) fn now() -> Moment {
        Moment(Instant::now())
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.0 - earlier.0
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, later: Duration) -> Moment {
        Moment(self.0 + later)
    }
}

/// A process that runs, seen through `/proc`.
#[derive(Debug)]
pub(super) struct Watched(PathBuf);

impl Watched {
    pub(super) fn new(pid: u32) -> Watched {
        Watched(PathBuf::from(format!("/proc/{pid}")))
    }

    /// User and system time it has used so far, in steps of the kernel's clock (10 ms).
    pub(super) fn cpu(&self) -> Result<Duration> {
        let path = self.0.join("stat");
        let stat = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        // The program's name, in brackets, may hold anything; utime and stime are the 12th and 13th after it.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let (Some(Ok(user)), Some(Ok(system))) = (times.next(), times.next()) else {
            bail!("{} has no CPU times: {stat}", path.display());
        };
        Ok(Duration::from_millis(10 * (user + system)))
    }

    /// Memory it has in use now, in megabytes.
    pub(super) fn memory_mb(&self) -> Result<f64> {
        self.status_mb("VmRSS:")
    }

    /// The most it ever had in use, in megabytes.
    pub(super) fn peak_memory_mb(&self) -> Result<f64> {
        self.status_mb("VmHWM:")
    }

    fn status_mb(&self, name: &str) -> Result<f64> {
        let path = self.0.join("status");
        let status = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib: f64 = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .and_then(|kib| kib.parse().ok())
            .with_context(|| format!("{} has no {name}", path.display()))?;
        Ok(kib * 1024.0 / 1e6)
    }
}

/// The machine's load average over the last minute, as the kernel writes it.
pub(super) fn load_average() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg").context("reading /proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

/// User and system time of this process so far.
pub(super) fn own_cpu() -> Result<Duration> {
    cpu(UsageWho::RUSAGE_SELF)
}

fn children_cpu() -> Result<Duration> {
    cpu(UsageWho::RUSAGE_CHILDREN)
}

fn cpu(who: UsageWho) -> Result<Duration> {
    let usage = getrusage(who).context("asking for CPU time")?;
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
    fn a_running_process_tells_its_cpu_time_and_memory() {
        let me = Watched::new(std::process::id());
        let (own, seen) = (own_cpu().expect("own"), me.cpu().expect("seen"));
        assert!(seen <= own + Duration::from_secs(1), "{seen:?} and {own:?}");
        let (now, peak) = (me.memory_mb().expect("now"), me.peak_memory_mb().expect("peak"));
        assert!(now > 0.0 && peak > 0.0);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
