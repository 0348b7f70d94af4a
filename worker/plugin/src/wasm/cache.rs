//! Compiled modules, kept from one start to the next: a cache, and nothing is lost with it.
//!
//! An entry's name is the hash of the module, the engine's version and its settings; in front of the machine code stands
//! its hash, so that one damaged on the disk costs a compilation and no more. wasmtime's own cache has no such hash.
//! Whoever may write an entry can have the worker run it. So the folder, and each entry, must be the worker's own and
//! nobody else may write them; else they are not used. Who is the worker's own user can change its programs as well.
#![allow(unsafe_code, reason = "wasmtime takes compiled code on trust; see `load` for why this can be trusted")]

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

/// The cache holds no more than this, in bytes; the oldest entries go first.
const LARGEST_CACHE: u64 = 256 << 20;
/// Length of the hash in front of an entry.
const HASH: usize = 32;

/// The compiled module of `bytes`, from the cache in `folder` where there is one.
///
/// # Errors
/// Why it does not compile.
pub(super) fn compiled(engine: &Engine, bytes: &[u8], is_text: bool, folder: Option<&Path>) -> Result<Module, String> {
    let kept = folder.map(|folder| folder.join(key(engine, bytes)));
    if let Some(module) = kept.as_deref().and_then(|entry| load(engine, entry)) {
        return Ok(module);
    }
    let module = match is_text {
        true => Module::new(engine, bytes),
        false => Module::from_binary(engine, bytes),
    };
    let module = module.map_err(|error| format!("it does not compile: {error:#}"))?;
    if let Some(entry) = kept
        && let Err(error) = keep(&module, &entry)
    {
        tracing::warn!("keeping a compiled module in {}: {error}; it is compiled again next time", entry.display());
    }
    Ok(module)
}

fn key(engine: &Engine, bytes: &[u8]) -> String {
    let mut hasher = KeyHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let digest = hasher.0.chain_update(bytes).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The entry's module; `None` when it is not there, not trusted or damaged.
fn load(engine: &Engine, entry: &Path) -> Option<Module> {
    if !is_own(&fs::symlink_metadata(entry.parent()?).ok()?) {
        return None;
    }
    let no_link = OFlags::NOFOLLOW.bits() as i32;
    let mut file = OpenOptions::new().read(true).custom_flags(no_link).open(entry).ok()?;
    let about = file.metadata().ok()?;
    if !about.is_file() || !is_own(&about) || about.len() > LARGEST_CACHE {
        return None;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let (hash, code) = bytes.split_at_checked(HASH)?;
    if Sha256::digest(code).as_slice() != hash {
        return None;
    }
    // SAFETY: the bytes are what `keep` wrote: nobody but this user could write the file or put another into the folder,
    // and their hash holds. wasmtime itself refuses code of another version, machine or setting.
    unsafe { Module::deserialize(engine, code) }.ok()
}

/// Whether this process's user owns it and nobody else may write it.
fn is_own(about: &Metadata) -> bool {
    about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o022 == 0
}

/// Writes an entry. One that is half written, because two write it or the machine dies, does not match its hash.
fn keep(module: &Module, entry: &Path) -> io::Result<()> {
    let folder = entry.parent().ok_or(io::ErrorKind::NotFound)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    if !is_own(&fs::symlink_metadata(folder)?) {
        return Err(io::Error::other("others may write this folder, so it is not used: chmod go-w it"));
    }
    let code = module.serialize().map_err(io::Error::other)?;
    match fs::remove_file(entry) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(entry)?;
    file.write_all(&Sha256::digest(&code))?;
    file.write_all(&code)?;
    tidy(folder, entry)
}

/// Removes the oldest entries until the others fit; never the `newest`.
fn tidy(folder: &Path, newest: &Path) -> io::Result<()> {
    let mut entries: Vec<(PathBuf, Metadata)> = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        if let Ok(about) = entry.metadata() {
            entries.push((entry.path(), about));
        }
    }
    entries.sort_by_key(|(path, about)| (path.as_path() != newest, std::cmp::Reverse(about.modified().ok())));
    let mut size = 0;
    for (path, about) in entries {
        size += about.len();
        if size > LARGEST_CACHE && path != newest {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Hashes what wasmtime says about itself as SHA-256 does.
struct KeyHasher(Sha256);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::wasm::engine::engine;

    const MODULE: &[u8] = b"(module (func (export \"seven\") (result i32) i32.const 7))";

    fn entry(folder: &Path) -> PathBuf {
        folder.join(key(engine().expect("an engine"), MODULE))
    }

    fn compile(folder: &Path) {
        let module = compiled(engine().expect("an engine"), MODULE, true, Some(folder)).expect("compiles");
        assert!(module.get_export("seven").is_some());
    }

    fn loads(folder: &Path) -> bool {
        load(engine().expect("an engine"), &entry(folder)).is_some()
    }

    #[test]
    fn a_compiled_module_is_kept_for_its_user_alone() {
        let state = tempfile::tempdir().expect("a folder");
        let folder = state.path().join("cache/wasm");
        compile(&folder);
        assert!(loads(&folder));
        let mode = |path: &Path| fs::metadata(path).expect("is there").mode() & 0o777;
        assert_eq!((mode(&folder), mode(&entry(&folder))), (0o700, 0o600));
    }

    #[test]
    fn a_damaged_entry_costs_a_compilation_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        compile(folder.path());
        let good = fs::read(entry(folder.path())).expect("was kept");
        for (damage, bytes) in [
            ("empty", Vec::new()),
            ("torn", good[..good.len() / 2].to_vec()),
            ("one bit", good.iter().enumerate().map(|(i, b)| if i == good.len() - 9 { b ^ 4 } else { *b }).collect()),
            ("another's", [&Sha256::digest(b"other")[..], b"other"].concat()),
        ] {
            fs::write(entry(folder.path()), bytes).expect("damages it");
            assert!(!loads(folder.path()), "{damage}");
            compile(folder.path());
            assert!(loads(folder.path()), "{damage} is made good");
        }
    }

    #[test]
    fn what_others_could_write_is_not_trusted() {
        let folder = tempfile::tempdir().expect("a folder");
        compile(folder.path());
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("sets the mode");
        set(&entry(folder.path()), 0o620);
        assert!(!loads(folder.path()));
        set(&entry(folder.path()), 0o600);
        assert!(loads(folder.path()));
        set(folder.path(), 0o702);
        assert!(!loads(folder.path()));
        compile(folder.path());
        set(folder.path(), 0o700);
        let elsewhere = folder.path().join("elsewhere");
        fs::copy(entry(folder.path()), &elsewhere).expect("copies it");
        fs::remove_file(entry(folder.path())).expect("removes it");
        std::os::unix::fs::symlink(&elsewhere, entry(folder.path())).expect("links it");
        assert!(!loads(folder.path()), "a link may lead anywhere");
    }

    #[test]
    fn the_oldest_entries_make_room_for_new_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        for path in [&old, &new] {
            File::create(path).and_then(|file| file.set_len(LARGEST_CACHE * 2 / 3)).expect("a sparse file");
        }
        tidy(folder.path(), &new).expect("tidies");
        assert!(!old.exists() && new.exists());
    }
}
