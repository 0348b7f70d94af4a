//! Tags that no worker may take, each bad in one way.

use anyhow::Result;
use git2::{ObjectType, Oid};
use nightshift_manifest::signers::GIT_NAMESPACE;
use nightshift_manifest::tag;
use ssh_key::{HashAlg, LineEnding};

use super::{Central, new_key};

/// What is bad about a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgery {
    /// An annotated tag without a signature.
    Unsigned,
    /// A ref to the commit, without a tag object.
    Lightweight,
    /// Signed with GPG, by the look of it.
    Gpg,
    /// Well signed, by a key nobody trusts.
    OtherSigner,
    /// Signed, then changed to another commit.
    Changed,
    /// Well signed, and names a file instead of a commit.
    NamesAFile,
    /// Well signed, and names another tag.
    NamesATag,
    /// A tag object that is none. Git refuses to push it: it gets there only through the repository's files.
    Garbage,
}

impl Forgery {
    /// All that can be pushed.
    pub const PUSHABLE: [Forgery; 7] = [
        Forgery::Unsigned,
        Forgery::Lightweight,
        Forgery::Gpg,
        Forgery::OtherSigner,
        Forgery::Changed,
        Forgery::NamesAFile,
        Forgery::NamesATag,
    ];
}

impl Central {
    /// Pushes a forged tag under the name `tag` (`v1.6.0`), on a new commit of the files.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn forge(&mut self, tag: &str, forgery: Forgery) -> Result<Oid> {
        let commit = self.commit()?;
        let fields = self.tag_fields(tag, commit)?;
        let raw = match forgery {
            Forgery::Lightweight => {
                self.push_ref(&format!("refs/tags/{tag}"), commit)?;
                return Ok(commit);
            }
            Forgery::Unsigned => tag::unsigned(&fields)?,
            Forgery::Gpg => {
                let mut raw = tag::unsigned(&fields)?;
                raw.extend_from_slice(
                    b"-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0WIQ==\n-----END PGP SIGNATURE-----\n",
                );
                raw
            }
            Forgery::OtherSigner => tag::signed(&fields, &new_key()?)?,
            Forgery::Changed => {
                let signed = String::from_utf8(tag::signed(&fields, self.key())?)?;
                let other = self.commit()?.to_string();
                signed.replace(&fields.commit, &other).into_bytes()
            }
            Forgery::NamesAFile => {
                let file = self.write_object(ObjectType::Blob, b"a file")?;
                let unsigned = String::from_utf8(tag::unsigned(&fields)?)?;
                let unsigned = unsigned.replace(&fields.commit, &file.to_string()).replace("type commit", "type blob");
                self.sign(unsigned.into_bytes())?
            }
            Forgery::NamesATag => {
                let inner = self.write_object(ObjectType::Tag, &tag::signed(&fields, self.key())?)?;
                let unsigned = String::from_utf8(tag::unsigned(&fields)?)?;
                let unsigned = unsigned.replace(&fields.commit, &inner.to_string()).replace("type commit", "type tag");
                self.sign(unsigned.into_bytes())?
            }
            Forgery::Garbage => b"not a tag at all".to_vec(),
        };
        self.push_tag(tag, &raw)
    }

    /// Pushes a good tag under another name: what a replay of an old release looks like.
    ///
    /// # Errors
    /// When there is no tag `of`.
    pub fn replay(&self, of: &str, under: &str) -> Result<Oid> {
        let id = self.repository.refname_to_id(&format!("refs/tags/{of}"))?;
        self.push_ref(&format!("refs/tags/{under}"), id)?;
        Ok(id)
    }

    /// Signs whatever is given as git would sign a tag.
    fn sign(&self, mut raw: Vec<u8>) -> Result<Vec<u8>> {
        let signature = self.key().sign(GIT_NAMESPACE, HashAlg::Sha512, &raw)?;
        raw.extend_from_slice(signature.to_pem(LineEnding::LF)?.as_bytes());
        Ok(raw)
    }
}
