//! `nightshift release cut`: checks everything, signs, pushes.
//!
//! In order: (1) look at the central repository: is the version free and above the newest release, is this branch up to
//! date; where nobody can be asked: is everything committed, or `--yes` given; (2) read and try the programs that were named, make tree, commit and signed tag beside the person's work, as git objects that nothing points at; (3) judge
//! them as workers will, and run the plugins' samples; (4) ask, when something is uncommitted; (5) put the
//! programs into the artifact store; (6) push branch and tag, atomically, by their objects; (7) only then move the clone's own
//! branch and tag, and write its release.toml. Whatever fails before (7) changes neither the clone nor the central repository.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nightshift_contract::exit::Exit;
use nightshift_engine::Believed;
use nightshift_manifest::SETTINGS_FILE;
use nightshift_manifest::binaries::{BINARIES_FILE, Binary};
use nightshift_manifest::rollout::Ring;
use nightshift_manifest::sampled::{self, Sampled};
use nightshift_manifest::select::RemoteTag;
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::tag::{TagFields, signed};
use nightshift_manifest::version::ReleaseVersion;
use serde::Serialize;

use crate::binaries::{BinaryArgs, Built};
use crate::candidate::{Candidate, Change};
use crate::checks;
use crate::figures::{counted, moment};
use crate::git::GitError;
use crate::grid_clone::GridClone;
use crate::refusal::{OrRefuse, refusal};
use crate::releases::{self, Releases, Tags};
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;

/// Changed files shown one by one.
const SHOWN: usize = 40;

/// Check, sign and push a release
///
/// Run it inside the release manager's clone. Shows what changed since the last release, checks everything (settings,
/// plugins and their samples, signers, the version), commits what is not committed yet, makes a signed tag vX.Y.Z and
/// pushes branch and tag together. Workers take it at their next look. A check or a push that fails changes nothing.
///
/// Asks before it commits anything. Without a terminal (in a script, in CI) nobody can be asked: then everything has to be
/// committed, or --yes given.
///
/// New files outside nightshift.toml, release.toml, plugins/, data/ and keys/ stay out, unless you `git add` them.
///
/// With --core or --launcher workers get other programs, too: the file is tried here, named in release.toml by its version,
/// target, size and SHA-256, and put into the job server's artifact store before anything is pushed (an admin's token is
/// needed for that). Programs and targets that are not named stay as release.toml has them.
///
/// Plain git does as well: `git tag -s v1.5.0 -m v1.5.0 && git push --atomic origin main v1.5.0`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The version, such as 1.5.0; above every release before
    version: String,
    /// Make commit and tag in the clone only, to be pushed by hand
    #[arg(long)]
    no_push: bool,
    /// Commit uncommitted changes without asking; release also when nothing changed
    #[arg(short, long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    binaries: BinaryArgs,
}

/// A release that was cut, for scripts.
#[derive(Debug, Serialize)]
pub(crate) struct Cut {
    /// Its tag, as in `v1.5.0`.
    pub(crate) tag: String,
    /// The commit that the tag is on, and the branch that the commit is on.
    commit: String,
    branch: String,
    /// Branch and tag are in the central repository; otherwise in the clone alone.
    pushed: bool,
    /// The plugins in it, by name.
    plugins: Vec<String>,
    /// The programs that this cut named in release.toml.
    artifacts: Vec<Artifact>,
    /// What stays out, what a person has to put in place, and what workers wait for.
    warnings: Vec<String>,
}

/// A program of a release; workers fetch it by its SHA-256.
#[derive(Debug, Serialize)]
struct Artifact {
    program: String,
    version: String,
    target: String,
    sha256: String,
    bytes: u64,
}

impl Artifact {
    fn of(binary: &Binary) -> Self {
        Self {
            program: binary.program.to_string(),
            version: binary.version.to_string(),
            target: binary.target.clone(),
            sha256: binary.sha256.to_string(),
            bytes: binary.size,
        }
    }
}

/// A release that is ready to be pushed: git objects that nothing points at yet.
struct Made {
    tag: String,
    tag_id: String,
    commit: String,
}

/// What is cut, and by whom.
#[derive(Debug)]
pub(crate) struct Order<'o> {
    /// The version.
    pub(crate) version: ReleaseVersion,
    /// Make commit and tag in the clone only.
    pub(crate) no_push: bool,
    /// Ask nothing.
    pub(crate) yes: bool,
    /// The programs it brings, as the command line names them.
    pub(crate) binaries: Option<&'o BinaryArgs>,
    /// The key that signs it.
    pub(crate) key: &'o SigningKey,
    /// The key that is to sign the release after it.
    pub(crate) next_key: &'o SigningKey,
}

/// Runs the command.
pub(crate) fn run(args: &Args, around: &Surroundings) -> anyhow::Result<Exit> {
    let clone = GridClone::here(around)?;
    let key = SigningKey::open(&around.config.signing_key)?;
    let version = parse_version(&args.version)?;
    let binaries = Some(&args.binaries);
    let order = Order { version, no_push: args.no_push, yes: args.yes, binaries, key: &key, next_key: &key };
    let cut = cut(&order, &clone, around)?;
    match args.json {
        true => around.screen.json("release", &cut)?,
        false => around.screen.data(&format!("{}\n", cut.tag))?,
    }
    Ok(Exit::Done)
}

/// Cuts a release.
pub(crate) fn cut(order: &Order<'_>, clone: &GridClone, around: &Surroundings) -> anyhow::Result<Cut> {
    let (args, version, key) = (order, order.version, order.key);
    let branch = clone.branch()?;
    let tags = if args.no_push { Tags::Local } else { Tags::Central };
    if !args.no_push {
        releases::fetch(clone)?;
    }
    let known = releases::judge(clone, tags, None)?;
    check_version(version, &known, clone)?;
    let built = args.binaries.map(|binaries| binaries.read(clone, around)).transpose()?.flatten();
    let candidate = Candidate::of(clone, built.as_ref().map(|built| built.text.as_str()))?;
    if !args.no_push {
        check_up_to_date(clone, &branch, &candidate.head)?;
    }

    let last = known.review.newest();
    let changes = candidate.changes_since(clone, last.map(|last| last.commit.as_str()))?;
    show_changes(&candidate, &changes, version, &branch, &known, around)?;
    if let (Some(last), true, false) = (last, changes.is_empty(), args.yes) {
        let text = format!(
            "not released, because nothing changed since {}; to release the same under a higher version, add --yes",
            last.version.tag()
        );
        return Err(refusal(Exit::Usage, text));
    }
    if !args.yes && !around.can_ask {
        check_committed(&candidate, built.is_some(), version)?;
    }
    around.screen.heading("Checks");
    let commit = candidate.commit(clone, &title(version))?;
    let made = make(version, commit, &BTreeMap::new(), key, clone)?;
    let next = RemoteTag { name: made.tag.clone(), id: made.tag_id.clone() };
    let judged = releases::judge(clone, tags, Some(next))?;
    let sampled = checks::check_release(&made.tag, &judged, order.next_key, around)?;
    // The same tag, which also says what the checks measured.
    let made = make(version, made.commit, &sampled, key, clone)?;
    if !candidate.uncommitted.is_empty() && !args.yes && around.can_ask {
        let files = counted(candidate.uncommitted.len() as u64, "uncommitted file");
        if !around.screen.ask(&format!("\nCommit {files} and release {}?", version.tag()))? {
            return Err(refusal(Exit::Failed, "not released; nothing was changed"));
        }
    }

    around.screen.heading(format!("Release {}", version.tag()));
    let mut warnings: Vec<String> = left_out_line(&candidate.left_out).into_iter().collect();
    if let (Some(built), Some(binaries)) = (&built, args.binaries) {
        warnings.extend(binaries.upload(built, clone, around)?);
    }
    if !args.no_push {
        push(&made, &branch, clone)?;
    }
    keep(&made, &branch, &candidate, clone)?;
    if let Some(built) = &built {
        let path = clone.root.join(BINARIES_FILE);
        std::fs::write(&path, &built.text).with_context(|| format!("writing {}", path.display()))?;
    }
    tell(args, &made, &branch, &candidate, clone, around)?;
    if let Some(Ok(Believed { held: Some(held), .. })) = judged.review.verdict(&made.tag) {
        around.screen.warn(held);
        warnings.push(held.to_string());
    }
    let artifacts = built.iter().flat_map(Built::binaries).map(Artifact::of).collect();
    let plugins = plugins(clone, &made.commit);
    let Made { tag, commit, .. } = made;
    Ok(Cut { tag, commit, branch, pushed: !args.no_push, plugins, artifacts, warnings })
}

/// The names of a commit's plugins.
fn plugins(clone: &GridClone, commit: &str) -> Vec<String> {
    let listed = clone.git.run(&["ls-tree", "-d", "--name-only", &format!("{commit}:plugins")]);
    // Without such a folder there are none.
    listed.unwrap_or_default().lines().map(str::to_owned).collect()
}

/// `1.5.0`, or `v1.5.0` meaning the same.
pub(crate) fn parse_version(text: &str) -> anyhow::Result<ReleaseVersion> {
    text.strip_prefix('v').unwrap_or(text).parse().map_err(|error| refusal(Exit::Usage, format!("{error}")))
}

fn check_version(version: ReleaseVersion, known: &Releases, clone: &GridClone) -> anyhow::Result<()> {
    let tag = version.tag();
    let refuse = |text: String| Err(refusal(Exit::Usage, text));
    if let Some(verdict) = known.review.verdict(&tag) {
        return refuse(match verdict {
            Ok(_) => format!("{tag} is released already; take a higher version"),
            Err(why) => format!(
                "there is a tag {tag} already, though workers refuse it ({}); take a higher version, or delete it with \
                 `git push {} :refs/tags/{tag}`",
                why.found, clone.remote
            ),
        });
    }
    if let Some(newest) = known.review.newest().filter(|newest| newest.version >= version) {
        return refuse(format!(
            "{tag} is not above {}, the newest release; releases never go back: take a higher version",
            newest.version.tag()
        ));
    }
    if clone.git.run(&["rev-parse", "--quiet", "--verify", &format!("refs/tags/{tag}")]).is_ok() {
        return refuse(format!(
            "your clone has a tag {tag} that was never pushed; push it with `git push --atomic {} HEAD {tag}`, or \
             delete it with `git tag -d {tag}`",
            clone.remote
        ));
    }
    Ok(())
}

fn check_up_to_date(clone: &GridClone, branch: &str, head: &str) -> anyhow::Result<()> {
    let Some(central) = releases::central_branch(clone, branch) else { return Ok(()) };
    clone.git.run(&["merge-base", "--is-ancestor", &central, head]).map(drop).map_err(|_| {
        let text = format!(
            "branch {branch} of the central repository has commits that yours has not; \
             `git pull --rebase --autostash` first, nothing was changed"
        );
        refusal(Exit::Failed, text)
    })
}

/// Where nobody can be asked, nothing is committed that nobody said should be. The release.toml that this cut itself writes
/// is no such thing.
fn check_committed(candidate: &Candidate, brings_programs: bool, version: ReleaseVersion) -> anyhow::Result<()> {
    let paths = candidate.uncommitted.iter().map(|change| change.path.as_str());
    let paths: Vec<&str> = paths.filter(|path| !(brings_programs && *path == BINARIES_FILE)).collect();
    match not_committed(&paths, version) {
        Some(text) => Err(refusal(Exit::Usage, text)),
        None => Ok(()),
    }
}

/// Which files keep a release from being cut unasked, and what to do.
fn not_committed(paths: &[&str], version: ReleaseVersion) -> Option<String> {
    /// Files named in one line.
    const NAMED: usize = 5;
    if paths.is_empty() {
        return None;
    }
    let mut named = paths.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED {
        named = format!("{named} and {} more", paths.len() - NAMED);
    }
    let files = counted(paths.len() as u64, "file");
    let them = if paths.len() == 1 { "it" } else { "them" };
    Some(format!(
        "{} is not released, because {files} would be committed with it and there is no terminal to ask on: {named}; commit {them} \
         first, or add --yes to have {them} committed; nothing was changed",
        version.tag()
    ))
}

fn show_changes(
    candidate: &Candidate,
    changes: &[Change],
    version: ReleaseVersion,
    branch: &str,
    known: &Releases,
    around: &Surroundings,
) -> anyhow::Result<()> {
    let screen = &around.screen;
    match known.review.newest() {
        Some(last) => {
            let last_tag = last.version.tag();
            let made_at = known.made_at.get(&last_tag).copied().unwrap_or_default();
            let made_at = moment(made_at, &TimeZone::system());
            screen.heading(format!("{} from branch {branch}, after {last_tag} of {made_at}", version.tag()));
            screen.say(match changes.len() {
                0 => format!("nothing changed since {last_tag}"),
                number => format!("{} changed since {last_tag}:", counted(number as u64, "file")),
            });
        }
        None => {
            screen.heading(format!("{} from branch {branch}, the first release", version.tag()));
            screen.say(format!("{}:", counted(changes.len() as u64, "file")));
        }
    }
    for change in changes.iter().take(SHOWN) {
        screen.say(change_line(change, &candidate.uncommitted));
    }
    if changes.len() > SHOWN {
        screen.say(format!("  and {} more", changes.len() - SHOWN));
    }
    if let Some(text) = left_out_line(&candidate.left_out) {
        screen.warn(text);
    }
    Ok(())
}

/// What stays out, and how it would not.
fn left_out_line(left_out: &[String]) -> Option<String> {
    let (first, more) = left_out.split_first()?;
    let (what, them) = match more.len() {
        0 => (first.clone(), "it"),
        number => (format!("{first} and {number} more"), "them"),
    };
    Some(format!(
        "{what}: not released, being new and outside {SETTINGS_FILE}, {BINARIES_FILE}, plugins/, data/ and keys/; to release {them} \
         all the same, `git add` {them} first"
    ))
}

fn change_line(change: &Change, uncommitted: &[Change]) -> String {
    let Change { kind, path } = change;
    let note = if uncommitted.iter().any(|other| other.path == *path) { "  (not committed yet)" } else { "" };
    format!("  {kind:<8} {path}{note}")
}

/// The message of the commit, and the beginning of the tag's.
fn title(version: ReleaseVersion) -> String {
    format!("Release {version}\n")
}

/// Makes the tag of a commit as an object that nothing points at yet.
fn make(
    version: ReleaseVersion,
    commit: String,
    sampled: &BTreeMap<String, Sampled>,
    key: &SigningKey,
    clone: &GridClone,
) -> anyhow::Result<Made> {
    let tag = version.tag();
    let message = match sampled::write(sampled) {
        nothing if nothing.is_empty() => title(version),
        lines => format!("{}\n{lines}", title(version)),
    };
    let identity = clone.git.identity()?;
    let fields = TagFields {
        name: tag.clone(),
        commit: commit.clone(),
        tagger: identity.who,
        time: Timestamp::from_second(identity.seconds).context("reading git's clock")?,
        message,
    };
    let raw = signed(&fields, key.private())?;
    let tag_id = clone.git.run_with_input(&["hash-object", "-w", "-t", "tag", "--stdin"], &raw)?;
    Ok(Made { tag, tag_id, commit })
}

/// Pushes branch and tag. A push whose end is not known is looked up.
fn push(made: &Made, branch: &str, clone: &GridClone) -> anyhow::Result<()> {
    let Made { tag, tag_id, commit } = made;
    let branch_update = format!("{commit}:refs/heads/{branch}");
    let tag_update = format!("{tag_id}:refs/tags/{tag}");
    let Err(error) =
        clone.git.run(&["push", "--quiet", "--atomic", "--no-follow-tags", &clone.remote, &branch_update, &tag_update])
    else {
        return Ok(());
    };
    if arrived(made, clone) {
        return Ok(());
    }
    Err(error).or_refuse(Exit::Failed, || {
        format!(
            "pushing {branch} and {tag} to {}; nothing was changed, neither there nor here: mend what git says below, \
             then cut the release again",
            clone.url().unwrap_or_else(|_| clone.remote.clone())
        )
    })
}

fn arrived(made: &Made, clone: &GridClone) -> bool {
    let listed: Result<String, GitError> =
        clone.git.run(&["ls-remote", &clone.remote, &format!("refs/tags/{}", made.tag)]);
    listed.is_ok_and(|listed| listed.starts_with(&made.tag_id))
}

/// Moves the clone's own branch and tag.
fn keep(made: &Made, branch: &str, candidate: &Candidate, clone: &GridClone) -> anyhow::Result<()> {
    let Made { tag, tag_id, commit } = made;
    let updates =
        format!("update refs/heads/{branch} {commit} {old}\ncreate refs/tags/{tag} {tag_id}\n", old = candidate.head);
    let message = format!("nightshift release cut: {tag}");
    clone
        .git
        .run_with_input(&["update-ref", "-m", &message, "--stdin"], updates.as_bytes())
        .with_context(|| format!("moving {branch} and {tag} in {}; `git pull --tags` does it", clone.root.display()))?;
    if !candidate.uncommitted.is_empty() {
        clone.git.run(&["reset", "--quiet"]).context("bringing git's index up to date; `git reset` does it")?;
    }
    Ok(())
}

fn tell(
    args: &Order<'_>,
    made: &Made,
    branch: &str,
    candidate: &Candidate,
    clone: &GridClone,
    around: &Surroundings,
) -> anyhow::Result<()> {
    let Made { tag, commit, .. } = made;
    let screen = &around.screen;
    if !candidate.uncommitted.is_empty() {
        let files = counted(candidate.uncommitted.len() as u64, "file");
        screen.good(format!("committed {files} on {branch} as {}", &commit[..10]));
    }
    screen.good(format!("signed {tag} on commit {}", &commit[..10]));
    if args.no_push {
        screen.say(format!("Not pushed. Do it with `git push --atomic {} {branch} {tag}`.", clone.remote));
    } else {
        screen.good(format!("pushed {branch} and {tag} to {}", clone.url()?));
        screen.say(who_takes_it(releases::settings_of(clone, commit).as_ref()));
    }
    Ok(())
}

/// Who takes a pushed release, and when.
fn who_takes_it(settings: Option<&GridSettings>) -> String {
    match settings.and_then(|settings| settings.rollout.as_ref()?.rings.first()) {
        Some(Ring { name, .. }) => format!(
            "It goes ring by ring, ring {name} first; the job server opens the others. `nightshift release status` shows \
             how far it is."
        ),
        None => "Workers take it at their next look, within a minute while they work.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_release_from_being_cut_unasked_is_named_and_not_by_the_hundred() {
        let version = ReleaseVersion::new(1, 5, 0);
        assert_eq!(not_committed(&[], version), None);
        let one = not_committed(&["nightshift.toml"], version).expect("refused");
        assert!(one.contains("1 file would") && one.contains("ask on: nightshift.toml; commit it first"), "{one}");
        let many = not_committed(&["a", "b", "c", "d", "e", "f", "g"], version).expect("refused");
        assert!(many.contains("7 files would") && many.contains("a, b, c, d, e and 2 more; commit them"), "{many}");
    }

    #[test]
    fn with_a_rollout_plan_not_everybody_is_said_to_take_a_release_at_once() {
        let settings = |text: &str| GridSettings::parse(text, SETTINGS_FILE).expect("settings");
        assert!(who_takes_it(None).starts_with("Workers take it at their next look"));
        assert!(who_takes_it(Some(&settings(""))).starts_with("Workers take it at their next look"));
        let rings = settings(
            "[[rollout.ring]]\nname = \"canary\"\npercent = 10\n\n[[rollout.ring]]\nname = \"all\"\npercent = 100\n",
        );
        let said = who_takes_it(Some(&rings));
        assert!(said.contains("ring canary first") && said.contains("release status"), "{said}");
    }

    #[test]
    fn a_version_is_taken_with_and_without_its_v() {
        assert_eq!(parse_version("1.5.0").expect("version").tag(), "v1.5.0");
        assert_eq!(parse_version("v1.5.0").expect("version").tag(), "v1.5.0");
        for wrong in ["1.5", "v1.5.0-rc1", "vv1.5.0", "next"] {
            assert_eq!(crate::refusal::exit_of(&parse_version(wrong).expect_err(wrong)), Exit::Usage);
        }
    }
}
