//! Rings of four workers each, and what they show.

use super::*;

const NOBODY: BTreeSet<String> = BTreeSet::new();
const LIMITS: Limits = Limits { max_error_increase: 20, max_slowdown: 500, min_jobs: 20 };

/// Rings a, b and c with workers a0 … a3, and so on.
fn rings() -> Vec<RingFacts> {
    let ring = |name: &str| {
        let members: BTreeSet<String> = (0..4).map(|worker| format!("{name}{worker}")).collect();
        RingFacts { name: name.to_owned(), by_tag_alone: false, there: members.clone(), members }
    };
    ["a", "b", "c"].map(ring).to_vec()
}

/// What each of a ring's workers did: so many jobs of 100 records, each record taking so long.
fn work(release: &str, ring: &str, jobs: u64, errors: u64, ms_per_record: u64) -> Vec<Work> {
    let of = |worker: u64| Work {
        release: release.to_owned(),
        worker: format!("{ring}{worker}"),
        plugin: "p".to_owned(),
        jobs,
        records: 100 * jobs,
        errors: errors * jobs,
        work_ms: 100 * jobs * ms_per_record,
        failures: 0,
    };
    (0..4).map(of).collect()
}

fn trial(release: &str, worker: &str, state: TrialState, passed: u64, failed: u64) -> Trial {
    let (release, worker) = (release.to_owned(), worker.to_owned());
    Trial { release, worker, state, samples_passed: passed, samples_failed: failed }
}

/// The grid worked with v1.4.0: 1 % errors, 10 ms a record.
fn before() -> Evidence {
    let work = ["a", "b", "c"].iter().flat_map(|ring| work("v1.4.0", ring, 10, 1, 10)).collect();
    Evidence { work, ..Evidence::default() }
}

fn with(more: Vec<Work>) -> Evidence {
    let mut evidence = before();
    evidence.work.extend(more);
    evidence
}

fn judged(evidence: &Evidence, idle: bool) -> Vec<Judged> {
    let (rings, denied) = (rings(), BTreeSet::new());
    judge(&Facts {
        release: "v1.5.0",
        rings: &rings,
        limits: LIMITS,
        evidence,
        denied: &denied,
        promoted: &NOBODY,
        idle,
    })
}

/// The verdicts when signed tags opened these rings early.
fn promoted(rings_promoted: &[&str], evidence: &Evidence) -> Vec<RingVerdict> {
    let (rings, promoted) = (rings(), rings_promoted.iter().map(|ring| (*ring).to_owned()).collect());
    let facts = Facts {
        release: "v1.5.0",
        rings: &rings,
        limits: LIMITS,
        evidence,
        denied: &NOBODY,
        promoted: &promoted,
        idle: false,
    };
    judge(&facts).into_iter().map(|ring| ring.verdict).collect()
}

fn verdicts(evidence: &Evidence) -> Vec<RingVerdict> {
    judged(evidence, false).into_iter().map(|ring| ring.verdict).collect()
}

fn waiting(why: &str) -> RingVerdict {
    RingVerdict::Waiting(why.to_owned())
}

fn sent_back(why: &str) -> RingVerdict {
    RingVerdict::SentBack(why.to_owned())
}

#[test]
fn silence_opens_nothing_but_the_first_ring() {
    let expected = [RingVerdict::Open, waiting("0 of 20 jobs done in ring a"), waiting("ring b is not open yet")];
    assert_eq!(verdicts(&Evidence::default()), expected);
    assert_eq!(verdicts(&before()), expected, "what others did with another release says nothing");
}

#[test]
fn a_ring_opens_when_the_one_before_has_done_enough_jobs_as_well_as_before() {
    let expected = [RingVerdict::Open, waiting("16 of 20 jobs done in ring a"), waiting("ring b is not open yet")];
    assert_eq!(verdicts(&with(work("v1.5.0", "a", 4, 1, 10))), expected);
    let expected = [RingVerdict::Open, RingVerdict::Open, waiting("0 of 20 jobs done in ring b")];
    assert_eq!(verdicts(&with(work("v1.5.0", "a", 5, 1, 10))), expected);
    let both = [work("v1.5.0", "a", 5, 1, 10), work("v1.5.0", "b", 5, 1, 10)].concat();
    assert_eq!(verdicts(&with(both)), [RingVerdict::Open, RingVerdict::Open, RingVerdict::Open]);
}

#[test]
fn evidence_of_another_ring_does_not_count_for_this_one() {
    let later = with(work("v1.5.0", "c", 50, 1, 10));
    assert_eq!(verdicts(&later)[1], waiting("0 of 20 jobs done in ring a"));
}

#[test]
fn the_first_release_is_compared_with_nothing() {
    let only = Evidence { work: work("v1.5.0", "a", 5, 90, 10), ..Evidence::default() };
    assert_eq!(verdicts(&only)[1], RingVerdict::Open);
}

#[test]
fn more_errors_than_the_plan_allows_send_the_ring_and_those_after_it_back() {
    let why = "3.1 % of the records in ring b are errors, 1 % were before; it may be 2 % more";
    let mut worse = work("v1.5.0", "b", 5, 3, 10);
    worse[0].errors += 2;
    let both = [work("v1.5.0", "a", 5, 1, 10), worse].concat();
    assert_eq!(verdicts(&with(both)), [RingVerdict::Open, sent_back(why), sent_back(why)]);
    let as_allowed = [work("v1.5.0", "a", 5, 1, 10), work("v1.5.0", "b", 5, 3, 10)].concat();
    assert_eq!(verdicts(&with(as_allowed))[2], RingVerdict::Open);
}

#[test]
fn errors_are_compared_plugin_by_plugin() {
    let mut evidence = before();
    let other = |release: &str, jobs| {
        work(release, "a", jobs, 50, 10).into_iter().map(|work| Work { plugin: "fuzzy".to_owned(), ..work })
    };
    evidence.work.extend(other("v1.4.0", 1));
    evidence.work.extend(other("v1.5.0", 5));
    assert_eq!(verdicts(&evidence)[1], RingVerdict::Open, "this plugin always had as many");
}

#[test]
fn jobs_that_fail_send_the_ring_back_also_when_none_is_done() {
    let failing = work("v1.5.0", "a", 0, 0, 0).into_iter().map(|work| Work { failures: 2, ..work }).collect();
    let why = "100 % of the jobs in ring a failed, 0 % did before; it may be 2 % more";
    assert_eq!(verdicts(&with(failing)), [sent_back(why), sent_back(why), sent_back(why)]);
}

#[test]
fn each_worker_is_compared_with_itself() {
    let mut evidence = before();
    // Machines of all speeds; each is as fast as it was.
    for work in &mut evidence.work {
        work.work_ms *= if work.worker.ends_with('0') { 10 } else { 1 };
    }
    let mut now = work("v1.5.0", "a", 5, 1, 10);
    now[0].work_ms *= 10;
    // Only the slowest did much.
    now[0].jobs = 50;
    evidence.work.extend(now);
    let ring = &judged(&evidence, false)[0];
    assert_eq!((ring.figures.pace, &ring.verdict), (Some(1_000), &RingVerdict::Open));
}

#[test]
fn workers_that_are_slower_than_themselves_send_the_ring_back() {
    let why = "workers of ring a need 60 % more time than they did before; it may be 50 %";
    assert_eq!(verdicts(&with(work("v1.5.0", "a", 5, 1, 16)))[0], sent_back(why));
    assert_eq!(verdicts(&with(work("v1.5.0", "a", 5, 1, 15)))[1], RingVerdict::Open);
    let mut one = work("v1.5.0", "a", 5, 1, 10);
    one[0].work_ms *= 10;
    assert_eq!(verdicts(&with(one))[1], RingVerdict::Open, "one slow machine is that machine's fault");
}

#[test]
fn a_few_jobs_are_no_reason_to_send_a_ring_back() {
    let mut few = work("v1.5.0", "a", 1, 100, 100);
    few.truncate(3);
    assert_eq!(verdicts(&with(few))[0], RingVerdict::Open);
}

#[test]
fn a_bad_trial_sends_a_small_ring_back_and_one_in_twenty_is_the_machines_fault() {
    let mut evidence = before();
    evidence.trials.push(trial("v1.5.0", "a0", TrialState::Bad, 0, 0));
    evidence.trials.push(trial("v1.5.0", "a1", TrialState::Good, 0, 0));
    let why = "its trial was bad on 1 of 2 workers of ring a";
    assert_eq!(verdicts(&evidence)[0], sent_back(why));

    let mut rings = rings();
    rings[0].members.extend((4..30).map(|worker| format!("a{worker}")));
    evidence.trials.extend((2..20).map(|worker| trial("v1.5.0", &format!("a{worker}"), TrialState::Good, 0, 0)));
    let denied = BTreeSet::new();
    let facts = Facts {
        release: "v1.5.0",
        rings: &rings,
        limits: LIMITS,
        evidence: &evidence,
        denied: &denied,
        promoted: &NOBODY,
        idle: false,
    };
    assert_eq!(judge(&facts)[0].verdict, RingVerdict::Open);
}

#[test]
fn a_trial_that_came_to_nothing_says_nothing() {
    let mut evidence = before();
    for (worker, state) in [("a0", TrialState::Unknown), ("a1", TrialState::Running)] {
        evidence.trials.push(trial("v1.5.0", worker, state, 0, 0));
    }
    assert_eq!(verdicts(&evidence)[0], RingVerdict::Open);
}

#[test]
fn on_an_idle_grid_samples_that_pass_open_the_next_ring() {
    let mut evidence = before();
    evidence.trials.push(trial("v1.5.0", "a0", TrialState::Good, 2, 0));
    let verdict = |evidence: &Evidence, idle| judged(evidence, idle)[1].verdict.clone();
    assert_eq!(
        verdict(&evidence, true),
        waiting(
            "0 of 20 jobs done in ring a, no job waits, and samples passed on 1 of the 4 workers of the ring that are there"
        )
    );
    evidence.trials.push(trial("v1.5.0", "a1", TrialState::Good, 2, 0));
    assert_eq!(verdict(&evidence, true), RingVerdict::Open);
    assert_eq!(verdict(&evidence, false), waiting("0 of 20 jobs done in ring a"), "with work there, work counts");
    evidence.trials[1].samples_failed = 1;
    assert_ne!(verdict(&evidence, true), RingVerdict::Open);
}

#[test]
fn a_ring_by_tag_that_nobody_has_holds_and_one_the_draw_left_empty_does_not() {
    let (mut rings, denied, evidence) = (rings(), BTreeSet::new(), before());
    rings[0] = RingFacts { name: "canary".to_owned(), by_tag_alone: true, ..RingFacts::default() };
    let verdict = |rings: &[RingFacts]| {
        let limits = LIMITS;
        let facts = Facts {
            release: "v1.5.0",
            rings,
            limits,
            evidence: &evidence,
            denied: &denied,
            promoted: &NOBODY,
            idle: false,
        };
        judge(&facts)[1].verdict.clone()
    };
    assert_eq!(verdict(&rings), waiting("no worker belongs to ring canary: give one its tag"));
    rings[0].by_tag_alone = false;
    assert_eq!(verdict(&rings), RingVerdict::Open);
}

#[test]
fn a_ring_once_sent_back_stays_back_whatever_comes_later() {
    let mut evidence = with(work("v1.5.0", "a", 500, 1, 10));
    let halt = Halt { release: "v1.5.0".to_owned(), ring: "b".to_owned(), reason: "it was worse".to_owned(), at: 1 };
    evidence.halts.push(halt);
    assert_eq!(verdicts(&evidence), [RingVerdict::Open, sent_back("it was worse"), sent_back("it was worse")]);
    evidence.halts[0].release = "v1.4.9".to_owned();
    assert_eq!(verdicts(&evidence)[1], RingVerdict::Open, "another release's");
}

#[test]
fn a_verdict_is_stored_once() {
    let failing: Vec<Work> =
        work("v1.5.0", "b", 0, 0, 0).into_iter().map(|work| Work { failures: 2, ..work }).collect();
    let judged = judged(&with([work("v1.5.0", "a", 5, 1, 10), failing].concat()), false);
    let (ring, reason) = to_halt(&judged, "v1.5.0", &[]).expect("a halt");
    assert_eq!(ring, "b");
    let known = Halt { release: "v1.5.0".to_owned(), ring, reason, at: 1 };
    assert_eq!(to_halt(&judged, "v1.5.0", &[known]), None);
}

#[test]
fn nothing_is_compared_with_a_release_that_was_sent_back_or_denied() {
    // With v1.4.5 everything was an error.
    let bad = ["a", "b"].iter().flat_map(|ring| work("v1.4.5", ring, 10, 100, 90)).collect();
    let mut evidence = with(bad);
    evidence.work.extend(work("v1.5.0", "a", 5, 40, 30));
    assert_eq!(verdicts(&evidence)[1], RingVerdict::Open, "it is better than v1.4.5");
    let halt = Halt { release: "v1.4.5".to_owned(), ring: "a".to_owned(), reason: "bad".to_owned(), at: 1 };
    let halted = Evidence { halts: vec![halt], ..evidence.clone() };
    assert!(matches!(verdicts(&halted)[0], RingVerdict::SentBack(_)));
    let (rings, denied) = (rings(), BTreeSet::from(["v1.4.5".to_owned()]));
    let facts = Facts {
        release: "v1.5.0",
        rings: &rings,
        limits: LIMITS,
        evidence: &evidence,
        denied: &denied,
        promoted: &NOBODY,
        idle: false,
    };
    assert!(matches!(judge(&facts)[0].verdict, RingVerdict::SentBack(_)));
}

#[test]
fn the_same_evidence_gives_the_same_verdict_in_any_order() {
    let mut evidence = with([work("v1.5.0", "a", 5, 1, 10), work("v1.5.0", "b", 3, 1, 12)].concat());
    let forwards = judged(&evidence, false);
    evidence.work.reverse();
    assert_eq!(judged(&evidence, false), forwards);
}

#[test]
fn a_ring_that_a_signed_tag_opened_is_open_and_those_after_it_wait_for_every_ring_before() {
    let open = RingVerdict::Open;
    let no_jobs = waiting("0 of 20 jobs done in ring a");
    assert_eq!(promoted(&["b"], &before()), [open.clone(), open.clone(), no_jobs.clone()]);
    let b_did_well = with(work("v1.5.0", "b", 5, 1, 10));
    assert_eq!(promoted(&["b"], &b_did_well), [open.clone(), open.clone(), no_jobs], "the first showed nothing yet");
    let both = with([work("v1.5.0", "a", 5, 1, 10), work("v1.5.0", "b", 5, 1, 10)].concat());
    assert_eq!(promoted(&["b"], &both), [open.clone(), open.clone(), open.clone()]);
    assert_eq!(promoted(&["c"], &before())[1..], [waiting("0 of 20 jobs done in ring a"), open]);
}

#[test]
fn a_ring_that_does_worse_is_sent_back_also_when_a_signed_tag_opened_it() {
    let worse = with(work("v1.5.0", "b", 5, 50, 10));
    let verdicts = promoted(&["b", "c"], &worse);
    assert!(matches!(verdicts[1..], [RingVerdict::SentBack(_), RingVerdict::SentBack(_)]), "{verdicts:?}");
}

#[test]
fn the_newest_release_needs_nothing_of_those_that_were_skipped() {
    let skipped = Work { release: "v1.4.9".to_owned(), jobs: 0, records: 0, ..work("v1.4.9", "a", 0, 0, 0).remove(0) };
    let newest = [work("v1.5.0", "a", 5, 1, 10), work("v1.5.0", "b", 5, 1, 10), vec![skipped]].concat();
    assert_eq!(verdicts(&with(newest)), [RingVerdict::Open, RingVerdict::Open, RingVerdict::Open]);
}
