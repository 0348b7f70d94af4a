//! The key that signs releases: an OpenSSH Ed25519 key pair in the person's configuration, private half 0600.
//!
//! It is made in memory and written when everything else of `init` stands, so that an `init` that fails leaves no key.
//! It never enters a repository; what travels is its public half in `keys/allowed_signers`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nightshift_contract::exit::Exit;
use nightshift_manifest::signers;
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};

use crate::refusal::{OrRefuse, refusal};
use crate::swap;

/// A key pair that can sign, and where its private half stands (or will stand).
#[derive(Debug)]
pub(crate) struct SigningKey {
    path: PathBuf,
    key: PrivateKey,
    new: bool,
}

impl SigningKey {
    /// The key at `path`, or a new one that [`SigningKey::save`] will write there.
    pub(crate) fn open_or_make(path: &Path, owner: &str) -> anyhow::Result<Self> {
        if path.exists() {
            return Self::open(path);
        }
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).context("making a signing key")?;
        key.set_comment(owner);
        Ok(Self { path: path.to_owned(), key, new: true })
    }

    /// The key at `path`.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let what = || format!("reading the signing key {}", path.display());
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refusal(
                    Exit::Usage,
                    format!(
                        "there is no signing key at {}: `nightshift init` makes one; or name yours as signing_key in \
                         config.toml beside it",
                        path.display()
                    ),
                ));
            }
            other => other.or_refuse(Exit::Usage, what)?,
        };
        let key = PrivateKey::from_openssh(text).or_refuse(Exit::Usage, what)?;
        if key.is_encrypted() {
            let text = format!(
                "the signing key {} has a passphrase, which this program does not ask for; sign with plain git instead: \
                 `git tag -s v1.0.0 -m v1.0.0 && git push --atomic origin HEAD v1.0.0`",
                path.display()
            );
            return Err(refusal(Exit::Usage, text));
        }
        Ok(Self { path: path.to_owned(), key, new: false })
    }

    /// Writes a new key pair; does nothing for one that was read.
    pub(crate) fn save(&mut self) -> anyhow::Result<()> {
        if !self.new {
            return Ok(());
        }
        let private = self.key.to_openssh(LineEnding::LF).context("writing the signing key as text")?;
        let public = self.key.public_key().to_openssh().context("writing the public key as text")?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let public_path = public_path(&self.path);
        std::fs::write(&public_path, format!("{public}\n"))
            .with_context(|| format!("writing {}", public_path.display()))?;
        write_new(&self.path, private.as_bytes())?;
        self.new = false;
        Ok(())
    }

    /// Takes the place of the key at `place`, which is kept beside it under a name that says whose it is.
    pub(crate) fn replace(self, place: &Path) -> anyhow::Result<PathBuf> {
        let retired = retired(place, &Self::open(place)?.fingerprint());
        // Copied first: at every instant there is a key in its place.
        for (from, to) in [(place.to_owned(), retired.clone()), (public_path(place), public_path(&retired))] {
            std::fs::copy(&from, &to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
        }
        swap::replace_file(&public_path(&self.path), &public_path(place))?;
        swap::replace_file(&self.path, place)?;
        Ok(retired)
    }

    /// The key itself.
    pub(crate) fn private(&self) -> &PrivateKey {
        &self.key
    }

    /// Where the private half stands.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It was made just now.
    pub(crate) fn is_new(&self) -> bool {
        self.new
    }

    /// How the key is named in talk: `SHA256:…`.
    pub(crate) fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The line of `allowed_signers` that lets this key sign releases.
    pub(crate) fn allowed_signers_line(&self, principal: &str) -> String {
        signers::line(principal, self.key.public_key())
    }
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".pub");
    name.into()
}

/// Where a key goes that signs no more.
fn retired(place: &Path, fingerprint: &str) -> PathBuf {
    let plain: String = fingerprint.chars().filter(char::is_ascii_alphanumeric).skip("SHA256".len()).take(12).collect();
    let mut name = place.to_owned().into_os_string();
    name.push(format!(".retired-{plain}"));
    name.into()
}

/// Writes a file whole or not at all, readable by its owner only; an existing one is not replaced.
fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let what = || format!("writing {}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    // A temporary file is made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(what)?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).with_context(what)?;
    file.persist_noclobber(path).with_context(what)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_key_is_saved_readable_by_its_owner_only_and_used_again() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("made/signing_key");
        let mut made = SigningKey::open_or_make(&path, "ada").expect("made");
        assert!(made.is_new() && !path.exists());
        made.save().expect("saved");
        let mode = std::fs::metadata(&path).expect("key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = SigningKey::open_or_make(&path, "ada").expect("read");
        assert!(!read.is_new());
        assert_eq!(read.fingerprint(), made.fingerprint());
    }
}
