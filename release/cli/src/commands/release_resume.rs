//! `nightshift release resume`: rollouts go on where they were paused. What is denied stays so.

use nightshift_contract::exit::Exit;

use super::release_pause::version;
use crate::control::holds::Held;
use crate::control::{Control, RepositoryArgs};
use crate::surroundings::Surroundings;

/// Let rollouts go on that `nightshift release pause` paused
///
/// Takes `pause` out of rollout.toml on the control branch; with --release, the ring beyond which that release was paused.
/// Releases that are denied stay denied.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Let this release go on beyond the ring it was paused at, such as 1.5.0
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let release = args.release.as_deref().map(version).transpose()?;
    let control = Control::open(&args.repository, around)?;
    let (done, was_so) = match release {
        Some(release) => {
            let tag = release.tag();
            let message = format!("Let {tag} go on\n");
            let changed = control.hold(&message, |holds| holds.caps.retain(|cap| cap.release != release))?;
            (changed.then(|| format!("{tag} goes on in {}", control.url)), format!("{tag} is not paused alone"))
        }
        None => {
            let changed = control.hold("Resume rollouts\n", |holds| holds.pause = None)?;
            (changed.then(|| format!("rollouts go on in {}", control.url)), "rollouts are not paused".to_owned())
        }
    };
    match &done {
        Some(done) => around.screen.good(done),
        None => around.screen.say(format!("{was_so} in {}", control.url)),
    }
    if args.json {
        let (changed, release) = (done.is_some(), release.map(|release| release.tag()));
        around.screen.json("held", &Held { repository: &control.url, changed, release, ..Held::default() })?;
    }
    Ok(Exit::Done)
}
