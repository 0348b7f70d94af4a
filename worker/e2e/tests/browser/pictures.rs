//! The pictures in docs/screenshots, taken of a small grid at work: `make screenshots`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use nightshift_e2e::scene::Scene;
use nightshift_testbed::people;
use nightshift_testbed::wait::{self, SOON};
use nightshift_wire::{Batch, HandIn, JobSize, WorkerChange};
use serde_json::json;

use crate::person::{Colours, Person};
use crate::stage::{HAND_IN, Stage};

/// So many bytes a picture may have, which everybody downloads with the sources.
const LARGEST: usize = 150_000;

/// What is seen at once: width and height.
const WINDOW: (u32, u32) = (1180, 820);

/// Who takes releases when, so that the page of the releases has something to tell.
const PLAN: &str = "[rollout]\nmax_slowdown = 50.0\n\n[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n\n[[rollout.ring]]\nname = \"early\"\n\
                    percent = 10\n\n[[rollout.ring]]\nname = \"everyone\"\n";

#[test]
#[ignore = "writes docs/screenshots: make screenshots"]
fn pictures_of_a_grid_at_work() -> Result<()> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../release/cli/samples");
    let everybody = people::people(2_000, 7);
    let mut scene = Scene::set()?;
    scene.central.put_folder("", &samples)?;
    let mut table = Vec::new();
    people::write_people(&everybody, &mut table)?;
    scene.central.put("data/people.csv", table)?;
    scene.central.cut("1.0.0")?;
    scene.central.put("nightshift.toml", PLAN)?;
    scene.central.cut("1.1.0")?;
    let stage = Stage::on(scene)?;
    let Some(person) = Person::at(&stage)? else { return Ok(()) };

    let others = [stage.worker("pc-12")?, stage.worker("pc-14")?];
    let canary = stage.worker("pc-11")?;
    let tag = WorkerChange::Tags(["canary".to_owned()].into());
    wait::until("the canary's first report", SOON, || {
        stage.scene.ask(async |client| client.change_worker(&canary.id, &tag).await).ok()
    })?;
    person.log_in(stage.admin_token())?;
    let done = hand_in(&stage, "moved house, spring", "match-person", 3_000)?;
    stage.scene.done(done.id)?;
    let running = hand_in(&stage, "returned letters", "match-person", 100_000)?;
    hand_in(&stage, "names for the jubilee", "name-count", 9_000)?;
    let has_a_pace = "return !document.querySelector('[data-key=pace]').textContent.includes('–')";
    person.until("a pace to be known", || person.ask(has_a_pace, json!([])))?;
    stage.scene.batch_is(running.id, "well under way", |batch| batch.jobs_done * 5 > batch.jobs * 2)?;
    // Pictures take a moment: nobody moves meanwhile.
    for worker in others.iter().chain([&canary]) {
        worker.freeze()?;
    }
    person.has_a_window(WINDOW)?;
    person.go("/")?;
    // Hours and workers are counted less often than the rest.
    person.reads_no_more("last day\n0 altogether")?;
    person.reads("working")?;
    take(&person, "overview-light")?;
    person.prefers(Colours::Dark)?;
    take(&person, "overview-dark")?;
    person.prefers(Colours::Light)?;
    person.go(&format!("/batches/{}", running.id))?;
    take(&person, "batch")?;
    person.go(&format!("/jobs?batch={}&state=done", done.id))?;
    take(&person, "jobs")?;
    person.go(&format!("/workers/{}", canary.id))?;
    take(&person, "worker")?;
    person.go("/releases")?;
    take(&person, "releases")?;
    person.go(HAND_IN)?;
    person.choose("Plugin", "match-person")?;
    person.drop_file(
        "returned-letters.csv",
        &std::fs::read_to_string(samples.join("plugins/match-person/samples/records.csv"))?,
    )?;
    person.reads("What is in it")?;
    person.ask::<()>("document.activeElement.blur()", json!([]))?;
    take(&person, "hand-in")?;
    person.takes_a_phone()?;
    person.go("/")?;
    take(&person, "phone")?;
    person.leaves_content()
}

/// Hands in records that denote people, under a name.
fn hand_in(stage: &Stage, name: &str, plugin: &str, records: usize) -> Result<Batch> {
    let everybody = people::people(2_000, 7);
    let mut csv = Vec::new();
    let records = people::records(&everybody, records, 7);
    match plugin {
        "name-count" => people::write_names(&records, &mut csv)?,
        _ => people::write_records(&records, &mut csv)?,
    }
    let asked = HandIn {
        plugin: plugin.to_owned(),
        name: Some(name.to_owned()),
        job_size: Some(JobSize::Records(500)),
        ..HandIn::default()
    };
    let body: Vec<Result<_, std::io::Error>> = vec![Ok(csv.into())];
    stage.scene.ask(async |client| client.hand_in(&asked, futures_util::stream::iter(body)).await)
}

/// Takes a picture of what is seen.
fn take(person: &Person, name: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots");
    std::fs::create_dir_all(&folder)?;
    let picture = person.picture()?;
    ensure!(picture.len() <= LARGEST, "{name} has {} bytes", picture.len());
    let file = folder.join(name).with_extension("png");
    std::fs::write(&file, picture).with_context(|| format!("writing {}", file.display()))
}
