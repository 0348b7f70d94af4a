//! Is this tag a release, signed by someone we believe, and for the name it was found under?
//!
//! [`verify`] reads the raw tag object, the very bytes that were signed, in this order: the name of the ref, the form
//! of the object, whether and how it is signed, whether the key is in force, whether the signature fits, and last
//! whether the name *inside* the signed object is the one it was found under (git itself does not look at that: a good
//! old tag pushed under a new name passes `git verify-tag`). The floor is judged in [`crate::select`], the tree in
//! [`crate::tree`] and [`crate::content`].

use jiff::Timestamp;
use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use crate::refusal::{Refusal, Rule};
use crate::revoked::Revoked;
use crate::signers::{GIT_NAMESPACE, Signers};
use crate::version::{NameError, ReleaseVersion};
use crate::votes::{Voice, Vote};

/// A tag larger than this is not read.
pub const MAX_TAG_BYTES: usize = 1 << 20;

/// A tag that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTag {
    /// The release's version.
    pub version: ReleaseVersion,
    /// The commit it names, 40 hex digits.
    pub commit: String,
    /// The name beside the key that signed it.
    pub signer: String,
    /// The fingerprint of that key, `SHA256:…`.
    pub fingerprint: String,
    /// When the signer says it was made.
    pub tagger_time: Timestamp,
    /// The message, without the signature.
    pub message: String,
}

/// Why a tag is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagRefusal {
    /// The ref has no release's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The object is not what git writes for an annotated tag on a commit.
    #[error("the tag object is malformed: {0}")]
    Malformed(&'static str),
    /// There is no signature.
    #[error("the tag is not signed")]
    Unsigned,
    /// Signed with something else than an SSH key.
    #[error("the tag is signed with {0}, not with an SSH key")]
    NotSsh(&'static str),
    /// The signature cannot be read or is meant for something else than git.
    #[error("the signature is malformed: {0}")]
    MalformedSignature(String),
    /// The key is not one of those in force.
    #[error("the tag is signed with key {fingerprint}, which may not sign releases")]
    UnknownSigner {
        /// `SHA256:…`, as `ssh-keygen -l` shows it.
        fingerprint: String,
    },
    /// The key was revoked.
    #[error("the tag is signed with key {fingerprint}, which was revoked ({remark})")]
    Revoked {
        /// `SHA256:…`, as `ssh-keygen -l` shows it.
        fingerprint: String,
        /// By whom.
        remark: String,
    },
    /// The signature does not fit: the tag was changed after it was signed.
    #[error("the signature of {signer} does not fit the tag: it was changed after it was signed")]
    BadSignature {
        /// The name beside the key.
        signer: String,
    },
    /// A good approval or promotion, on another commit than the release's.
    #[error("{signer} signed it for commit {inside}, and the release is another")]
    OtherCommit {
        /// The name beside the key.
        signer: String,
        /// The commit that was signed.
        inside: String,
    },
    /// A good tag, found under a name it was not made for.
    #[error("{signer} signed this tag as {inside:?}, not under this name")]
    OtherName {
        /// The name beside the key.
        signer: String,
        /// The name that was signed.
        inside: String,
    },
}

impl TagRefusal {
    /// What a tag of more than [`MAX_TAG_BYTES`] gets.
    pub const TOO_LARGE: TagRefusal = TagRefusal::Malformed("it is larger than 1 MiB");

    /// The refusal, saying so when the unknown key is one that was revoked.
    pub fn knowing(self, revoked: &Revoked) -> TagRefusal {
        match self {
            TagRefusal::UnknownSigner { fingerprint } => match revoked.remark(&fingerprint) {
                Some(remark) => TagRefusal::Revoked { remark: remark.to_owned(), fingerprint },
                None => TagRefusal::UnknownSigner { fingerprint },
            },
            other => other,
        }
    }

    /// The refusal as workers report it.
    pub fn of(&self, tag: &str, tag_id: &str) -> Refusal {
        let sign =
            format!("sign it with a key in force: git tag -f -s {tag} COMMIT (gpg.format=ssh), then push it again");
        let (rule, advice) = match self {
            TagRefusal::Name(name) if Vote::parse_tag(tag).is_some() => {
                (Rule::Name, format!("delete the tag and make one named like {}", name.write))
            }
            TagRefusal::Name(name) => (Rule::Name, format!("delete the tag and release the commit as {}", name.write)),
            TagRefusal::Malformed(_) => {
                (Rule::WellFormed, "make the tag with git or nightshift release cut".to_owned())
            }
            TagRefusal::Unsigned => (Rule::Signed, sign),
            TagRefusal::NotSsh(_) => (Rule::SignedWithSsh, sign),
            TagRefusal::MalformedSignature(_) => (Rule::GoodSignature, sign),
            TagRefusal::UnknownSigner { .. } => (
                Rule::KnownSigner,
                "sign it with a key in force, or have one of those sign a release whose keys/allowed_signers names \
                 this key"
                    .to_owned(),
            ),
            TagRefusal::Revoked { .. } => (
                Rule::RevokedKey,
                "find out who pushed it and delete it; a key that was revoked never counts again, release with another"
                    .to_owned(),
            ),
            TagRefusal::OtherCommit { .. } => {
                (Rule::SameCommit, "look at the release as it is now, and sign the tag again on its commit".to_owned())
            }
            TagRefusal::BadSignature { .. } => (Rule::GoodSignature, format!("find out who pushed it; then {sign}")),
            TagRefusal::OtherName { .. } => {
                (Rule::SameName, "find out who pushed it and delete it; cut a release under the new version".to_owned())
            }
        };
        let signer = match self {
            TagRefusal::BadSignature { signer }
            | TagRefusal::OtherName { signer, .. }
            | TagRefusal::OtherCommit { signer, .. } => Some(signer.clone()),
            _ => None,
        };
        Refusal {
            tag: tag.to_owned(),
            tag_id: tag_id.to_owned(),
            rule,
            // A signer whose signature does not fit signed nothing.
            signer: signer.filter(|_| rule != Rule::GoodSignature),
            found: self.to_string(),
            advice,
        }
    }
}

/// Judges the raw tag object that was found under the name `ref_tag` (without `refs/tags/`) by the keys in force.
pub fn verify(raw: &[u8], ref_tag: &str, signers: &Signers) -> Result<VerifiedTag, TagRefusal> {
    let version = ReleaseVersion::parse_tag(ref_tag)?;
    verify_named(raw, ref_tag, version, signers)
}

/// Judges the raw tag object of an approval or promotion that was found under the name `ref_tag`, for a release on
/// `commit`, by the keys that judge the release.
pub fn verify_vote(
    raw: &[u8],
    ref_tag: &str,
    vote: &Vote,
    commit: &str,
    signers: &Signers,
) -> Result<Voice, TagRefusal> {
    let tag = verify_named(raw, ref_tag, vote.version, signers)?;
    if tag.commit != commit {
        return Err(TagRefusal::OtherCommit { signer: tag.signer, inside: tag.commit });
    }
    Ok(Voice { name: tag.signer, fingerprint: tag.fingerprint })
}

fn verify_named(
    raw: &[u8],
    ref_tag: &str,
    version: ReleaseVersion,
    signers: &Signers,
) -> Result<VerifiedTag, TagRefusal> {
    let (signed, signature) = split_signature(raw)?;
    let fields = Fields::parse(signed)?;
    let armour = signature?;
    let signature =
        SshSig::from_pem(armour).map_err(|error| TagRefusal::MalformedSignature(error.to_string().to_lowercase()))?;
    if signature.namespace() != GIT_NAMESPACE {
        let problem = format!("it is for {:?}, not for {GIT_NAMESPACE:?}", signature.namespace());
        return Err(TagRefusal::MalformedSignature(problem));
    }

    if !is_armoured_as_git_does(&signature, armour) {
        let problem = "it is not written as git and ssh-keygen write it".to_owned();
        return Err(TagRefusal::MalformedSignature(problem));
    }

    let fingerprint = signature.public_key().fingerprint(HashAlg::Sha256).to_string();
    let Some(signer) = signers.find(signature.public_key()) else {
        return Err(TagRefusal::UnknownSigner { fingerprint });
    };
    let signer = signer.name.clone();
    let fits = PublicKey::from(signature.public_key().clone()).verify(GIT_NAMESPACE, signed, &signature);
    if fits.is_err() {
        return Err(TagRefusal::BadSignature { signer });
    }
    if fields.name != ref_tag {
        return Err(TagRefusal::OtherName { signer, inside: fields.name.to_owned() });
    }
    Ok(VerifiedTag {
        version,
        commit: fields.commit.to_owned(),
        signer,
        fingerprint,
        tagger_time: fields.tagger_time,
        message: String::from_utf8_lossy(fields.message).trim().to_owned(),
    })
}

/// Whether the text of a signature is the one there is for it. Otherwise anybody could make another tag object of a good
/// one, and what is remembered by object id would not hold.
fn is_armoured_as_git_does(signature: &SshSig, armour: &[u8]) -> bool {
    signature.to_pem(LineEnding::LF).is_ok_and(|text| armour.strip_suffix(b"\n") == Some(text.trim_end().as_bytes()))
}

/// What to write into a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFields {
    /// The tag's name, `vX.Y.Z`.
    pub name: String,
    /// The commit, 40 hex digits.
    pub commit: String,
    /// Who makes the tag, `Name <address>`.
    pub tagger: String,
    /// When.
    pub time: Timestamp,
    /// The message; may be empty.
    pub message: String,
}

/// Why a tag could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A field would break the tag's form.
    #[error("making tag {name:?}: the {field} cannot stand in a tag")]
    Field {
        /// The tag's name.
        name: String,
        /// The field.
        field: &'static str,
    },
    /// The key does not sign: it is locked with a passphrase, or of a type that is not supported.
    #[error("signing tag {name:?}: the key cannot sign; use an ssh-ed25519 key without a passphrase, or git tag -s")]
    Key {
        /// The tag's name.
        name: String,
        /// What the key's library says.
        #[source]
        source: ssh_key::Error,
    },
}

/// A raw tag object as git writes it, without a signature.
pub fn unsigned(fields: &TagFields) -> Result<Vec<u8>, SignError> {
    let TagFields { name, commit, tagger, time, message } = fields;
    let wrong = |field| SignError::Field { name: name.clone(), field };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(wrong("name"));
    }
    if !is_object_id(commit) {
        return Err(wrong("commit"));
    }
    if tagger.contains(['\n', '\0']) || !tagger.ends_with('>') {
        return Err(wrong("tagger"));
    }
    if message.contains('\0') || message.lines().any(|line| line.starts_with("-----BEGIN ")) {
        return Err(wrong("message"));
    }
    let seconds = time.as_second();
    let message = message.trim_end();
    let end = if message.is_empty() { "" } else { "\n" };
    Ok(format!("object {commit}\ntype commit\ntag {name}\ntagger {tagger} {seconds} +0000\n\n{message}{end}")
        .into_bytes())
}

/// A raw signed tag object, as `git tag -s` with `gpg.format=ssh` makes it.
pub fn signed(fields: &TagFields, key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    let failed = |source| SignError::Key { name: fields.name.clone(), source };
    let mut raw = unsigned(fields)?;
    let signature = key.sign(GIT_NAMESPACE, HashAlg::Sha512, &raw).map_err(failed)?;
    let mut pem = signature.to_pem(LineEnding::LF).map_err(failed)?;
    if !pem.ends_with('\n') {
        pem.push('\n');
    }
    raw.extend_from_slice(pem.as_bytes());
    Ok(raw)
}

/// The fields of a tag object whose signature was split off.
struct Fields<'a> {
    commit: &'a str,
    name: &'a str,
    tagger_time: Timestamp,
    message: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Exactly the four headers that git writes, in its order.
    fn parse(signed: &'a [u8]) -> Result<Self, TagRefusal> {
        let end = signed.windows(2).position(|two| two == b"\n\n").ok_or(TagRefusal::Malformed("it has no message"))?;
        let headers = str::from_utf8(&signed[..end]).map_err(|_| TagRefusal::Malformed("its header is not UTF-8"))?;
        let mut lines = headers.split('\n');
        let mut header = |name: &str, missing| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)).and_then(|rest| rest.strip_prefix(' '));
            value.ok_or(TagRefusal::Malformed(missing))
        };
        let commit = header("object", "it names no object")?;
        if !is_object_id(commit) {
            return Err(TagRefusal::Malformed("it names no object"));
        }
        if header("type", "it does not say what it names")? != "commit" {
            return Err(TagRefusal::Malformed("it does not name a commit"));
        }
        let name = header("tag", "it has no name inside")?;
        let tagger_time = parse_time(header("tagger", "it names no tagger")?)
            .ok_or(TagRefusal::Malformed("it does not say when it was made"))?;
        if lines.next().is_some() {
            return Err(TagRefusal::Malformed("it has a header that no tag has"));
        }
        Ok(Self { commit, name, tagger_time, message: &signed[end + 2..] })
    }
}

/// Reads the end of a tagger line: `… SECONDS +HHMM`.
fn parse_time(tagger: &str) -> Option<Timestamp> {
    let (_, time) = tagger.rsplit_once("> ")?;
    let (seconds, offset) = time.split_once(' ')?;
    let digits = offset.strip_prefix(['+', '-'])?;
    let well_formed = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    well_formed.then(|| Timestamp::from_second(seconds.parse().ok()?).ok())?
}

fn is_object_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Splits the signature off: what was signed, and the signature or why there is none. As in git, the last line that
/// begins a signature counts; unlike there, nothing may follow its end.
#[expect(clippy::type_complexity, reason = "the inner result is looked at only after the tag's form")]
fn split_signature(raw: &[u8]) -> Result<(&[u8], Result<&[u8], TagRefusal>), TagRefusal> {
    const SSH: &[u8] = b"-----BEGIN SSH SIGNATURE-----";
    const OTHERS: [(&[u8], &str); 3] = [
        (b"-----BEGIN PGP SIGNATURE-----", "GPG"),
        (b"-----BEGIN PGP MESSAGE-----", "GPG"),
        (b"-----BEGIN SIGNED MESSAGE-----", "X.509"),
    ];
    if raw.len() > MAX_TAG_BYTES {
        return Err(TagRefusal::TOO_LARGE);
    }
    let mut found = None;
    let mut start = 0;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(SSH) {
            found = Some((start, Ok(&raw[start..])));
        }
        if let Some((_, kind)) = OTHERS.iter().find(|(begin, _)| line.starts_with(begin)) {
            found = Some((start, Err(TagRefusal::NotSsh(kind))));
        }
        start += line.len();
    }
    Ok(match found {
        Some((start, signature)) => (&raw[..start], signature),
        None => (raw, Err(TagRefusal::Unsigned)),
    })
}

#[cfg(test)]
mod tests;
