//! `nightshift release rollback`: an old release's tree, released again under a higher version.
//!
//! Workers never go below the highest version they had, so going back further than one step is a new release:
//! 1. look at the central repository: the old release is one that workers believe, the new version is above all others;
//! 2. take the old tree, but `keys/` as it is in the newest release: keys that were revoked since must not come back; and
//!    without its rollout plan, so that everybody gets out of the bad release at once (decision 24);
//! 3. commit and signed tag are made as objects that nothing points at, and judged as workers will; samples run;
//! 4. the tag alone is pushed. No branch moves: what is on it is somebody's work, and has to be mended, not lost.

use anyhow::Context;
use jiff::Timestamp;
use nightshift_contract::exit::Exit;
use nightshift_manifest::SETTINGS_FILE;
use nightshift_manifest::rollout::Holds;
use nightshift_manifest::select::RemoteTag;
use nightshift_manifest::tag::{TagFields, signed};
use nightshift_manifest::version::ReleaseVersion;
use serde::Serialize;
use toml_edit::DocumentMut;

use super::release_pause::version as version_of;
use crate::checks;
use crate::control::{Control, RepositoryArgs};
use crate::grid_clone::GridClone;
use crate::refusal::{OrRefuse, refusal};
use crate::releases::{self, Releases, Tags};
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;

/// The folder that stays as it is now.
const KEYS: &str = "keys";

/// Release an old release's files again, under a higher version
///
/// Workers never take a lower version than they had. This takes the files of the release VERSION, with the keys of the
/// newest release, and cuts them under a higher version. Its rollout plan is left out, so that every worker takes it in its
/// next cycle; with --by-plan it spreads ring by ring as that release did. No branch is moved: mend what was wrong there
/// before the next `nightshift release cut`. To make workers leave a release at once, for the one before it:
/// `nightshift release deny`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The release to go back to, such as 1.4.0
    version: String,
    /// The version it gets [default: the newest with its last number raised]
    #[arg(long = "as", value_name = "VERSION")]
    as_version: Option<String>,
    /// Keep the old release's rollout plan
    #[arg(long)]
    by_plan: bool,
    /// Do not ask; for scripts
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A release that brings an old one's files back, for scripts.
#[derive(Debug, Serialize)]
struct Again {
    /// Its tag, and the commit that the tag is on.
    tag: String,
    commit: String,
    /// The tag of the release whose files it has.
    files_of: String,
    /// It spreads ring by ring; otherwise every worker takes it in its next cycle.
    by_plan: bool,
    /// Why nobody takes it yet; `null` when nothing holds rollouts back.
    held: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let clone = GridClone::here(around)?;
    let old = version_of(&args.version)?;
    let key = SigningKey::open(&around.config.signing_key)?;
    releases::fetch(&clone)?;
    let known = releases::judge(&clone, Tags::Central, None)?;
    let old_commit = commit_of(&known, old)?;
    if let Some(why) = releases::held_back(&clone)?.denied(old) {
        let text =
            format!("{} is denied: {why}; its files would come back to every worker. Take another release", old.tag());
        return Err(refusal(Exit::Usage, text));
    }
    let newest = known.review.newest().context("a release that is believed is among the releases")?;
    let highest = known.review.tags.iter().filter_map(|tag| ReleaseVersion::parse_tag(&tag.tag.name).ok()).max();
    let version = match &args.as_version {
        Some(version) => version_of(version)?,
        None => highest.unwrap_or(newest.version).next(),
    };
    if highest.is_some_and(|highest| version <= highest) {
        let highest = highest.unwrap_or(version);
        let text =
            format!("{} is not above {}; workers never go back: take a higher version", version.tag(), highest.tag());
        return Err(refusal(Exit::Usage, text));
    }

    around.screen.heading(format!("{}: the files of {} again", version.tag(), old.tag()));
    let message = format!("Release {version}: {} again\n", old.tag());
    let (tree, has_plan) = old_tree(&clone, &old_commit, &newest.commit, args.by_plan)?;
    let commit = clone.git.run_as_person(&["commit-tree", &tree, "-p", &newest.commit], message.as_bytes())?;
    let identity = clone.git.identity()?;
    let fields = TagFields {
        name: version.tag(),
        commit: commit.clone(),
        tagger: identity.who,
        time: Timestamp::from_second(identity.seconds).context("reading git's clock")?,
        message,
    };
    let raw = signed(&fields, key.private())?;
    let tag_id = clone.git.run_with_input(&["hash-object", "-w", "-t", "tag", "--stdin"], &raw)?;
    let next = RemoteTag { name: version.tag(), id: tag_id.clone() };
    checks::check_release(&version.tag(), &releases::judge(&clone, Tags::Central, Some(next))?, &key, around)?;
    let changes = difference(&clone, &newest.commit, &commit)?;
    let whom = if has_plan { "ring by ring" } else { "for every worker in its next cycle" };
    let (next, now) = (version.tag(), newest.version.tag());
    around.confirm(&format!("{next} would be pushed, {whom}; against {now}: {changes}"), args.yes)?;
    push(&clone, version, &tag_id)?;

    let screen = &around.screen;
    screen.good(format!("signed {} on commit {}, with the files of {}", version.tag(), &commit[..10], old.tag()));
    screen.good(format!("pushed it to {}", clone.url()?));
    match has_plan {
        true => screen.say("It spreads ring by ring, as its plan says: see `nightshift release status --watch`."),
        false => screen.say("It has no rollout plan: every worker takes it in its next cycle."),
    }
    let held = match Control::open(&RepositoryArgs::default(), around)?.held() {
        Ok(Holds { pause: Some(why), .. }) => {
            screen.say(format!(
                "Rollouts are paused ({why}): nobody takes it before `nightshift release resume`, once the bad one is denied."
            ));
            Some(format!("rollouts are paused: {why}"))
        }
        Ok(_) => None,
        Err(error) => {
            screen.say(format!("Nobody may take it: {error:#}"));
            Some(format!("{error:#}"))
        }
    };
    screen.say("No branch was moved: mend there what was wrong before the next `nightshift release cut`.");
    let again = Again { tag: version.tag(), commit, files_of: old.tag(), by_plan: has_plan, held };
    match args.json {
        true => screen.json("release", &again)?,
        false => screen.data(&format!("{}\n", again.tag))?,
    }
    Ok(Exit::Done)
}

fn commit_of(known: &Releases, version: ReleaseVersion) -> anyhow::Result<String> {
    match known.review.verdict(&version.tag()) {
        Some(Ok(release)) => Ok(release.commit.clone()),
        Some(Err(refused)) => {
            let text = format!("workers refuse {}: {}; go back to another release", version.tag(), refused.found);
            Err(refusal(Exit::Usage, text))
        }
        None => {
            let text = format!("there is no release {}; `nightshift release status` lists them", version.tag());
            Err(refusal(Exit::NotFound, text))
        }
    }
}

/// What another commit has changed, in git's words.
fn difference(clone: &GridClone, from: &str, to: &str) -> anyhow::Result<String> {
    let changes = clone.git.run(&["diff", "--shortstat", from, to])?;
    Ok(if changes.is_empty() { "nothing is changed".to_owned() } else { changes.trim().to_owned() })
}

/// The old release's files with the keys of the newest one, and whether they have a rollout plan.
fn old_tree(clone: &GridClone, old: &str, newest: &str, by_plan: bool) -> anyhow::Result<(String, bool)> {
    let area = tempfile::tempdir().context("making a temporary folder")?;
    let index = area.path().join("index");
    let git =
        |args: &[&str]| clone.git.run_with_index(&index, args).context("putting the old release's files together");
    git(&["read-tree", &format!("{old}^{{tree}}")])?;
    // Of the index alone: whatever HEAD has, it is not asked, and no file of the person is touched.
    git(&["rm", "--cached", "--force", "-r", "--quiet", "--ignore-unmatch", "--", KEYS])?;
    let keys = format!("{newest}:{KEYS}");
    if clone.git.run(&["rev-parse", "--quiet", "--verify", &keys]).is_ok() {
        git(&["read-tree", &format!("--prefix={KEYS}/"), &keys])?;
    }
    let settings = clone.git.run(&["cat-file", "blob", &format!("{old}:{SETTINGS_FILE}")])?;
    let (without, had_plan) = without_plan(&settings)?;
    if had_plan && !by_plan {
        let blob = clone.git.run_with_input(&["hash-object", "-w", "--stdin"], without.as_bytes())?;
        git(&["update-index", "--cacheinfo", &format!("100644,{blob},{SETTINGS_FILE}")])?;
    }
    Ok((git(&["write-tree"])?, had_plan && by_plan))
}

/// Settings without their rollout plan, everything else as it was written; and whether there was one.
fn without_plan(settings: &str) -> anyhow::Result<(String, bool)> {
    let mut settings: DocumentMut =
        settings.parse().with_context(|| format!("reading the old release's {SETTINGS_FILE}"))?;
    let plan = settings.remove("rollout");
    Ok((settings.to_string(), plan.is_some()))
}

fn push(clone: &GridClone, version: ReleaseVersion, tag_id: &str) -> anyhow::Result<()> {
    let update = format!("{tag_id}:refs/tags/{}", version.tag());
    let pushed = clone.git.run(&["push", "--quiet", "--no-follow-tags", &clone.remote, &update]);
    let Err(error) = pushed else { return Ok(()) };
    let listed = clone.git.run(&["ls-remote", &clone.remote, &format!("refs/tags/{}", version.tag())]);
    if listed.is_ok_and(|listed| listed.starts_with(tag_id)) {
        return Ok(());
    }
    Err(error).or_refuse(Exit::Failed, || {
        let place = clone.url().unwrap_or_else(|_| clone.remote.clone());
        format!("pushing {} to {place}; nothing was changed: mend what git says below, then try again", version.tag())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_left_out_and_everything_else_stays_as_it_was_written() {
        let before = "# ours\n[rollout]\nmin_jobs = 5 # few\n[[rollout.ring]]\nname = \"canary\"\ntags = [\"canary\"]\n\
                      [[rollout.ring]]\nname = \"all\"\n\n[jobs]  # as ever\nerror_rate = 0.5\n";
        let (after, had_plan) = without_plan(before).expect("well formed");
        assert!(
            had_plan && after.contains("[jobs]  # as ever\nerror_rate = 0.5\n") && !after.contains("ring"),
            "{after}"
        );
        assert_eq!(without_plan("zone = 1 # x\n").expect("well formed"), ("zone = 1 # x\n".to_owned(), false));
    }
}
