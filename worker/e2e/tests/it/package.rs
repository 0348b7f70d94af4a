//! The files of release/package: whole, consistent with the programs, and what systemd itself says of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nightshift_contract::holder::STUCK_AFTER;
use nightshift_contract::layout::{BOOT, DEFAULT_CONFIG, DEFAULT_STATE_DIR, StateDir};

const UNITS: [&str; 5] = [
    "nightshift-jobserver.service",
    "nightshift-worker.service",
    "nightshift-worker.timer",
    "nightshift-replica-restart.service",
    "nightshift-replica-restart.path",
];

const JOB_SERVER: &str = "/usr/bin/nightshift-jobserver";

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
        "NotifyAccess=main",
        "WatchdogSignal=SIGKILL",
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
fn a_launcher_that_hangs_is_ended_by_its_service_because_a_timer_starts_no_cycle_beside_it() -> Result<()> {
    let service = read("systemd/nightshift-worker.service")?;
    let minutes = lines(&service).into_iter().find_map(|line| line.strip_prefix("WatchdogSec=")?.strip_suffix("min"));
    let minutes: u64 = minutes.context("a watchdog, in minutes")?.parse()?;
    ensure!(Duration::from_secs(60 * minutes) > STUCK_AFTER, "{minutes} minutes");
    // There is a watchdog for what is still the process that was started: boot, which became the launcher.
    ensure!(lines(&service).contains(&"Type=exec"), "the type");
    Ok(())
}

#[test]
fn the_job_server_is_started_again_unless_its_configuration_is_wrong_and_may_have_a_connection_for_each_worker()
-> Result<()> {
    let service = read("systemd/nightshift-jobserver.service")?;
    for line in [
        &format!("ExecStart={JOB_SERVER} serve"),
        "User=nightshift",
        "Restart=always",
        "RestartPreventExitStatus=2",
        "LimitNOFILE=20000",
        "NoNewPrivileges=yes",
    ] {
        ensure!(lines(&service).contains(&line), "{line} is missing");
    }
    Ok(())
}

#[test]
fn the_helper_waits_where_a_worker_asks_and_takes_nothing_from_it_but_that_it_does() -> Result<()> {
    let asked = StateDir::new(DEFAULT_STATE_DIR).replica().join("restart").display().to_string();
    let path = read("systemd/nightshift-replica-restart.path")?;
    ensure!(lines(&path).contains(&format!("PathExists={asked}").as_str()), "it waits for {asked}");
    let service = read("systemd/nightshift-replica-restart.service")?;
    let commands: Vec<&str> = lines(&service).into_iter().filter(|line| line.starts_with("ExecStart=")).collect();
    let expected = [format!("ExecStart=/bin/rm -f {asked}"), "ExecStart=/bin/systemctl restart mariadb.service".into()];
    ensure!(commands == expected, "{commands:?}");
    Ok(())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "asks systemd what it thinks of the units")]
fn systemd_finds_nothing_wrong_with_the_units() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Where the programs are not installed, something else that can be run stands in for them.
    for unit in UNITS {
        let text = read(&format!("systemd/{unit}"))?;
        let text = text.replace(&format!("/usr/bin/{BOOT}"), "/bin/true").replace(JOB_SERVER, "/bin/true");
        fs::write(folder.path().join(unit), text)?;
    }
    let units = UNITS.map(|unit| folder.path().join(unit));
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
