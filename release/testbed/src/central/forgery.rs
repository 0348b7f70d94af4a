//! Tags that no worker may take, each bad in one way.

use anyhow::Result;
use git2::{ObjectType, Oid};
use nightshift_manifest::tag;

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
    /// A tag object that is none.
    Garbage,
    /// Well signed, and names a file instead of a commit.
    NamesAFile,
}

impl Forgery {
    /// All of them.
    pub const ALL: [Forgery; 7] = [
        Forgery::Unsigned,
        Forgery::Lightweight,
        Forgery::Gpg,
        Forgery::OtherSigner,
        Forgery::Changed,
        Forgery::Garbage,
        Forgery::NamesAFile,
    ];
}

impl Central {
    /// Pushes a forged tag under the name `tag` (`v1.6.0`), on a new commit of the files.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn forge(&mut self, tag: &str, forgery: Forgery) -> Result<Oid> {
        let mut fields = self.tag_fields(tag)?;
        let raw = match forgery {
            Forgery::Lightweight => {
                let commit = Oid::from_str(&fields.commit)?;
                self.push_ref(&format!("refs/tags/{tag}"), commit)?;
                return Ok(commit);
            }
            Forgery::Unsigned => tag::unsigned(&fields)?,
            Forgery::Gpg => {
                let mut raw = tag::unsigned(&fields)?;
                raw.extend_from_slice(b"-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0WIQ==\n-----END PGP SIGNATURE-----\n");
                raw
            }
            Forgery::OtherSigner => tag::signed(&fields, &new_key()?)?,
            Forgery::Changed => {
                let signed = String::from_utf8(tag::signed(&fields, self.key())?)?;
                let other = self.commit()?.to_string();
                signed.replace(&fields.commit, &other).into_bytes()
            }
            Forgery::Garbage => b"not a tag at all".to_vec(),
            Forgery::NamesAFile => {
                fields.commit = self.write_object(ObjectType::Blob, b"a file")?.to_string();
                tag::signed(&fields, self.key())?
            }
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
}
