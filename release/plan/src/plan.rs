//! A plan: the office simulated with each job size worth it, then whole with the best one, and what follows from that.

use nightshift_rules::auto_size::Speed;
use nightshift_rules::lease;
use nightshift_rules::sizing::{LARGEST_JOB, Measured};
use serde::Serialize;

use crate::grid::simulate;
use crate::office::{Office, WrongOffice};
use crate::sizes::{self, Tried, figures_of_time};
use crate::tally::Figures;
use crate::theory::{Theory, theory};

/// What came of planning an office.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The office.
    pub office: Office,
    /// What it would bring if nothing went wrong.
    pub theory: Theory,
    /// What it brings, with the job size asked for or else the advised one.
    pub figures: Figures,
    /// What one PC brings, in jobs of today's size a day.
    pub pc_jobs_a_day: f64,
    /// So many of the PCs were simulated to compare job sizes.
    pub compared_pcs: u32,
    /// Job sizes compared, the smallest first.
    pub sizes: Vec<Tried>,
    /// What to set.
    pub advice: Advice,
}

/// What to set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// Records in a job; absent when no size that was tried is good.
    pub job_size: Option<u64>,
    /// Whether that is what `--job-size auto` comes to by itself.
    pub auto: bool,
    /// Why this size.
    pub why: String,
    /// `lease` of nightshift.toml: the shortest lease, in milliseconds.
    pub shortest_lease_ms: u64,
    /// What a lease comes to with it, in milliseconds.
    pub lease_ms: u64,
    /// Why this lease.
    pub why_lease: String,
}

/// How far planning is, in hours of simulated PCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many are simulated.
    pub done: u64,
    /// Of so many.
    pub of: u64,
}

/// A pause that is so many times the usual one is still waited for: nineteen of twenty are shorter.
const PAUSES_WAITED: u64 = 3;
/// A lease has a minute beside, for the heartbeat that did not come.
const BEAT_MS: u64 = 60_000;

/// Plans an office; `pace` hears how far it is.
///
/// # Errors
/// When the office makes no sense.
pub fn plan(office: &Office, pace: &mut dyn FnMut(Pace)) -> Result<Plan, WrongOffice> {
    office.check()?;
    let sample = sizes::sample(office);
    let candidates = sizes::candidates(office);
    let hours = u64::from(office.days) * 24;
    let possible = |records: u64| records <= LARGEST_JOB.into();
    let runs = candidates.iter().filter(|(records, _)| possible(*records)).count() as u64;
    let of = hours * (u64::from(sample.pcs) * runs + u64::from(office.pcs));
    let mut before = 0;
    let mut tried = Vec::with_capacity(candidates.len());
    for (records, name) in candidates {
        let figures = possible(records).then(|| {
            let pcs = u64::from(sample.pcs);
            let (figures, _) = simulate(&sample, records, &mut |hour, _| pace(Pace { done: before + hour * pcs, of }));
            before += hours * pcs;
            figures
        });
        tried.push(sizes::tried(&sample, name, records, figures));
    }
    let auto = Office { job_size: None, ..office.clone() }.records().map_err(WrongOffice::Size)?.records;
    let best = sizes::best(&tried, auto.into());
    let records = match (office.job_size, best) {
        (Some(asked), _) => asked.into(),
        (None, Some(best)) => best.records,
        (None, None) => auto.into(),
    };
    let pcs = u64::from(office.pcs);
    let (figures, measured) = simulate(office, records, &mut |hour, _| pace(Pace { done: before + hour * pcs, of }));
    pace(Pace { done: of, of });
    let (shortest_lease_ms, why_lease) = shortest_lease(office);
    let advice = Advice {
        job_size: best.map(|best| best.records),
        auto: best.is_some_and(|best| best.records == u64::from(auto)),
        why: why(best, auto, &tried),
        shortest_lease_ms,
        lease_ms: lease::length(
            best.map_or(records, |best| best.records),
            Speed::of(measured, Measured::default()),
            shortest_lease_ms,
        ),
        why_lease,
    };
    Ok(Plan {
        theory: theory(office),
        pc_jobs_a_day: (figures.jobs_a_day - figures.server_jobs_a_day) / f64::from(office.pcs),
        office: office.clone(),
        figures,
        compared_pcs: sample.pcs,
        sizes: tried,
        advice,
    })
}

impl Plan {
    /// So many PCs do so many jobs of today's size a day, beside the server when it works too; `None` when PCs do nothing
    /// here, or no number of them is enough.
    pub fn pcs_for(&self, jobs_a_day: f64) -> Option<u64> {
        let missing = (jobs_a_day - self.figures.server_jobs_a_day).max(0.0);
        (self.pc_jobs_a_day > 0.0 && missing.is_finite()).then(|| (missing / self.pc_jobs_a_day).ceil() as u64)
    }
}

fn why(best: Option<&Tried>, auto: u32, tried: &[Tried]) -> String {
    let auto = u64::from(auto);
    match best {
        None => "every size that was tried is bad here; the table says why".to_owned(),
        Some(best) if best.records == auto => format!(
            "what `--job-size auto` comes to: {} on a PC, and nothing speaks against it",
            figures_of_time(best.job_ms)
        ),
        Some(best) => {
            let against = tried.iter().find(|size| size.records == auto).and_then(|size| size.reasons.first());
            let against = against.map_or("it is bad here", String::as_str);
            format!("{} on a PC; with `--job-size auto` ({auto} records) {against}", figures_of_time(best.job_ms))
        }
    }
}

/// The shortest lease: long enough that a PC whose user is back for a while keeps its job.
fn shortest_lease(office: &Office) -> (u64, String) {
    let pauses = office.suspended;
    let waited = (pauses.lasts_ms * PAUSES_WAITED + BEAT_MS).min(lease::CEILING_MS);
    if pauses.a_day <= 0.0 || waited <= office.shortest_lease_ms {
        let why = "long enough for the pauses of PCs whose users are back for a while";
        return (office.shortest_lease_ms, why.to_owned());
    }
    let why = format!(
        "users who are back stay {} on average, and with this 19 of 20 of them cost their PC no job",
        figures_of_time(pauses.lasts_ms)
    );
    (waited.next_multiple_of(5 * 60_000).min(lease::CEILING_MS), why)
}
