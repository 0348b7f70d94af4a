//! The programs of a release: read, tried, named in release.toml, put where workers fetch them.
//!
//! 1. Each file is hashed; its first bytes have to fit the target; one for this kind of machine has to start here and say
//!    its name and version.
//! 2. The list keeps what it has for other programs and other targets.
//! 3. Before the tag is pushed the files are put into the job server's artifact store, unless they are there: no worker
//!    ever sees a release whose programs are nowhere.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use futures_util::TryStreamExt;
use nightshift_contract::exit::Exit;
use nightshift_engine::binaries::digest_of;
use nightshift_manifest::SETTINGS_FILE;
use nightshift_manifest::binaries::{BINARIES_FILE, Binaries, Binary, MAX_BINARY_BYTES, Place, Program, check_target};
use nightshift_manifest::machine::{HEAD_BYTES, can_be_for, this_target};
use nightshift_manifest::settings::GridSettings;
use nightshift_manifest::version::ReleaseVersion;
use tokio_util::io::ReaderStream;

use crate::control::RepositoryArgs;
use crate::grid_clone::GridClone;
use crate::program::says_version;
use crate::refusal::{OrRefuse, refusal};
use crate::same_grid::Check;
use crate::server::{ServerArgs, wait_for};
use crate::surroundings::Surroundings;

/// Bytes of a file that are sent at once.
const PIECE: usize = 256 * 1024;

/// The programs that a command names.
#[derive(Debug, clap::Args)]
pub(crate) struct BinaryArgs {
    /// The nightshift-core that workers get with this release
    #[arg(long, value_name = "FILE")]
    core: Option<PathBuf>,
    /// The nightshift-launcher that workers get with this release
    #[arg(long, value_name = "FILE")]
    launcher: Option<PathBuf>,
    /// The kind of machine the files are for [default: this machine's]
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// The files' version, when they are for another kind of machine and cannot say it here
    #[arg(long, value_name = "VERSION", requires = "target")]
    binary_version: Option<ReleaseVersion>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Programs that are ready to be released.
#[derive(Debug)]
pub(crate) struct Built {
    /// The new text of release.toml.
    pub(crate) text: String,
    files: Vec<(Binary, PathBuf)>,
}

impl Built {
    /// What release.toml says of them.
    pub(crate) fn binaries(&self) -> impl Iterator<Item = &Binary> {
        self.files.iter().map(|(binary, _)| binary)
    }
}

impl BinaryArgs {
    /// Reads and tries the files that were named; `None` when there were none.
    pub(crate) fn read(&self, clone: &GridClone, around: &Surroundings) -> anyhow::Result<Option<Built>> {
        let named = [(Program::Core, &self.core), (Program::Launcher, &self.launcher)];
        let named: Vec<(Program, PathBuf)> =
            named.into_iter().filter_map(|(program, file)| Some((program, around.resolve(file.as_ref()?)))).collect();
        if named.is_empty() {
            return Ok(None);
        }
        let target = self.target.clone().unwrap_or_else(this_target);
        check_target(&target).map_err(|problem| refusal(Exit::Usage, format!("--target: {problem}")))?;
        let mut binaries = present(clone)?;
        let mut files = Vec::new();
        for (program, file) in named {
            let spinner = around.screen.spinner(&format!("reading {}", file.display()));
            let binary = self.read_one(program, &file, &target, &binaries).or_refuse(Exit::Usage, || {
                format!("taking {} as the {program} for {target}; nothing was changed", file.display())
            })?;
            drop(spinner);
            around.screen.good(format!(
                "{program} {} for {target}: {:.1} MB{}",
                binary.version,
                binary.size as f64 / 1e6,
                if target == this_target() {
                    ", starts here"
                } else {
                    ", not tried, because it is for another machine"
                }
            ));
            binaries = binaries.with(binary.clone());
            files.push((binary, file));
        }
        Ok(Some(Built { text: binaries.to_toml(), files }))
    }

    fn read_one(&self, program: Program, file: &Path, target: &str, present: &Binaries) -> anyhow::Result<Binary> {
        let mut opened = File::open(file).context("opening it")?;
        let size = opened.metadata().context("opening it")?.len();
        if !(1..=MAX_BINARY_BYTES).contains(&size) {
            anyhow::bail!("it has {size} bytes: a program has 1 to {MAX_BINARY_BYTES}");
        }
        let mut head = Vec::new();
        opened.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).context("reading it")?;
        can_be_for(&head, target).map_err(|what| {
            anyhow::anyhow!("{what}, and would be released for {target}; --target TARGET says which it is for")
        })?;
        let version = match target == this_target() {
            true => {
                let said = says_version(file, program.file_name())?;
                version_in(&said, program).with_context(|| {
                    format!(
                        "started with --version it says {said:?} and not \"{} X.Y.Z\": is it the right file?",
                        program.file_name()
                    )
                })?
            }
            // It cannot be asked: it is what was said, or what this machine's own is.
            false => self.binary_version.or_else(|| own_version(program, present)).with_context(|| {
                format!("it cannot say its version here: add --binary-version X.Y.Z, or release the {program} for this machine first")
            })?,
        };
        let sha256 = digest_of(file).context("hashing it")?;
        Ok(Binary { program, version, target: target.to_owned(), size, sha256 })
    }

    /// Puts the files where workers fetch them; what is left to a person of that, one sentence a file. Call it before the tag
    /// is pushed.
    pub(crate) fn upload(
        &self,
        built: &Built,
        clone: &GridClone,
        around: &Surroundings,
    ) -> anyhow::Result<Vec<String>> {
        let from = places(clone)?;
        let mut left = Vec::new();
        if !from.contains(&Place::JobServer) {
            for (binary, file) in &built.files {
                left.push(format!(
                    "{SETTINGS_FILE} does not name the job server: put {} at {}{} yourself, before workers look",
                    file.display(),
                    from.first()
                        .map(|place| format!("{place}/").replace("//", "/").replacen(":/", "://", 1))
                        .unwrap_or_default(),
                    binary.sha256
                ));
            }
            left.iter().for_each(|left| around.screen.warn(left));
            return Ok(left);
        }
        Check::of(&RepositoryArgs::default(), &self.server, around)?
            .refuse_another(&self.server, around)
            .context("uploading the programs to the job server; nothing was pushed")?;
        let url = self.server.url(around).to_owned();
        let client = self.server.client(around)?;
        wait_for(async {
            for (binary, file) in &built.files {
                let what = format!("{} {} for {}", binary.program, binary.version, binary.target);
                let there = client.artifacts().await?;
                if there.iter().any(|there| there.sha256 == binary.sha256.as_str()) {
                    around.screen.good(format!("{what} is at {url} already"));
                    continue;
                }
                let opened = tokio::fs::File::open(file).await;
                let opened = opened.with_context(|| format!("opening {}", file.display()))?;
                let bar = around.screen.byte_bar(Some(binary.size), &format!("uploading {}", binary.program));
                let sent = bar.clone();
                let bytes = ReaderStream::with_capacity(opened, PIECE);
                let bytes = bytes.inspect_ok(move |piece| sent.inc(piece.len() as u64));
                let put = client.put_artifact(binary.sha256.as_str(), binary.size, bytes).await;
                bar.finish_and_clear();
                put?;
                around.screen.good(format!("{what} put into the artifact store of {url}"));
            }
            Ok(left)
        })
        .context("uploading the programs; nothing was pushed, cut the release again when it works")
    }
}

/// The list as it stands in the work folder.
fn present(clone: &GridClone) -> anyhow::Result<Binaries> {
    let path = clone.root.join(BINARIES_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Binaries::parse(&text, BINARIES_FILE)
            .or_refuse(Exit::Usage, || format!("reading {}; mend or delete it, nothing was changed", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Binaries::default()),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Where the workers of the next release look.
fn places(clone: &GridClone) -> anyhow::Result<Vec<Place>> {
    let path = clone.root.join(SETTINGS_FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(GridSettings::parse(&text, SETTINGS_FILE)?.binaries_from)
}

/// The version in `nightshift-core 0.2.0`.
fn version_in(said: &str, program: Program) -> Option<ReleaseVersion> {
    said.strip_prefix(program.file_name())?.strip_prefix(' ')?.parse().ok()
}

fn own_version(program: Program, present: &Binaries) -> Option<ReleaseVersion> {
    let own = this_target();
    present.iter().find(|binary| binary.program == program && binary.target == own).map(|binary| binary.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_its_name_and_version() {
        let version = |said| version_in(said, Program::Core).map(|version| version.to_string());
        assert_eq!(version("nightshift-core 0.2.0").as_deref(), Some("0.2.0"));
        for said in ["nightshift-launcher 0.2.0", "nightshift-core", "nightshift-core 0.2", "0.2.0", ""] {
            assert_eq!(version(said), None, "{said}");
        }
    }
}
