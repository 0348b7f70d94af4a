//! `nightshift plan`: what the idle PCs of an office would bring, simulated with the rules of the job server. Asks nobody.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::duration;
use nightshift_plan::{Interruption, Office, Today, WrongOffice, chart};
use nightshift_wire::JobSize;

use crate::plan_report::{self, Planned};
use crate::refusal::refusal;
use crate::surroundings::Surroundings;

/// Work out what the idle PCs of an office would bring
///
/// Simulates the office for some days, with the rules by which the job server leases, takes back and sizes jobs, and says
/// how many jobs a day it does, how long one takes, what the network carries, and which job size and lease to set. Without
/// flags it is the office of the articles this project comes from: 50 PCs of a tenth of the server's power, idle 16 hours
/// a day, beside a server that does 100 jobs a day. Say what yours is like; benchmark first, guess second.
///
/// It asks no server and changes nothing. The same flags and seed give the same figures.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// PCs that are idle for a part of each day [default: 50]
    #[arg(long, value_name = "N")]
    pcs: Option<u32>,
    /// How fast a PC is, as a share of the server of today [default: 10%]
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    speed: Option<f64>,
    /// How long a PC is idle a day, at a stretch [default: 16h]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    idle: Option<Duration>,
    /// Jobs that the server of today does a day [default: 100]
    #[arg(long, value_name = "N")]
    server_jobs: Option<f64>,
    /// Records in one of these jobs [default: 1000]
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// The server of today does something else from now on
    #[arg(long)]
    without_server: bool,
    /// Bytes of a record [default: 200]
    #[arg(long, value_name = "N")]
    record_bytes: Option<u64>,
    /// Bytes of a result [default: 100]
    #[arg(long, value_name = "N")]
    result_bytes: Option<u64>,
    /// What the grid may take of the network at the job server, in Mbit/s [default: 100]
    #[arg(long, value_name = "MBIT")]
    network: Option<f64>,
    /// How often a user comes back to an idle PC, times a day: its worker is paused [default: 2]
    #[arg(long, value_name = "N")]
    suspended: Option<f64>,
    /// For how long, on average [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    suspended_for: Option<Duration>,
    /// How often a worker is killed, times a day and PC; it goes on from its last checkpoint [default: 0.1]
    #[arg(long, value_name = "N")]
    killed: Option<f64>,
    /// How often a PC is switched off for the rest of its idle time, times a day and PC [default: 0.05]
    #[arg(long, value_name = "N")]
    switched_off: Option<f64>,
    /// PCs on which every job fails [default: 0]
    #[arg(long, value_name = "N")]
    bad_pcs: Option<u32>,
    /// What a job takes before its first record [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    set_up: Option<Duration>,
    /// Workers look for the next job only so often; 0s is at once, as Nightshift's do [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    look_every: Option<Duration>,
    /// Records in a job of the grid [default: the size that is advised]
    #[arg(long, value_name = "auto|N")]
    job_size: Option<JobSize>,
    /// The shortest lease, `lease` in nightshift.toml [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    lease: Option<Duration>,
    /// Start from the articles' own grid: workers look for a job every ten minutes, jobs are as today, nobody comes back
    #[arg(long)]
    articles: bool,
    /// Say how many PCs do so many jobs a day
    #[arg(long, value_name = "JOBS")]
    goal: Option<f64>,
    /// Days to simulate; the first one fills the grid and does not count [default: 7]
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// What chance follows from [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Draw a chart into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let office = office(args);
    if args.goal.is_some_and(|goal| !goal.is_finite() || goal < 0.0) {
        return Err(refusal(Exit::Usage, "--goal: give it the jobs a day that you want, such as 400"));
    }
    let wrong = |problem: WrongOffice| refusal(Exit::Usage, problem.to_string());
    office.check().map_err(wrong)?;
    // How long it is follows from the office, and is told with the first step.
    let bar = around.screen.bar(u64::from(office.pcs), "PC hours", "simulating");
    let plan = nightshift_plan::plan(&office, &mut |pace| {
        bar.set_length(pace.of);
        bar.set_position(pace.done);
    });
    bar.finish_and_clear();
    let plan = plan.map_err(wrong)?;
    let pcs_for_goal = args.goal.map(|goal| (goal, plan.pcs_for(goal)));
    if let Some(file) = &args.svg {
        let path = around.resolve(file);
        std::fs::write(&path, chart::chart(&plan)).with_context(|| format!("writing {}", path.display()))?;
        around.screen.good(format!("chart in {}", path.display()));
    }
    match args.json {
        true => around.screen.json("plan", &Planned::new(&plan, pcs_for_goal))?,
        false => around.screen.data(&plan_report::report(&plan, pcs_for_goal, &around.screen))?,
    }
    Ok(Exit::Done)
}

/// The office that the flags describe.
fn office(args: &Args) -> Office {
    let base = if args.articles { Office::articles() } else { Office::usual() };
    let millis = |time: Option<Duration>, else_ms: u64| {
        time.map_or(else_ms, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    Office {
        pcs: args.pcs.unwrap_or(base.pcs),
        speed: args.speed.unwrap_or(base.speed),
        idle_ms: millis(args.idle, base.idle_ms),
        server_works: !args.without_server,
        today: Today {
            jobs_a_day: args.server_jobs.unwrap_or(base.today.jobs_a_day),
            records_a_job: args.records.unwrap_or(base.today.records_a_job),
        },
        record_bytes: args.record_bytes.unwrap_or(base.record_bytes),
        result_bytes: args.result_bytes.unwrap_or(base.result_bytes),
        network_bits: args.network.map_or(base.network_bits, |mbit| (mbit * 1e6) as u64),
        suspended: Interruption {
            a_day: args.suspended.unwrap_or(base.suspended.a_day),
            lasts_ms: millis(args.suspended_for, base.suspended.lasts_ms),
        },
        killed_a_day: args.killed.unwrap_or(base.killed_a_day),
        switched_off_a_day: args.switched_off.unwrap_or(base.switched_off_a_day),
        set_up_ms: millis(args.set_up, base.set_up_ms),
        look_every_ms: millis(args.look_every, base.look_every_ms),
        bad_pcs: args.bad_pcs.unwrap_or(base.bad_pcs),
        shortest_lease_ms: millis(args.lease, base.shortest_lease_ms),
        job_size: match args.job_size {
            Some(JobSize::Records(records)) => Some(records),
            Some(JobSize::Auto) => None,
            // The articles' jobs are as today's, whatever those are.
            None if args.articles => args.records.map_or(base.job_size, |records| u32::try_from(records).ok()),
            None => None,
        },
        days: args.days.unwrap_or(base.days),
        seed: args.seed.unwrap_or(base.seed),
        ..base
    }
}

/// `10%` or `0.1`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (digits, of) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let share = digits.trim().parse::<f64>().map_err(|_| "give a share such as 10%".to_owned())?;
    // Whoever writes 10 means 10%, and would get a thousand.
    match of == 1.0 && share > 1.0 {
        true => Err(format!("write {share}%, or {} as a part of one", share / 100.0)),
        false => Ok(share / of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manual says what stands in for a flag that is not given.
    #[test]
    fn the_defaults_of_the_manual_are_those_of_the_usual_office() {
        let usual = Office::usual();
        let pauses = (usual.suspended.a_day, usual.suspended.lasts_ms);
        assert_eq!((usual.pcs, usual.speed, usual.idle_ms), (50, 0.1, 16 * 3_600_000));
        assert_eq!((usual.today.jobs_a_day, usual.today.records_a_job), (100.0, 1_000));
        assert_eq!((usual.record_bytes, usual.result_bytes, usual.network_bits), (200, 100, 100_000_000));
        assert_eq!((pauses, usual.killed_a_day, usual.switched_off_a_day), ((2.0, 600_000), 0.1, 0.05));
        assert_eq!((usual.bad_pcs, usual.set_up_ms, usual.look_every_ms), (0, 5_000, 0));
        assert_eq!((usual.shortest_lease_ms, usual.days, usual.seed), (900_000, 7, 1));
    }

    #[test]
    fn a_share_is_a_part_or_so_many_of_a_hundred() {
        assert_eq!((share("10%"), share("0.1"), share("12.5 %")), (Ok(0.1), Ok(0.1), Ok(0.125)));
        assert!(share("a tenth").is_err());
        assert_eq!(share("10"), Err("write 10%, or 0.1 as a part of one".to_owned()));
    }
}
