//! Job sizes compared: what each would do to the grid, and whether it is a bad one, with the reasons of the articles.
//!
//! A size is judged by what came out of a simulation with it ([`judge`], pure); none is bad by its number alone.

use nightshift_rules::sizing::LARGEST_JOB;
use serde::Serialize;

use crate::office::Office;
use crate::tally::Figures;
use crate::{DAY_MS, HOUR_MS, grid};

/// So many PCs stand for all of them while sizes are compared.
pub(crate) const SAMPLE: u32 = 200;
/// More of the idle time in set-up and waiting makes a size too small.
const MOST_OVERHEAD: f64 = 0.05;
/// More of the work done twice makes a size too large.
const MOST_TWICE: f64 = 0.1;
/// A network used for more than this part in its busiest hour leaves too little to the staff.
const MOST_NETWORK: f64 = 0.5;
/// "At worst case a job would take two days."
const LONGEST_TURNAROUND_MS: u64 = 2 * DAY_MS;

/// What is thought of a job size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing speaks against it.
    Good,
    /// Too much goes into handing jobs out.
    TooSmall,
    /// Too much is lost when a PC goes away.
    TooLarge,
    /// No job can have so many records.
    Impossible,
}

/// A job size that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// Where it comes from, as in "a minute of the server".
    pub name: String,
    /// Records in a job.
    pub records: u64,
    /// What one takes on a PC, in milliseconds of idle time.
    pub job_ms: u64,
    /// The same by the clock: PCs are idle for a part of the day only.
    pub clock_ms: u64,
    /// What came of it; absent when no job can have so many records.
    pub figures: Option<Figures>,
    /// What is thought of it.
    pub verdict: Verdict,
    /// Why it is bad; none when it is good.
    pub reasons: Vec<String>,
}

/// The sizes that are worth a comparison, the smallest first, with where they come from.
pub(crate) fn candidates(office: &Office) -> Vec<(u64, String)> {
    let in_time = |time_ms: f64, record_ms: f64| ((time_ms / record_ms) as u64).max(1);
    let (pc, server) = (office.record_ms(), office.server_record_ms());
    let mut sizes = vec![
        (in_time(60_000.0, server), "a minute of the server".to_owned()),
        (in_time(HOUR_MS as f64, pc), "an hour of a PC".to_owned()),
        (in_time(office.idle_ms as f64 / 4.0, pc), "a quarter of the idle time".to_owned()),
        (office.today.records_a_job, "as today".to_owned()),
        (in_time(DAY_MS as f64, server), "a day of the server".to_owned()),
    ];
    if let Ok(auto) = (Office { job_size: None, ..office.clone() }).records() {
        sizes.push((auto.records.into(), "auto".to_owned()));
    }
    if let Some(asked) = office.job_size {
        sizes.push((asked.into(), "as asked".to_owned()));
    }
    sizes.sort_by_key(|(records, _)| *records);
    sizes.dedup_by(|(records, name), (kept_records, kept)| {
        let same = records == kept_records;
        if same {
            *kept = format!("{kept}, {name}");
        }
        same
    });
    sizes
}

/// The office as it is simulated to compare sizes: no more than [`SAMPLE`] PCs, with their part of the network. The server
/// of today is left out where it stands beside more than that, because its part of them would be next to nothing.
pub(crate) fn sample(office: &Office) -> Office {
    if office.pcs <= SAMPLE {
        return office.clone();
    }
    let part = f64::from(SAMPLE) / f64::from(office.pcs);
    Office {
        pcs: SAMPLE,
        server_works: false,
        network_bits: ((office.network_bits as f64 * part) as u64).max(1),
        bad_pcs: (f64::from(office.bad_pcs) * part) as u32,
        ..office.clone()
    }
}

/// A size that was simulated, or that no job can have.
pub(crate) fn tried(office: &Office, name: String, records: u64, figures: Option<Figures>) -> Tried {
    let job_ms = grid::job_ms(office, records);
    let clock_ms = (job_ms as f64 * (DAY_MS as f64 / office.idle_ms as f64)) as u64;
    let (verdict, reasons) = match &figures {
        Some(figures) => judge(office, job_ms, figures),
        None => (Verdict::Impossible, vec![format!("no job can have so many records: {LARGEST_JOB} at most")]),
    };
    Tried { name, records, job_ms, clock_ms, figures, verdict, reasons }
}

/// Judges a size by what came of it. What speaks against a large one is said before what speaks against a small one.
fn judge(office: &Office, job_ms: u64, figures: &Figures) -> (Verdict, Vec<String>) {
    let mut large = Vec::new();
    let idle = figures_of_time(office.idle_ms);
    if job_ms > office.idle_ms {
        large.push(format!(
            "a job takes {} of idle time and a PC has {idle} a day: it is never done in one stretch, and one lost with its \
             PC is lost with all of that",
            figures_of_time(job_ms)
        ));
    }
    match figures.turnaround_p95_ms {
        None => large.push(format!("no job was done within {} days", office.days)),
        Some(most) if most > LONGEST_TURNAROUND_MS => large.push(format!(
            "5 of 100 jobs take longer than {}; with a job in each stretch even a lost one is done in two days",
            figures_of_time(most)
        )),
        Some(_) => {}
    }
    let twice = figures.duplicated + figures.redone;
    if twice > MOST_TWICE {
        large.push(format!("{} of the work is done twice", per_cent(twice)));
    }
    if !large.is_empty() {
        return (Verdict::TooLarge, large);
    }
    let mut small = Vec::new();
    let overhead = figures.set_up * (1.0 - figures.waiting) + figures.waiting;
    if overhead > MOST_OVERHEAD {
        small
            .push(format!("{} of the idle time goes into setting up and waiting for the next job", per_cent(overhead)));
    }
    let network = figures.network_peak_mbit * 1e6 / office.network_bits as f64;
    if network > MOST_NETWORK {
        small.push(format!("the network is in use for {} of its busiest hour", per_cent(network.min(1.0))));
    }
    if small.is_empty() {
        return (Verdict::Good, small);
    }
    small.push(format!(
        "the job server hands out {} jobs a day, and when it is away a PC has work for {} only",
        figures.grid_jobs_a_day.round(),
        figures_of_time(figures.at_hand_ms)
    ));
    (Verdict::TooSmall, small)
}

/// The size to take: the one that the job server finds by itself when nothing speaks against it; else the next larger one
/// that is good, else the next smaller.
pub(crate) fn best(tried: &[Tried], auto: u64) -> Option<&Tried> {
    let good = |size: &&Tried| size.verdict == Verdict::Good;
    let from_auto = tried.iter().filter(good).find(|size| size.records >= auto);
    from_auto.or_else(|| tried.iter().rev().find(good))
}

/// `5.2 %`.
fn per_cent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `10 min`, `2.4 h`, `10.0 days`.
pub fn figures_of_time(time_ms: u64) -> String {
    let time = time_ms as f64;
    match time_ms {
        0..120_000 => format!("{:.0} s", time / 1_000.0),
        120_000..7_200_000 => format!("{:.0} min", time / 60_000.0),
        7_200_000..172_800_000 => {
            let hours = format!("{:.1}", time / HOUR_MS as f64);
            format!("{} h", hours.trim_end_matches(".0"))
        }
        _ => format!("{:.1} days", time / DAY_MS as f64),
    }
}
