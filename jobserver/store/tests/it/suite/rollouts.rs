//! Promises about what is known of releases that spread.

use nightshift_rules::rollout::{Evidence, Halt, Work};
use nightshift_store::{KnownRelease, Refusal, Store};
use nightshift_wire::{AttemptState, GiveBackCause, JobState, Provenance, Receipt, TrialReport, TrialState};

use crate::{
    hands::{PLUGIN, claim, compute, finish, give_back, hand_in, refusal, submission, try_claim},
    place::Place,
};

fn release(tag: &str, object: u8) -> KnownRelease {
    KnownRelease { tag: tag.to_owned(), tag_id: format!("{object:040x}"), settings: format!("# {tag}\n") }
}

fn halt(release: &str, reason: &str) -> Halt {
    Halt { release: release.to_owned(), ring: "early".to_owned(), reason: reason.to_owned(), at: 5 }
}

fn trial(state: TrialState, passed: u32) -> TrialReport {
    let (release, ring) = ("v1.0.0".to_owned(), "early".to_owned());
    TrialReport { release, ring, state, samples_passed: passed, samples_failed: 0 }
}

async fn evidence(store: &dyn Store) -> Evidence {
    store.evidence(&["v1.0.0".to_owned(), "v1.1.0".to_owned()]).await.expect("read")
}

/// What `work` of one worker with v1.0.0 comes to.
fn row(worker: &str, jobs: u64, errors: u64, failures: u64) -> Work {
    Work {
        release: "v1.0.0".to_owned(),
        worker: worker.to_owned(),
        plugin: PLUGIN.to_owned(),
        jobs,
        records: 4 * jobs,
        errors,
        work_ms: 10 * jobs,
        failures,
    }
}

pub(crate) async fn work_is_counted_by_release_worker_and_plugin(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[4; 5]).await;
    let (one, two) = (claim(&*store, "w1", 0).await, claim(&*store, "w2", 0).await);
    let (failed, running) = (claim(&*store, "w3", 0).await, claim(&*store, "w4", 0).await);
    for claimed in [&one, &two] {
        finish(&*store, claimed, 1).await;
    }
    give_back(&*store, &failed, GiveBackCause::Failed, "it broke", 1).await;
    let again = claim(&*store, "w1", 2).await;
    finish(&*store, &again, 3).await;
    assert_eq!(evidence(&*store).await, Evidence::default(), "nothing is counted by itself");

    store.count_work(&[one.attempt, failed.attempt, running.attempt, 4_711]).await.expect("counted");
    store.count_work(&[two.attempt, again.attempt]).await.expect("counted");
    let counted = evidence(&*store).await.work;
    // Of any four records that follow one another one is an error.
    assert_eq!(counted, [row("w1", 2, 2, 0), row("w2", 1, 1, 0), row("w3", 0, 0, 1)]);
    let other = store.evidence(&["v1.1.0".to_owned()]).await.expect("read");
    assert_eq!(other, Evidence::default());
}

pub(crate) async fn work_counts_for_the_release_that_computed_it(place: &dyn Place) {
    let store = place.open().await;
    hand_in(&*store, &[4]).await;
    let claimed = claim(&*store, "w1", 0).await;
    let results = compute(&*store, &claimed).await;
    let provenance = Provenance { release: "v1.1.0".to_owned(), commit: "c".repeat(40), work_ms: 10, position: None };
    let submission = nightshift_wire::Submission { provenance, ..submission(&claimed, results) };
    store.submit(claimed.attempt, submission, 1).await.expect("accepted");
    store.count_work(&[claimed.attempt]).await.expect("counted");
    let work = evidence(&*store).await.work;
    assert_eq!(work, [Work { release: "v1.1.0".to_owned(), ..row("w1", 1, 1, 0) }]);
}

pub(crate) async fn what_is_known_of_releases_outlives_the_server(place: &dyn Place) {
    let before = {
        let store = place.open().await;
        hand_in(&*store, &[4]).await;
        let claimed = claim(&*store, "w1", 0).await;
        finish(&*store, &claimed, 1).await;
        store.note_release(&release("v1.0.0", 1), 1).await.expect("noted");
        store.note_release(&release("v1.1.0", 2), 2).await.expect("noted");
        store.count_work(&[claimed.attempt]).await.expect("counted");
        store.note_trial("w1", &trial(TrialState::Running, 0), 3).await.expect("noted");
        store.note_trial("w1", &trial(TrialState::Good, 3), 4).await.expect("noted");
        store.note_halt(&halt("v1.1.0", "it was worse")).await.expect("noted");
        store.note_halt(&halt("v1.1.0", "another reason")).await.expect("noted");
        evidence(&*store).await
    };
    assert_eq!(before.halts, [halt("v1.1.0", "it was worse")], "the first reason stays");
    assert_eq!(before.trials.len(), 1);
    assert_eq!(
        (before.trials[0].state, before.trials[0].samples_passed),
        (TrialState::Good, 3),
        "the last word counts"
    );
    let store = place.open().await;
    assert_eq!(evidence(&*store).await, before);
    let known = store.known_releases(10).await.expect("read");
    assert_eq!(known, [release("v1.1.0", 2), release("v1.0.0", 1)]);
    assert_eq!(store.known_releases(1).await.expect("read"), [release("v1.1.0", 2)]);
}

pub(crate) async fn a_tag_that_names_another_object_begins_anew(place: &dyn Place) {
    let store = place.open().await;
    store.note_release(&release("v1.1.0", 2), 1).await.expect("noted");
    store.note_halt(&halt("v1.1.0", "it was worse")).await.expect("noted");
    store.note_halt(&halt("v1.0.0", "so was this")).await.expect("noted");
    store.note_release(&release("v1.1.0", 2), 2).await.expect("noted again");
    assert_eq!(evidence(&*store).await.halts.len(), 2, "the same object");
    store.note_release(&release("v1.1.0", 3), 3).await.expect("noted");
    assert_eq!(evidence(&*store).await.halts, [halt("v1.0.0", "so was this")]);
}

pub(crate) async fn results_that_are_turned_down_put_the_job_back_at_once(place: &dyn Place) {
    let store = place.open().await;
    let batch = hand_in(&*store, &[2]).await;
    let claimed = claim(&*store, "w1", 0).await;
    let turn_down = |secret: String| {
        let store = &store;
        async move { store.turn_down(claimed.attempt, &secret, "v1.0.0", "wrong prices", 1).await }
    };
    assert_eq!(refusal(turn_down("guessed".to_owned()).await), Refusal::WrongSecret(claimed.attempt));
    assert_eq!(turn_down(claimed.secret.clone()).await.expect("turned down"), None);
    let job = store.job(claimed.job).await.expect("the job");
    assert_eq!((job.job.state, job.job.failures), (JobState::Waiting, 0));
    assert_eq!(job.attempts[0].state, AttemptState::GivenBack);
    assert_eq!(job.attempts[0].reason, "v1.0.0 computed the results, and it is denied: wrong prices");
    assert_eq!(turn_down(claimed.secret.clone()).await.expect("again"), None);

    let next = try_claim(&*store, "w2", 1).await.expect("it waits for no back-off");
    finish(&*store, &next, 2).await;
    assert_eq!(turn_down(claimed.secret.clone()).await.expect("late"), None);
    let accepted = store.turn_down(next.attempt, &next.secret, "v1.0.0", "wrong prices", 3).await.expect("answered");
    assert_eq!(accepted, Some(Receipt { job: next.job, repeated: true }), "it was accepted before");
    assert_eq!(store.batch(batch).await.expect("the batch").results, 2);
}
