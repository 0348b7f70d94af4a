//! Signed tags about a release, as people who approve and promote push them.

use anyhow::Result;
use git2::Oid;
use nightshift_manifest::tag;
use ssh_key::PrivateKey;

use super::Central;

impl Central {
    /// Pushes a tag of any name on a commit, signed by `key`: `approve/v1.5.0/ben`, say.
    ///
    /// # Errors
    /// When the repository cannot be written.
    pub fn sign_as(&self, key: &PrivateKey, name: &str, commit: Oid) -> Result<Oid> {
        let fields = self.tag_fields(name, commit)?;
        self.push_tag(name, &tag::signed(&fields, key)?)
    }

    /// The commit that a tag names.
    ///
    /// # Errors
    /// When there is no such tag.
    pub fn commit_of(&self, tag: &str) -> Result<Oid> {
        Ok(self.repository.revparse_single(&format!("refs/tags/{tag}^{{commit}}"))?.id())
    }
}
