//! Builds a new grid's repositories and configurations in a folder of their own. Where they go in the end, and that
//! they appear there whole, is the business of `init`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nightshift_contract::exit::Exit;
use rust_embed::RustEmbed;

use crate::git::Git;
use crate::refusal::{OrRefuse, refusal};
use crate::signing_key::SigningKey;
use crate::surroundings::Surroundings;
use crate::templates::{self, fill, toml_string};
use crate::urls::{Listen, file_url};

/// The name beside the recovery key.
const RECOVERY: &str = "recovery";

/// Where the job server keeps everything, in the grid's folder.
pub(crate) const JOBSERVER_STATE: &str = "state/jobserver";

/// The branch releases are cut from.
const MAIN: &str = "main";

/// Settings, sample plugins and their data, laid out as in a release's tree.
#[derive(RustEmbed)]
#[folder = "samples"]
struct Samples;

/// The central repository of a new grid.
#[derive(Debug)]
pub(crate) struct Remote {
    /// The URL by which people and workers know it.
    pub(crate) url: String,
    /// It is made by this `init`, as `central.git` of the target folder.
    made_here: bool,
}

/// What a new grid is made of.
#[derive(Debug)]
pub(crate) struct NewGrid<'a> {
    /// The folder everything will stand in.
    pub(crate) target: &'a Path,
    /// The central repository.
    pub(crate) remote: &'a Remote,
    /// The key that signs releases.
    pub(crate) key: &'a SigningKey,
    /// The key that counts when those that sign were stolen.
    pub(crate) recovery: &'a SigningKey,
    /// The job server's URL.
    pub(crate) jobserver: &'a str,
    /// Where the job server listens.
    pub(crate) listen: &'a Listen,
    /// The pin of its certificate authority, when it is known.
    pub(crate) jobserver_ca: Option<&'a str>,
    /// The token with which workers may ask to join, when there is one.
    pub(crate) join_token: Option<&'a str>,
    /// Name of the control branch.
    pub(crate) control_branch: &'a str,
}

impl Remote {
    /// A repository of the grid's own, inside its folder.
    pub(crate) fn inside(target: &Path) -> anyhow::Result<Self> {
        let url = file_url(&target.join("central.git"))
            .ok_or_else(|| refusal(Exit::Usage, format!("{} is not UTF-8; name another folder", target.display())))?;
        Ok(Self { url, made_here: true })
    }

    /// A repository that exists and is empty. A plain path is taken as one of this machine.
    pub(crate) fn existing(url: &str, around: &Surroundings) -> anyhow::Result<Self> {
        let path = around.resolve(Path::new(url));
        let url = match path.is_dir() {
            true => file_url(&path.canonicalize()?).unwrap_or_else(|| url.to_owned()),
            false => url.to_owned(),
        };
        let refs = around
            .git(&around.current_dir)
            .run(&["ls-remote", &url])
            .or_refuse(Exit::Usage, || format!("looking at {url}; make an empty repository there first"))?;
        if let Some(first) = refs.lines().next() {
            let name = first.split('\t').nth(1).unwrap_or(first);
            let text = format!("{url} is not empty, it has {name}; name an empty repository, nothing was changed");
            return Err(refusal(Exit::Usage, text));
        }
        Ok(Self { url, made_here: false })
    }
}

impl NewGrid<'_> {
    /// Builds everything in `workshop/built`, and pushes to an existing remote as the last step.
    pub(crate) fn build(&self, workshop: &Path, around: &Surroundings) -> anyhow::Result<()> {
        let built = workshop.join("built");
        let grid = built.join("grid");
        fs::create_dir_all(&grid)?;
        let git = around.git(&grid);
        git.run(&["init", "--quiet", "--template=", "--initial-branch", MAIN])?;
        self.configure(&git)?;
        let principal = mail(&git)?;
        let signer = self.key.allowed_signers_line(&principal);
        self.write_tree(&grid, &signer)?;
        self.write_configurations(&built, &signer)?;

        git.run(&["add", "--all"])?;
        let message = b"Begin the grid: settings, signers, sample plugins";
        git.run_as_person(&["commit", "--quiet", "--no-verify", "--file=-"], message)?;
        let main = git.run(&["rev-parse", "HEAD"])?;
        let control = self.control_commit(&git)?;

        let push_to = match self.remote.made_here {
            true => {
                let central = built.join("central.git");
                fs::create_dir(&central)?;
                around.git(&central).run(&["init", "--quiet", "--bare", "--template=", "--initial-branch", MAIN])?;
                central.to_string_lossy().into_owned()
            }
            false => self.remote.url.clone(),
        };
        let control_ref = format!("{control}:refs/heads/{}", self.control_branch);
        git.run(&[
            "push",
            "--quiet",
            "--atomic",
            "--no-follow-tags",
            &push_to,
            &format!("{main}:refs/heads/{MAIN}"),
            &control_ref,
        ])
        .with_context(|| format!("pushing the first branches to {}", self.remote.url))?;
        for (branch, commit) in [(MAIN, &main), (self.control_branch, &control)] {
            git.run(&["update-ref", &format!("refs/remotes/origin/{branch}"), commit])?;
        }
        Ok(())
    }

    /// Sets the clone up so that plain git signs, verifies and pushes as `nightshift release cut` does.
    fn configure(&self, git: &Git) -> anyhow::Result<()> {
        let key = self.key.path().to_string_lossy();
        let signers = self.target.join("grid/keys/allowed_signers");
        let signers = signers.to_string_lossy();
        let mut settings: Vec<(&str, &str)> = vec![
            ("nightshift.controlBranch", self.control_branch),
            ("core.autocrlf", "false"),
            ("gpg.format", "ssh"),
            ("user.signingkey", &key),
            ("gpg.ssh.allowedSignersFile", &signers),
            ("tag.gpgsign", "false"),
            ("commit.gpgsign", "false"),
            ("remote.origin.url", &self.remote.url),
            ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
            ("branch.main.remote", "origin"),
            ("branch.main.merge", "refs/heads/main"),
        ];
        let (name, mail) = git.stand_in();
        if !git.knows_the_person()? {
            settings.extend([("user.name", name.as_str()), ("user.email", mail.as_str())]);
        }
        for (key, value) in settings {
            git.run(&["config", "--local", key, value])?;
        }
        Ok(())
    }

    fn write_tree(&self, grid: &Path, signer: &str) -> anyhow::Result<()> {
        for (path, text) in templates::GRID {
            write(&grid.join(path), text.as_bytes())?;
        }
        write(&grid.join(nightshift_manifest::SIGNERS_FILE), format!("{signer}\n").as_bytes())?;
        let recovery = format!("{}{}\n", templates::RECOVERY, self.recovery.allowed_signers_line(RECOVERY));
        write(&grid.join(nightshift_manifest::RECOVERY_FILE), recovery.as_bytes())?;
        for path in Samples::iter() {
            let file = Samples::get(&path).with_context(|| format!("unpacking the sample {path}"))?;
            write(&grid.join(path.as_ref()), &file.data)?;
        }
        Ok(())
    }

    fn write_configurations(&self, built: &Path, signer: &str) -> anyhow::Result<()> {
        let path = |name: &str| self.target.join(name).to_string_lossy().into_owned();
        let quoted = |name: &str| toml_string(&path(name));
        // A grid for a first try asks nobody; one that others reach, or that is reached over TLS, asks for tokens.
        let open = self.listen.loopback && !self.listen.tls;
        let names = self.listen.host.parse::<std::net::IpAddr>().is_err() && !self.listen.loopback;
        let hosts = if names { format!("[{}]", toml_string(&self.listen.host)) } else { "[]".to_owned() };
        let shared = [
            ("access", toml_string(if open { "open" } else { "tokens" })),
            ("hosts", hosts),
            ("jobserver_ca", line("jobserver_ca", self.jobserver_ca, "sha256:…")),
            ("join_token", line("join_token", self.join_token, "ns_join_…")),
            ("repository", toml_string(&self.remote.url)),
            ("control_branch", toml_string(self.control_branch)),
            ("signer", toml_string(signer)),
            ("recovery", toml_string(&self.recovery.allowed_signers_line(RECOVERY))),
            ("jobserver", toml_string(self.jobserver)),
            ("listen", toml_string(&self.listen.address)),
            ("worker_toml", path("worker.toml")),
            ("jobserver_toml", path("jobserver.toml")),
        ];
        let files = [
            ("worker.toml", templates::WORKER, quoted("state/worker")),
            ("jobserver.toml", templates::JOBSERVER, quoted(JOBSERVER_STATE)),
        ];
        for (name, template, state_dir) in files {
            let mut values: Vec<(&str, &str)> = shared.iter().map(|(name, value)| (*name, value.as_str())).collect();
            values.push(("state_dir", &state_dir));
            write(&built.join(name), fill(template, &values).as_bytes())?;
        }
        Ok(())
    }

    /// The first commit of the control branch: a note, so that people who see the branch know what it is.
    fn control_commit(&self, git: &Git) -> anyhow::Result<String> {
        let note = git.run_with_input(&["hash-object", "-w", "--stdin"], templates::CONTROL_README.as_bytes())?;
        let tree = git.run_with_input(&["mktree"], format!("100644 blob {note}\tREADME.md\n").as_bytes())?;
        Ok(git.run_as_person(&["commit-tree", &tree], b"Begin the control branch\n")?)
    }
}

/// A line of worker.toml; one that is not known yet is written as a remark.
fn line(key: &str, value: Option<&str>, example: &str) -> String {
    match value {
        Some(value) => format!("{key} = {}", toml_string(value)),
        None => format!("# {key} = {}", toml_string(example)),
    }
}

/// The mail address by which git knows the person; names the signer in `keys/allowed_signers`.
fn mail(git: &Git) -> anyhow::Result<String> {
    let identity = git.identity()?;
    let mail = identity.who.rsplit_once('<').map_or("", |(_, mail)| mail.trim_end_matches('>'));
    let plain = !mail.is_empty() && mail.chars().all(|c| c.is_alphanumeric() || "@._+-".contains(c));
    Ok(if plain { mail.to_owned() } else { "release-manager".to_owned() })
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder: PathBuf = path.parent().map(Path::to_owned).unwrap_or_default();
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(path, content))
        .with_context(|| format!("writing {}", path.display()))
}
