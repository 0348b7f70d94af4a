//! The programs a release brings, `release.toml` in its tree: which core and which launcher, by version, target, size and
//! SHA-256.
//!
//! The tag's signature covers the file and so the digests: where the bytes come from need not be trusted. A program that is
//! not named stays the installed one. A program that is named, but for other targets only, is none that this machine can
//! run, and the release is not for it: [`Binaries::for_target`]. Fetching is `updater/engine`'s business.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use crate::file_error::{FileError, read_toml};
use crate::version::ReleaseVersion;

/// Name of the list of programs in a release's tree.
pub const BINARIES_FILE: &str = "release.toml";

/// The largest program that is fetched, in bytes.
pub const MAX_BINARY_BYTES: u64 = 512 << 20;

/// The most entries a list may have.
const MAX_ENTRIES: usize = 64;

/// A program that a release can bring. Boot is none: nobody could replace a bad one from afar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// `nightshift-core`.
    Core,
    /// `nightshift-launcher`.
    Launcher,
}

impl Program {
    /// Every program that a release can bring.
    pub const ALL: [Program; 2] = [Program::Core, Program::Launcher];

    /// Its name in `release.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Program::Core => "core",
            Program::Launcher => "launcher",
        }
    }

    /// Its file's name, in a slot as beside boot; also what it calls itself when asked for its version.
    pub const fn file_name(self) -> &'static str {
        match self {
            Program::Core => "nightshift-core",
            Program::Launcher => "nightshift-launcher",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The SHA-256 of a file, written as 64 small hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of these 32 bytes.
    pub fn of_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// As 64 small hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As 32 bytes.
    pub fn bytes(&self) -> [u8; 32] {
        let nibble = |byte: u8| match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte - b'a' + 10,
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(self.0.as_bytes().chunks_exact(2)) {
            *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
        }
        bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let small_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.len() == 64 && text.bytes().all(small_hex) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("{text:?} is no SHA-256: write 64 small hex digits, as `sha256sum` prints them")),
        }
    }
}

/// One program for one kind of machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Which program.
    pub program: Program,
    /// Its own version, which is not the release's.
    pub version: ReleaseVersion,
    /// The kind of machine it runs on, such as `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// Its size in bytes, 1 to [`MAX_BINARY_BYTES`].
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
}

/// The programs that a release brings; sorted by program, then target; never two for the same of both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binaries(Vec<Binary>);

/// What one kind of machine gets from a release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The core; `None` means the installed one.
    pub core: Option<Binary>,
    /// The launcher; `None` means the installed one.
    pub launcher: Option<Binary>,
}

impl Wanted {
    /// The programs to be fetched.
    pub fn iter(&self) -> impl Iterator<Item = &Binary> {
        self.core.iter().chain(&self.launcher)
    }

    /// Whether the release brings no program for the machine.
    pub fn is_empty(&self) -> bool {
        self.core.is_none() && self.launcher.is_none()
    }
}

/// A release that brings a program for other kinds of machines only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{BINARIES_FILE} names no {program} for {target}, which this machine is, but one for {others}: release again with \
     `nightshift release cut VERSION --{program} FILE --target {target}`"
)]
pub struct OtherTarget {
    /// The program.
    pub program: Program,
    /// The machine's kind.
    pub target: String,
    /// The kinds it is for, with commas between.
    pub others: String,
}

impl Binaries {
    /// Reads a list of programs; `file` is what errors call it.
    pub fn parse(text: &str, file: &str) -> Result<Self, FileError> {
        let written: BinariesFile = read_toml(file, text)?;
        let at = |span: std::ops::Range<usize>, problem: String| FileError::at(file, text, span.start, problem);
        if written.binary.is_empty() {
            let problem = "it names no program: delete it, and workers run the installed ones";
            return Err(FileError::whole(file, problem));
        }
        if written.binary.len() > MAX_ENTRIES {
            let problem = format!("it names {} programs: {MAX_ENTRIES} at most", written.binary.len());
            return Err(FileError::whole(file, problem));
        }
        let mut seen = BTreeSet::new();
        let mut binaries = Vec::with_capacity(written.binary.len());
        for entry in written.binary {
            let span = entry.span();
            let binary = read_entry(entry.into_inner(), &at)?;
            if !seen.insert((binary.program, binary.target.clone())) {
                let problem = format!("{} for {} is named twice: keep one of them", binary.program, binary.target);
                return Err(at(span, problem));
            }
            binaries.push(binary);
        }
        Ok(Self::of(binaries))
    }

    fn of(mut binaries: Vec<Binary>) -> Self {
        binaries.sort_by(|a, b| (a.program, &a.target).cmp(&(b.program, &b.target)));
        Self(binaries)
    }

    /// The same list with `binary` in place of the one for its program and target.
    pub fn with(&self, binary: Binary) -> Self {
        let other = |old: &&Binary| (old.program, &old.target) != (binary.program, &binary.target);
        let mut binaries: Vec<Binary> = self.0.iter().filter(other).cloned().collect();
        binaries.push(binary);
        Self::of(binaries)
    }

    /// Every program, for every target.
    pub fn iter(&self) -> impl Iterator<Item = &Binary> {
        self.0.iter()
    }

    /// What a machine of this kind gets. A program that is named for other targets only is an error: the release was made
    /// for that program, and this machine cannot have it.
    pub fn for_target(&self, target: &str) -> Result<Wanted, OtherTarget> {
        let find = |program: Program| {
            let mut named = self.0.iter().filter(|binary| binary.program == program).peekable();
            if named.peek().is_none() {
                return Ok(None);
            }
            let others: Vec<&str> = named.clone().map(|binary| binary.target.as_str()).collect();
            named.find(|binary| binary.target == target).cloned().map(Some).ok_or_else(|| OtherTarget {
                program,
                target: target.to_owned(),
                others: others.join(", "),
            })
        };
        Ok(Wanted { core: find(Program::Core)?, launcher: find(Program::Launcher)? })
    }

    /// The file's text; reading it gives the same list.
    pub fn to_toml(&self) -> String {
        let mut text = "# The programs of this release. Written by `nightshift release cut --core FILE --launcher FILE`.\n\
                        # Workers fetch them by their digest from the places named in nightshift.toml, [binaries] from.\n"
            .to_owned();
        for Binary { program, version, target, size, sha256 } in &self.0 {
            text += &format!(
                "\n[[binary]]\nname = \"{program}\"\nversion = \"{version}\"\ntarget = \"{target}\"\nsize = {size}\n\
                 sha256 = \"{sha256}\"\n"
            );
        }
        text
    }
}

type At<'a> = &'a dyn Fn(std::ops::Range<usize>, String) -> FileError;

fn read_entry(entry: BinaryTable, at: At<'_>) -> Result<Binary, FileError> {
    let BinaryTable { name, version, target, size, sha256 } = entry;
    let program = Program::ALL.into_iter().find(|program| program.name() == name.get_ref());
    let program = program.ok_or_else(|| {
        at(name.span(), format!("name = {:?} is no program of a release: write core or launcher", name.get_ref()))
    })?;
    let read_version = version.get_ref().parse().map_err(|_| {
        at(version.span(), format!("version = {:?} is no version: write one such as 1.5.0", version.get_ref()))
    })?;
    check_target(target.get_ref()).map_err(|problem| at(target.span(), problem))?;
    let read_size = u64::try_from(*size.get_ref()).ok().filter(|size| (1..=MAX_BINARY_BYTES).contains(size));
    let read_size = read_size.ok_or_else(|| {
        at(size.span(), format!("size = {} is out of range: write 1 to {MAX_BINARY_BYTES}, in bytes", size.get_ref()))
    })?;
    let digest = sha256.get_ref().parse().map_err(|problem| at(sha256.span(), format!("sha256: {problem}")))?;
    Ok(Binary { program, version: read_version, target: target.into_inner(), size: read_size, sha256: digest })
}

/// Checks the name of a kind of machine; the error says what to write.
pub fn check_target(target: &str) -> Result<(), String> {
    let parts = target.split('-').count();
    let letters = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    match (3..=4).contains(&parts) && target.len() <= 64 && target.split('-').all(letters) {
        true => Ok(()),
        false => Err(format!("target = {target:?} is no target: write one such as x86_64-unknown-linux-gnu")),
    }
}

/// Where a worker looks for the programs of a release. None of them is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The job server's artifact store.
    JobServer,
    /// A web server: the digest is appended to this address, which ends with a slash.
    Web(String),
    /// A folder in which the file's name is its digest.
    Folder(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::JobServer => f.write_str("jobserver"),
            Place::Web(base) => f.write_str(base),
            Place::Folder(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{text:?} is no place to fetch programs from: write \"jobserver\", \"https://host/folder/\" or \
                 \"file:///folder\""
            )
        };
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(bad());
        }
        let slash = |text: &str| if text.ends_with('/') { text.to_owned() } else { format!("{text}/") };
        match text.split_once("://") {
            None if text == "jobserver" => Ok(Place::JobServer),
            Some(("http" | "https", rest)) => {
                let host = rest.split('/').next().unwrap_or_default();
                match host.is_empty() || host.contains('@') || rest.contains(['?', '#']) {
                    true => Err(bad()),
                    false => Ok(Place::Web(slash(text))),
                }
            }
            Some(("file", path)) if path.starts_with('/') => Ok(Place::Folder(PathBuf::from(path))),
            _ => Err(bad()),
        }
    }
}

/// `release.toml` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BinariesFile {
    #[serde(default)]
    binary: Vec<Spanned<BinaryTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BinaryTable {
    name: Spanned<String>,
    version: Spanned<String>,
    target: Spanned<String>,
    size: Spanned<i64>,
    sha256: Spanned<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: &str = "x86_64-unknown-linux-gnu";

    fn entry(name: &str, target: &str) -> String {
        let digest = "0f".repeat(32);
        format!(
            "[[binary]]\nname = \"{name}\"\nversion = \"0.2.0\"\ntarget = \"{target}\"\nsize = 1234\nsha256 = \"{digest}\"\n"
        )
    }

    fn parse(text: &str) -> Result<Binaries, FileError> {
        Binaries::parse(text, BINARIES_FILE)
    }

    fn error(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn the_programs_of_a_release_are_read_and_written_the_same() {
        let text = entry("launcher", LINUX) + &entry("core", LINUX) + &entry("core", "aarch64-unknown-linux-gnu");
        let binaries = parse(&text).expect("well formed");
        assert_eq!(binaries.iter().count(), 3);
        assert_eq!(parse(&binaries.to_toml()), Ok(binaries.clone()));
        let core = binaries.for_target(LINUX).expect("for this machine").core.expect("named");
        assert_eq!((core.program, core.version.to_string().as_str(), core.size), (Program::Core, "0.2.0", 1234));
        assert_eq!(Digest::of_bytes(core.sha256.bytes()), core.sha256);
    }

    #[test]
    fn a_program_that_is_not_named_stays_the_installed_one() {
        let wanted = parse(&entry("core", LINUX)).expect("well formed").for_target(LINUX).expect("for this machine");
        assert!(wanted.core.is_some() && wanted.launcher.is_none());
        assert!(Binaries::default().for_target(LINUX).expect("nothing named").is_empty());
    }

    #[test]
    fn a_program_for_other_machines_only_is_not_for_this_one() {
        let binaries = parse(&(entry("core", "aarch64-unknown-linux-gnu") + &entry("launcher", LINUX))).expect("read");
        let error = binaries.for_target(LINUX).expect_err("no core").to_string();
        assert!(error.starts_with("release.toml names no core for x86_64-unknown-linux-gnu"), "{error}");
        assert!(error.contains("aarch64-unknown-linux-gnu") && error.contains("--core FILE --target"), "{error}");
    }

    #[test]
    fn one_entry_replaces_the_one_for_its_program_and_target() {
        let binaries = parse(&(entry("core", LINUX) + &entry("core", "aarch64-unknown-linux-gnu"))).expect("read");
        let mut newer = binaries.for_target(LINUX).expect("read").core.expect("named");
        newer.size = 99;
        let changed = binaries.with(newer.clone());
        assert_eq!(changed.iter().count(), 2);
        assert_eq!(changed.for_target(LINUX).expect("read").core, Some(newer));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_to_write() {
        let good = entry("core", LINUX);
        let change = |from: &str, to: &str| error(&good.replace(from, to));
        assert!(change("\"core\"", "\"boot\"").contains("line 2: name = \"boot\" is no program of a release"));
        assert!(change("0.2.0", "0.2").contains("line 3: version = \"0.2\" is no version"));
        assert!(change(LINUX, "linux").contains("line 4: target = \"linux\" is no target"));
        assert!(change(LINUX, "../../x-y-z").contains("line 4: target"));
        assert!(change("1234", "0").contains("line 5: size = 0 is out of range"));
        assert!(change("1234", "-1").contains("line 5: size = -1 is out of range"));
        assert!(change("1234", "9223372036854775807").contains("line 5: size"));
        assert!(change("0f0f", "0F0F").contains("line 6: sha256: "));
        assert!(change("0f0f", "").contains("64 small hex digits"));
        assert!(change("size = 1234\n", "").contains("missing field `size`"));
        assert!(error(&format!("{good}url = \"https://x/\"\n")).contains("`url`"));
        assert!(error(&format!("{good}{good}")).contains("core for x86_64-unknown-linux-gnu is named twice"));
        assert!(error("").starts_with("release.toml: it names no program: delete it"));
        assert!(error("[binary]\n").starts_with("release.toml: a table cannot stand here"));
    }

    #[test]
    fn a_place_is_the_job_server_a_web_server_or_a_folder() {
        let place = |text: &str| text.parse::<Place>();
        assert_eq!(place("jobserver"), Ok(Place::JobServer));
        assert_eq!(place("https://files.example/ns"), Ok(Place::Web("https://files.example/ns/".into())));
        assert_eq!(place("http://10.0.0.1:8080/").map(|place| place.to_string()), Ok("http://10.0.0.1:8080/".into()));
        assert_eq!(place("file:///srv/programs"), Ok(Place::Folder("/srv/programs".into())));
        for wrong in [
            "",
            "job server",
            "ftp://x/",
            "https://",
            "https:///x",
            "https://u:p@x/",
            "https://x/?a",
            "file://x/y",
            "/x",
        ] {
            assert!(place(wrong).expect_err(wrong).contains("\"jobserver\""), "{wrong}");
        }
    }
}
