//! Plugins that are programs, made for a test and run in each sandbox that this machine offers.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_plugin::sandbox::{Protection, Sandbox};
use nightshift_plugin::{BlockError, Data, Host, OpenError, Plugin, open};
use nightshift_wire::{Outcome, Record, RecordResult, Records};
use tempfile::TempDir;

/// The machine, with this crate's own launcher of sandboxes.
pub(crate) fn host() -> Host {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let sandbox = SANDBOX.get_or_init(|| Sandbox::new(launcher())).clone();
    Host { sandbox: Some(sandbox), ..Host::default() }
}

/// Where bubblewrap is not installed.
pub(crate) fn host_without_bubblewrap() -> Host {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let sandbox = SANDBOX.get_or_init(|| Sandbox::new(launcher()).without(Protection::Bubblewrap)).clone();
    Host { sandbox: Some(sandbox), ..Host::default() }
}

/// Where nothing keeps programs from files.
pub(crate) fn host_without_a_fence() -> Host {
    let sandbox = Sandbox::new(launcher()).without(Protection::Bubblewrap).without(Protection::Landlock);
    Host { sandbox: Some(sandbox), ..Host::default() }
}

fn launcher() -> PathBuf {
    // Elsewhere when the tests were copied, to be run as another user.
    match std::env::var_os("NIGHTSHIFT_TEST_SANDBOX") {
        Some(copy) => copy.into(),
        None => env!("CARGO_BIN_EXE_nightshift-sandbox").into(),
    }
}

/// Does `test` in each way in which this machine can keep a program from files, and says which it cannot.
pub(crate) fn in_each_sandbox(mut test: impl FnMut(&Host)) {
    for (name, host, advice) in [
        ("bubblewrap", host(), "install bubblewrap, and let users make namespaces"),
        ("landlock", host_without_bubblewrap(), "boot a kernel of 5.13 or later with lsm=landlock"),
    ] {
        let found = host.sandbox.as_ref().expect("a sandbox").protections();
        let is_there = if name == "bubblewrap" { found.bubblewrap } else { found.landlock > 0 };
        match is_there {
            true => test(&host),
            false => {
                writeln!(std::io::stderr(), "\nNOT RUN: programs behind {name}: {advice}").expect("standard error");
            }
        }
    }
}

/// Whether programs are in a view of their own on this host.
pub(crate) fn has_a_view(host: &Host) -> bool {
    host.sandbox.as_ref().is_some_and(|sandbox| sandbox.protections().bubblewrap)
}

/// A tree with one plugin, a perl script.
pub(crate) struct Stage {
    pub(crate) tree: TempDir,
    /// Added to `[limits]` and before the first table.
    pub(crate) limits: String,
    pub(crate) top: String,
}

impl Stage {
    /// A tree whose plugin runs `script`.
    pub(crate) fn with(script: &str) -> Stage {
        let tree = tempfile::tempdir().expect("a folder");
        let folder = tree.path().join("plugins/p");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("p.pl"), script).expect("a file");
        Stage { tree, limits: String::new(), top: String::new() }
    }

    /// A plugin that says "fine" of every record, but of one with the text `poison` what `evil` returns, perl code that gets
    /// the record's number as `$id`.
    pub(crate) fn poisoned(evil: &str) -> Stage {
        Stage::with(&format!(
            "$| = 1; sub evil {{ my ($id) = @_; {evil} }}\n\
             while (my $l = <STDIN>) {{ my @r; while ($l =~ /\"id\":(-?\\d+),\"n\":\"([^\"]*)\"/g) {{ my ($id, $n) = ($1, $2);\n\
             my $said = $n eq 'poison' ? evil($id) : 'fine'; push @r, qq({{\"id\":$id,\"ok\":{{\"said\":\"$said\"}}}}); }}\n\
             print '{{\"results\":[' . join(',', @r) . \"]}}\\n\"; }}"
        ))
    }

    /// The same stage, where `evil` is done with a poisonous record.
    pub(crate) fn with_evil(self, evil: &str) -> Stage {
        let other = Stage::poisoned(evil);
        fs::copy(other.script(), self.script()).expect("a file");
        self
    }

    /// The same stage, where `code` is done with every line.
    pub(crate) fn with_lines(self, code: &str) -> Stage {
        fs::write(self.script(), format!("$| = 1; while (<STDIN>) {{ {code} }}")).expect("a file");
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.tree.path()
    }

    /// The plugin's script.
    pub(crate) fn script(&self) -> PathBuf {
        self.path().join("plugins/p/p.pl")
    }

    /// A word that only this stage's processes have among their arguments.
    pub(crate) fn word(&self) -> String {
        self.path().file_name().expect("a name").to_string_lossy().into_owned()
    }

    pub(crate) fn open(&self, host: &Host) -> Result<Box<dyn Plugin>, OpenError> {
        open(self.path(), &self.manifest(), Data::Release, host)
    }

    /// What its plugin says of itself.
    pub(crate) fn manifest(&self) -> PluginManifest {
        let Stage { limits, top, .. } = self;
        let text = format!(
            "runtime = \"process\"\ncommand = [\"perl\", \"p.pl\", \"{}\"]\n{top}\n[input]\nn = \"text\"\n[output]\nsaid = \"text\"\n\
             [limits]\nseconds_per_block = 20\n{limits}\n",
            self.word()
        )
        .replace("seconds_per_block = 20\nseconds", "seconds");
        PluginManifest::parse("p", &text).expect("well formed")
    }

    /// What one block with these texts gives.
    pub(crate) fn run(&self, host: &Host, texts: &[&str]) -> Result<Vec<String>, BlockError> {
        let mut plugin = self.open(host).expect("opens");
        let results = plugin.process(&block(texts));
        drop(plugin);
        assert_eq!(self.processes().len(), 0, "nothing of it is left");
        results.map(|results| results.iter().map(said).collect())
    }

    /// The processes of this stage's, by number.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.found(true)
    }

    /// Whether neither they nor what they are locked in by is left.
    pub(crate) fn is_over(&self) -> bool {
        self.found(false).is_empty()
    }

    fn found(&self, inside: bool) -> Vec<u32> {
        let word = self.word().into_bytes();
        let has = |pid: &Path| {
            let arguments = fs::read(pid.join("cmdline")).unwrap_or_default();
            (!inside || arguments.starts_with(b"perl")) && arguments.windows(word.len()).any(|part| part == word)
        };
        let entries = fs::read_dir("/proc").expect("a list").flatten();
        let is_me = |path: &Path| path.ends_with(std::process::id().to_string());
        let theirs = entries.map(|entry| entry.path()).filter(|path| !is_me(path) && has(path));
        theirs.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
    }
}

/// A block of records with one text each.
pub(crate) fn block(texts: &[&str]) -> Records {
    let records = (1..).zip(texts).map(|(id, text)| Record { id, values: vec![(*text).to_owned()] });
    Records { columns: vec!["n".to_owned()], records: records.collect() }
}

/// What became of a record, in words.
pub(crate) fn said(result: &RecordResult) -> String {
    match &result.outcome {
        Outcome::Ok(values) => values["said"].as_str().unwrap_or_default().to_owned(),
        Outcome::Error(why) => format!("error: {why}"),
    }
}
