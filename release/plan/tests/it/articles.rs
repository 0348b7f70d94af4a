//! The figures of the articles, worked out and simulated.

use nightshift_plan::sizes::{Tried, Verdict};
use nightshift_plan::theory::theory;
use nightshift_plan::{DAY_MS, Interruption, MINUTE_MS, Office, Plan, plan};

fn planned(office: &Office) -> Plan {
    plan(office, &mut |_| ()).expect("an office")
}

/// PCs that nothing ever happens to, and whose work takes no time but its own.
fn paper(pcs: u32, server_works: bool) -> Office {
    Office { pcs, server_works, look_every_ms: 0, set_up_ms: 0, days: 15, ..Office::articles() }
}

#[test]
fn one_pc_at_a_tenth_for_16_hours_a_day_is_0_067_of_the_server() {
    let office = Office { days: 101, ..paper(1, false) };
    let paper = theory(&office);
    assert_eq!(format!("{:.3}", paper.pc), "0.067");
    assert_eq!(paper.pc_jobs_a_day, 6, "one desktop could process 6 full jobs a day");
    let figures = planned(&office).figures;
    assert_eq!(format!("{:.3}", figures.servers), "0.067", "{:.2} jobs a day", figures.jobs_a_day);
}

#[test]
fn fifteen_pcs_do_as_much_as_the_server() {
    let office = paper(15, false);
    assert_eq!(theory(&office).pcs_a_server, 15);
    let figures = planned(&office).figures;
    assert!((0.97..=1.0).contains(&figures.servers), "{} servers", figures.servers);
}

#[test]
fn fifty_pcs_make_four_hundred_jobs_a_day_of_a_hundred() {
    let office = Office::articles();
    let paper = theory(&office);
    assert_eq!(paper.jobs_a_day_rounded, 400);
    assert_eq!(format!("{:.1}", paper.servers), "4.3");
    let figures = planned(&office).figures;
    assert!((400.0..=paper.jobs_a_day).contains(&figures.jobs_a_day), "{} jobs a day", figures.jobs_a_day);
    assert_eq!(figures.servers.floor(), 4.0);
    assert_eq!(format!("{:.0}", figures.server_jobs_a_day), "100");
}

/// "At 10 % of the machines expect +33 %."
#[test]
fn five_pcs_of_fifty_bring_a_third_more() {
    let figures = planned(&Office { pcs: 5, ..Office::articles() }).figures;
    assert!((0.28..=0.34).contains(&(figures.servers - 1.0)), "{} servers", figures.servers);
}

fn size<'p>(plan: &'p Plan, name: &str) -> &'p Tried {
    plan.sizes.iter().find(|size| size.name.contains(name)).expect(name)
}

#[test]
fn a_job_of_a_day_takes_a_pc_fifteen_days_and_is_too_large() {
    let plan = planned(&Office::articles());
    let day = size(&plan, "a day of the server");
    assert_eq!(day.verdict, Verdict::TooLarge);
    assert_eq!(day.clock_ms.div_euclid(DAY_MS), 15);
    let figures = day.figures.as_ref().expect("simulated");
    assert_eq!(format!("{:.0}", figures.jobs_a_day), "100", "the server's, and none of the PCs'");
    assert_eq!(figures.useful, 0.0, "nothing that a PC began was ever done");
    assert!(day.reasons.iter().any(|reason| reason.contains("never done in one stretch")), "{:?}", day.reasons);
}

#[test]
fn a_job_of_a_minute_takes_a_pc_fifteen_minutes_and_is_too_small() {
    let plan = planned(&Office::articles());
    let minute = size(&plan, "a minute of the server");
    assert_eq!(minute.verdict, Verdict::TooSmall);
    assert!((15 * MINUTE_MS..17 * MINUTE_MS).contains(&minute.clock_ms), "{}", minute.clock_ms);
    let figures = minute.figures.as_ref().expect("simulated");
    assert!(figures.useful < 0.6, "{} of the idle time is of use", figures.useful);
    let reasons = minute.reasons.join("; ");
    assert!(reasons.contains("setting up and waiting") && reasons.contains("when it is away"), "{reasons}");
}

#[test]
fn the_articles_own_job_is_good_and_advised() {
    let plan = planned(&Office::articles());
    assert_eq!(size(&plan, "as today").verdict, Verdict::Good);
    assert_eq!((plan.advice.job_size, plan.advice.auto), (Some(1_000), false));
}

/// Nightshift's workers take the next job at once and have one at hand, so what was too small for the articles is good.
#[test]
fn with_workers_that_do_not_wait_for_cron_the_job_servers_own_size_is_advised() {
    let plan = planned(&Office::usual());
    assert!(plan.advice.auto, "{:?}", plan.advice);
    assert!(plan.figures.useful > 0.95, "{}", plan.figures.useful);
}

/// Who is back for a while keeps the PC's job when the lease is as advised, and loses it when it is far shorter.
#[test]
fn the_lease_advised_keeps_the_jobs_of_pcs_whose_users_are_back_for_a_while() {
    let pauses = Interruption { a_day: 10.0, lasts_ms: 20 * MINUTE_MS };
    let office = Office { suspended: pauses, idle_ms: DAY_MS, server_works: false, ..Office::usual() };
    let office = Office { killed_a_day: 0.0, switched_off_a_day: 0.0, days: 4, ..office };
    let advice = planned(&office).advice;
    assert!(advice.shortest_lease_ms > 60 * MINUTE_MS, "{advice:?}");
    let lost = |shortest_lease_ms| {
        let figures = planned(&Office { shortest_lease_ms, ..office.clone() }).figures;
        figures.lost_a_day / f64::from(office.pcs)
    };
    let (advised, shorter) = (lost(advice.shortest_lease_ms), lost(15 * MINUTE_MS));
    assert!(advised < 0.1 && shorter > 0.4, "{advised} and {shorter} jobs a day and PC");
}
