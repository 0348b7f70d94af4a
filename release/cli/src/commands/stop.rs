//! `nightshift stop`: raises the stop flag on the control branch. Unsigned, because stopping is the easy direction.

use nightshift_contract::exit::Exit;

use crate::control::{Control, RepositoryArgs};
use crate::surroundings::Surroundings;
use crate::templates::toml_string;

/// Stop the whole grid
///
/// Commits a file STOP to the control branch of the central repository. Every worker stops at its next look, within a
/// minute, whatever it does, and stays stopped until `nightshift start`. With plain git:
/// `git push origin HEAD:refs/heads/stop` does the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; every worker's status shows it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let control = Control::open(&args.repository, around)?;
    let (content, message) = flag(args.reason.as_deref());
    match control.stop(&content, &message)? {
        None => {
            around.screen.good(format!("the stop flag is raised in {}", control.url));
            around
                .screen
                .say("Workers stop at their next look, within a minute. `nightshift start` starts them again.");
        }
        Some(standing) => around.screen.say(format!("{} was stopped already: {standing}", control.url)),
    }
    Ok(Exit::Done)
}

/// The flag's content and the message of its commit.
pub(crate) fn flag(reason: Option<&str>) -> (String, String) {
    let note = "# Stops every worker; `nightshift start` removes it.\n";
    match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
        Some(reason) => (format!("{note}reason = {}\n", toml_string(reason)), format!("Stop the grid: {reason}\n")),
        None => (note.to_owned(), "Stop the grid\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightshift_manifest::stop::StopFlag;

    #[test]
    fn the_reason_reaches_the_workers_as_it_was_typed() {
        let seen = |reason| {
            let (content, _) = flag(reason);
            StopFlag::of_entry(b"STOP", "control", Some(content.as_bytes())).reason
        };
        assert_eq!(seen(Some("prices of \"Friday\" are wrong")), "prices of \"Friday\" are wrong");
        assert_eq!(seen(Some("it's \"odd\" \\ here")), "it's \"odd\" \\ here");
        assert_eq!(seen(None), "no reason given");
    }
}
