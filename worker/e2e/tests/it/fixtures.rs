//! Bad releases that have to be contained, and good releases under bad circumstances that have to be taken: one folder each
//! in `worker/e2e/fixtures`, named after the attack or fault, each on a grid of its own.
//!
//! `NIGHTSHIFT_FIXTURE=one,two` plays those alone whose names contain one of these words.
#![allow(clippy::print_stdout, reason = "a test prints which fixture was played")]

mod stage;
mod story;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use stage::Stage;
use story::Story;

/// Fixtures that are played side by side.
const SIDE_BY_SIDE: usize = 3;

#[test]
fn every_bad_release_is_contained() -> Result<()> {
    let (held, all) = play("bad", |stage| stage.is_contained())?;
    println!("{held} of {all} contained");
    Ok(())
}

#[test]
fn every_good_release_is_taken_in_the_end_whatever_happens_around_it() -> Result<()> {
    let (held, all) = play("good", |stage| stage.is_taken())?;
    println!("{held} of {all} taken in the end");
    Ok(())
}

/// Plays every fixture of a shelf; fails after the last when one failed.
fn play(shelf: &str, ends: impl Fn(&mut Stage<'_>) -> Result<()> + Sync) -> Result<(usize, usize)> {
    let mut stories = Story::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(shelf))?;
    #[allow(clippy::disallowed_methods, reason = "a test has no main to read the environment in")]
    if let Ok(chosen) = std::env::var("NIGHTSHIFT_FIXTURE") {
        stories.retain(|(name, _)| chosen.split(',').any(|word| name.contains(word)));
    }
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some((name, story)) = stories.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let played = Stage::set(story).and_then(|mut stage| {
                        stage.play()?;
                        ends(&mut stage)
                    });
                    match played {
                        Ok(()) => println!("{shelf}/{name}: {}", story.about),
                        Err(error) => failed.lock().expect("no panic").push(format!("{shelf}/{name}: {error:?}")),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    ensure!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), stories.len(), failed.join("\n\n"));
    Ok((stories.len() - failed.len(), stories.len()))
}
