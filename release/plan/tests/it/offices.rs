//! What must hold whatever the office is like.

use nightshift_plan::{DAY_MS, HOUR_MS, Interruption, MINUTE_MS, Office, Pace, Plan, chart, plan, theory::theory};
use proptest::prelude::*;

fn planned(office: &Office) -> Plan {
    plan(office, &mut |_| ()).expect("an office")
}

#[test]
fn the_same_office_and_seed_give_the_same_plan_and_another_seed_nearly_the_same() {
    let office = Office { pcs: 20, ..Office::usual() };
    let plan = planned(&office);
    assert_eq!(planned(&office), plan);
    let other = planned(&Office { seed: 2, ..office });
    assert_ne!(other.figures, plan.figures);
    let apart = other.figures.jobs_a_day / plan.figures.jobs_a_day - 1.0;
    assert!(apart.abs() < 0.05, "{apart}");
}

#[test]
fn progress_only_grows_and_ends_at_the_end() {
    let mut told: Vec<Pace> = Vec::new();
    plan(&Office { pcs: 5, days: 2, ..Office::usual() }, &mut |pace| told.push(pace)).expect("an office");
    assert!(told.is_sorted_by_key(|pace| pace.done));
    let last = told.last().expect("told");
    assert_eq!(last.done, last.of);
}

#[test]
fn a_pc_on_which_every_job_fails_is_drained_and_costs_no_job() {
    let plan = planned(&Office { bad_pcs: 2, pcs: 20, ..Office::usual() });
    assert_eq!((plan.figures.drained, plan.figures.quarantined), (2, 0));
    let good = planned(&Office { pcs: 18, ..Office::usual() });
    let apart = plan.figures.jobs_a_day / good.figures.jobs_a_day - 1.0;
    assert!(apart.abs() < 0.03, "{apart}");
}

#[test]
fn a_narrow_network_holds_the_pcs_up_and_is_named_as_the_reason() {
    let office = Office { record_bytes: 1_000_000, network_bits: 10_000_000, ..Office::usual() };
    let plan = planned(&office);
    assert!(plan.figures.waiting > 0.2, "{}", plan.figures.waiting);
    assert!(plan.figures.network_peak_mbit <= 10.5, "{}", plan.figures.network_peak_mbit);
    assert_eq!(plan.advice.job_size, None);
    let reasons: Vec<&String> = plan.sizes.iter().flat_map(|size| &size.reasons).collect();
    assert!(reasons.iter().any(|reason| reason.contains("the network is in use")), "{reasons:?}");
}

#[test]
fn so_many_pcs_as_a_goal_asks_for_do_it() {
    let plan = planned(&Office::usual());
    let pcs = plan.pcs_for(800.0).expect("enough");
    let jobs = planned(&Office { pcs: u32::try_from(pcs).expect("few"), ..Office::usual() }).figures.jobs_a_day;
    assert!((780.0..840.0).contains(&jobs), "{pcs} PCs do {jobs}");
    assert_eq!(plan.pcs_for(0.0), Some(0));
}

#[test]
fn a_job_that_no_pc_can_hold_is_impossible_and_not_simulated() {
    let office = Office { pcs: 2, days: 2, ..Office::usual() };
    let many = nightshift_plan::Today { jobs_a_day: 100.0, records_a_job: 50_000 };
    let plan = planned(&Office { today: many, ..office });
    let day = plan.sizes.last().expect("sizes");
    assert_eq!((day.records, day.figures.is_none()), (5_000_000, true));
    assert!(day.reasons[0].contains("100000 at most"), "{:?}", day.reasons);
}

#[test]
fn a_chart_names_what_it_shows_and_takes_nothing_from_elsewhere() {
    let svg = chart::chart(&planned(&Office::articles()));
    for text in ["50 PCs: 400 jobs a day, 4.0 times the server of today", "idle PCs", "too small", "too large", "day 6"]
    {
        assert!(svg.contains(text), "{text} is missing");
    }
    let addresses: Vec<&str> = svg.matches("http").collect();
    assert_eq!(addresses.len(), 1, "the name of SVG itself");
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert_eq!(svg.matches("<g").count() + svg.matches("<svg").count(), svg.matches("</svg>").count());
}

#[test]
fn work_that_is_all_done_twice_is_not_more_than_all_of_it() {
    // A job takes a day's whole stretch, and each lease runs out overnight: whoever comes back did it for nothing. What was
    // begun on the day that does not count turns out so on one that does.
    let office = Office {
        pcs: 14,
        speed: 0.059,
        idle_ms: 5 * HOUR_MS,
        suspended: Interruption { a_day: 0.0, lasts_ms: 30 * MINUTE_MS },
        killed_a_day: 2.1,
        switched_off_a_day: 0.08,
        look_every_ms: 0,
        job_size: Some(1_230),
        server_works: true,
        days: 4,
        seed: 401_767_456_346_181_715,
        ..Office::usual()
    };
    let figures = planned(&office).figures;
    assert!((0.99..=1.0).contains(&figures.duplicated), "{}", figures.duplicated);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_office_does_more_than_on_paper_or_spends_more_than_all_of_its_time(
        pcs in 1_u32..30,
        speed in 0.02_f64..2.0,
        idle in 1_u64..=24,
        pauses in 0.0_f64..6.0,
        killed in 0.0_f64..3.0,
        off in 0.0_f64..1.0,
        look in 0_u64..20,
        bad in 0_u32..3,
        size in proptest::option::of(1_u32..3_000),
        server_works: bool,
        seed: u64,
    ) {
        let office = Office {
            pcs,
            speed,
            idle_ms: idle * HOUR_MS,
            server_works,
            suspended: Interruption { a_day: pauses, lasts_ms: 30 * MINUTE_MS },
            killed_a_day: killed,
            switched_off_a_day: off,
            look_every_ms: look * MINUTE_MS,
            bad_pcs: bad.min(pcs - 1),
            job_size: size,
            days: 4,
            seed,
            ..Office::usual()
        };
        let plan = planned(&office);
        let figures = &plan.figures;
        // What was begun on the first day may end on a day that counts: a job for each worker.
        let begun = f64::from(pcs + 1) * figures.records_a_job as f64 / 1_000.0 / 3.0;
        prop_assert!(figures.jobs_a_day <= theory(&office).jobs_a_day + begun + 0.01, "{figures:?}");
        for share in [figures.useful, figures.duplicated, figures.redone, figures.set_up, figures.waiting] {
            prop_assert!((0.0..=1.0).contains(&share), "{figures:?}");
        }
        // What became of the work in shares of the idle time, of which no moment is two things.
        let worked = 1.0 - figures.waiting;
        let spent = figures.useful + worked * (figures.duplicated + figures.redone + figures.set_up);
        prop_assert!(spent <= worked + 1e-9, "{figures:?}");
        prop_assert!(figures.pick_ups >= 1.0 || figures.jobs_a_day == 0.0);
        prop_assert!(figures.turnaround_p50_ms <= figures.turnaround_p95_ms);
        prop_assert!(plan.advice.lease_ms <= DAY_MS);
        prop_assert_eq!(figures.hours.len(), 72);
    }
}
