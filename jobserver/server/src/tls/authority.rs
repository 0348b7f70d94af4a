//! The grid's own certificate authority: made once by `nightshift-jobserver init`, it signs this server's certificates.
//!
//! ```text
//! STATE/tls/
//!   ca.pem   the authority's certificate; workers pin its SHA-256
//!   ca.key   its private key (0600); whoever has it can pass for this job server
//! ```
//!
//! The key is written first and never written over, so an authority that was cut off while it was made is finished with
//! the key it began with. The server's own key and certificate are only ever in memory: each start, and each month of
//! running, makes new ones.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use crate::swap;

/// A server's certificate is good for so many days.
const DAYS: i64 = 90;

/// An authority that can sign.
#[derive(Debug)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Why an authority cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It was not made yet.
    #[error("there is no certificate authority in {}; make one with `nightshift-jobserver init`", .0.display())]
    None(PathBuf),
    /// A file cannot be read or written.
    #[error("{doing} {}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it must.
    #[error("the certificate authority in {} cannot be used; put its files back from a backup, or move them away and make another, which every worker has to be told", .0.display())]
    Damaged(PathBuf, #[source] rcgen::Error),
    /// A certificate cannot be made for the names.
    #[error("making a certificate for {names}; `hosts` in jobserver.toml are names like jobs.example.org")]
    Names {
        /// The names.
        names: String,
        /// What is wrong with them.
        source: rcgen::Error,
    },
}

impl Authority {
    /// Makes an authority in `folder`, unless there is one.
    ///
    /// # Errors
    /// When the folder cannot be written, or holds something else.
    pub fn make(folder: &Path) -> Result<Authority, AuthorityError> {
        let file = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| AuthorityError::File { doing, path, source }
        };
        let (key_file, certificate_file) = (folder.join("ca.key"), folder.join("ca.pem"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file("making the folder", folder))?;
        if !key_file.exists() {
            let key = KeyPair::generate().map_err(|error| AuthorityError::Damaged(folder.to_owned(), error))?;
            write_secret(&key_file, &key.serialize_pem()).map_err(file("writing the key", &key_file))?;
        }
        if !certificate_file.exists() {
            let key = key(&key_file)?;
            let certificate = params().self_signed(&key);
            let certificate = certificate.map_err(|error| AuthorityError::Damaged(folder.to_owned(), error))?;
            swap::replace(&certificate_file, certificate.pem().as_bytes())
                .map_err(file("writing the certificate", &certificate_file))?;
        }
        Authority::load(folder)
    }

    /// The authority in `folder`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn load(folder: &Path) -> Result<Authority, AuthorityError> {
        let (key_file, certificate_file) = (folder.join("ca.key"), folder.join("ca.pem"));
        if !key_file.exists() || !certificate_file.exists() {
            return Err(AuthorityError::None(folder.to_owned()));
        }
        let damaged = |error| AuthorityError::Damaged(folder.to_owned(), error);
        let certificate = fs::read(&certificate_file).map_err(|source| AuthorityError::File {
            doing: "reading the certificate",
            path: certificate_file,
            source,
        })?;
        let certificate = CertificateDer::from_pem_slice(&certificate)
            .map_err(|_| damaged(rcgen::Error::CouldNotParseCertificate))?;
        Ok(Authority { certificate, issuer: Issuer::new(params(), key(&key_file)?) })
    }

    /// What workers pin: `sha256:` and the SHA-256 of the certificate in hex.
    pub fn pin(&self) -> String {
        format!("sha256:{:x}", Sha256::digest(&self.certificate))
    }

    /// A certificate for these names with a new key; this machine's own names are always among them.
    pub(super) fn issue(&self, names: &[String], now: Timestamp) -> Result<CertifiedKey, AuthorityError> {
        let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        all.extend(names.iter().filter(|name| !name.is_empty()).cloned());
        let failed = |source| AuthorityError::Names { names: all.join(", "), source };
        let mut params = CertificateParams::new(all.clone()).map_err(failed)?;
        params.distinguished_name = named("Nightshift job server");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let day = |days: i64| {
            let date = now.to_zoned(TimeZone::UTC).date().saturating_add(days.days());
            date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        // A worker's clock may be behind.
        (params.not_before, params.not_after) = (day(-2), day(DAYS));
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing =
            ring::sign::any_supported_type(&secret).map_err(|_| failed(rcgen::Error::CouldNotParseKeyPair))?;
        Ok(CertifiedKey::new(chain, signing))
    }
}

/// The same at every start: what the authority signs names its subject.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Nightshift grid authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn key(file: &Path) -> Result<KeyPair, AuthorityError> {
    let text = fs::read_to_string(file).map_err(|source| AuthorityError::File {
        doing: "reading the key",
        path: file.to_owned(),
        source,
    })?;
    KeyPair::from_pem(&text).map_err(|error| AuthorityError::Damaged(file.to_owned(), error))
}

/// Writes a new file that its owner alone may read, whole or not at all.
fn write_secret(path: &Path, content: &str) -> io::Result<()> {
    let beside = path.with_extension("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    // A link is made only where nothing is: two that make an authority at once end up with one.
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_authority_is_made_once_and_its_key_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().join("tls");
        assert!(matches!(Authority::load(&place), Err(AuthorityError::None(_))));
        let pin = Authority::make(&place).expect("made").pin();
        assert_eq!(Authority::make(&place).expect("there already").pin(), pin);
        assert_eq!(Authority::load(&place).expect("there").pin(), pin);
        let mode = |name: &str| fs::metadata(place.join(name)).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode("ca.key"), 0o600);
        assert_eq!(fs::metadata(&place).expect("there").permissions().mode() & 0o777, 0o700);
        assert!(!place.join("ca.key.new").exists());
    }

    #[test]
    fn one_that_was_cut_off_while_it_was_made_is_finished_with_the_key_it_began_with() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Authority::make(folder.path()).expect("made");
        let key = fs::read(folder.path().join("ca.key")).expect("there");
        fs::remove_file(folder.path().join("ca.pem")).expect("there");
        Authority::make(folder.path()).expect("finished");
        assert_eq!(fs::read(folder.path().join("ca.key")).expect("there"), key);
    }

    #[test]
    fn a_damaged_authority_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Authority::make(folder.path()).expect("made");
        fs::write(folder.path().join("ca.key"), "torn").expect("writable");
        assert!(matches!(Authority::make(folder.path()), Err(AuthorityError::Damaged(..))));
        assert_eq!(fs::read(folder.path().join("ca.key")).expect("there"), b"torn");
    }

    #[test]
    fn a_name_that_is_none_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::make(folder.path()).expect("made");
        let error = authority.issue(&["jöbs".to_owned()], Timestamp::UNIX_EPOCH).expect_err("no name");
        assert!(error.to_string().contains("jöbs") && error.to_string().contains("`hosts`"), "{error}");
    }
}
