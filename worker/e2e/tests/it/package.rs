//! The files of release/package: whole, consistent with the programs, and what systemd itself says of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nightshift_contract::layout::{BOOT, DEFAULT_CONFIG, DEFAULT_STATE_DIR};

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../release/package")
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(package().join(file)).with_context(|| format!("reading {file}"))
}

/// The lines that say something.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn the_cron_line_starts_a_cycle_every_ten_minutes_at_a_moment_of_its_own() -> Result<()> {
    let text = read("cron.d/nightshift-worker")?;
    ensure!(text.ends_with('\n'), "cron ignores a last line without an end");
    let jobs: Vec<&str> = lines(&text).into_iter().filter(|line| line.starts_with("*/10 ")).collect();
    let [job] = jobs.as_slice() else { anyhow::bail!("one job: {jobs:?}") };
    ensure!(job.contains(&format!("exec /usr/bin/{BOOT} run")) && job.contains(" nightshift "), "{job}");
    // To cron a bare percent sign is the end of the line.
    ensure!(job.matches('%').count() == job.matches("\\%").count(), "{job}");
    let delay = job.split("sleep ").nth(1).and_then(|rest| rest.split(';').next()).context("a delay")?;
    let command = format!("echo {}", delay.replace("\\%", "%"));
    #[expect(clippy::disallowed_methods, reason = "runs the shell's part of the cron line")]
    let said = Command::new("/bin/sh").args(["-c", &command]).output()?;
    let seconds: u32 = String::from_utf8(said.stdout)?.trim().parse().context("seconds")?;
    ensure!(seconds < 120, "{seconds}");
    Ok(())
}

#[test]
fn service_and_timer_start_the_same_cycle_and_take_its_ends_for_what_they_are() -> Result<()> {
    let service = read("systemd/nightshift-worker.service")?;
    for line in [
        &format!("ExecStart=/usr/bin/{BOOT} run"),
        "SuccessExitStatus=6 7 8 75",
        "KillMode=mixed",
        "NoNewPrivileges=yes",
        "User=nightshift",
    ] {
        ensure!(lines(&service).contains(&line), "{line} is missing");
    }
    ensure!(!service.contains("\nMemoryDenyWriteExecute=yes"), "WebAssembly is compiled to machine code");
    let timer = read("systemd/nightshift-worker.timer")?;
    for line in ["OnCalendar=*:0/10", "RandomizedDelaySec=120s", "Persistent=yes", "Unit=nightshift-worker.service"] {
        ensure!(lines(&timer).contains(&line), "{line} is missing");
    }
    let folders = read("tmpfiles.d/nightshift.conf")?;
    let config = Path::new(DEFAULT_CONFIG).parent().context("a folder")?.display().to_string();
    for folder in [DEFAULT_STATE_DIR, &config] {
        ensure!(
            lines(&folders).iter().any(|line| line.split_whitespace().nth(1) == Some(folder)),
            "{folder} is missing"
        );
    }
    ensure!(lines(&read("sysusers.d/nightshift.conf")?)[0].starts_with("u nightshift "), "the user");
    Ok(())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "asks systemd what it thinks of the units")]
fn systemd_finds_nothing_wrong_with_the_units() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Where the programs are not installed, something else that can be run stands in for them.
    for unit in ["nightshift-worker.service", "nightshift-worker.timer"] {
        let text = read(&format!("systemd/{unit}"))?.replace(&format!("/usr/bin/{BOOT}"), "/bin/true");
        fs::write(folder.path().join(unit), text)?;
    }
    let units = ["nightshift-worker.service", "nightshift-worker.timer"].map(|unit| folder.path().join(unit));
    let verified = match Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&units)
        .output()
    {
        Ok(verified) => verified,
        Err(error) => {
            eprintln!("NOT CHECKED: systemd-analyze is not here ({error}); the units were only read");
            return Ok(());
        }
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    ensure!(verified.status.success() && said.trim().is_empty(), "{}: {said}", verified.status);
    Ok(())
}
