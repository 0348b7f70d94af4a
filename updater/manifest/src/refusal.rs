//! Why a tag does not become the release in force, in words for the person who pushed it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A tag that was meant as a release and is not taken as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The tag's name, as it stands in the repository.
    pub tag: String,
    /// What the tag pointed at when it was refused: 40 hex digits.
    pub tag_id: String,
    /// The rule it broke.
    pub rule: Rule,
    /// Who signed it, when a key that is known did.
    pub signer: Option<String>,
    /// What was found.
    pub found: String,
    /// What to do.
    pub advice: String,
}

/// The rules a release has to keep, in the order they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// It is named `vX.Y.Z`.
    Name,
    /// It is above the floor.
    BelowFloor,
    /// A tag once seen at or below the floor stays what it is.
    Moved,
    /// It is an annotated tag.
    Annotated,
    /// It is a tag object as git writes it, naming a commit.
    WellFormed,
    /// It is signed.
    Signed,
    /// It is signed with an SSH key, in git's namespace.
    SignedWithSsh,
    /// It is not signed by a key that was revoked.
    RevokedKey,
    /// It is signed by a key in force.
    KnownSigner,
    /// The signature fits what was signed.
    GoodSignature,
    /// The name inside the signed tag is the name it was found under.
    SameName,
    /// An approval or promotion names the release's own commit.
    SameCommit,
    /// Its tree holds plain files only.
    Tree,
    /// The key set and the revoked keys it brings can be read, and lock nobody out.
    Keys,
    /// Its settings and plugins can be read and are complete.
    Content,
}

impl Rule {
    /// The rule's name, as status and logs show it.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Name => "name",
            Rule::BelowFloor => "below-floor",
            Rule::Moved => "moved",
            Rule::Annotated => "annotated",
            Rule::WellFormed => "well-formed",
            Rule::Signed => "signed",
            Rule::SignedWithSsh => "signed-with-ssh",
            Rule::RevokedKey => "revoked-key",
            Rule::KnownSigner => "known-signer",
            Rule::GoodSignature => "good-signature",
            Rule::SameName => "same-name",
            Rule::SameCommit => "same-commit",
            Rule::Tree => "tree",
            Rule::Keys => "keys",
            Rule::Content => "content",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is refused: {}", self.tag, self.found)?;
        if let Some(signer) = &self.signer {
            write!(f, " (signed by {signer})")?;
        }
        write!(f, "; {}", self.advice)
    }
}
