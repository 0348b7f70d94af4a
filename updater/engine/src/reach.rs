//! How a central repository is reached over a network: who it must prove to be, how the worker proves itself, and how much
//! it may send.
//!
//! Nothing of the machine counts, neither its certificate authorities nor its known hosts nor its keys: over https the
//! server's certificate has to come from the pinned authority and be for the host asked, over ssh the host key has to be a
//! pinned one. A fetch ends when it has brought too much or taken too long.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, FetchOptions, RemoteCallbacks, RemoteRedirect,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use ssh_key::PublicKey;

use crate::clock;
use crate::update::BreakOff;

/// Who the repository must prove to be, and what the worker proves itself by.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// For https: the certificate of the authority that must have issued the server's, in DER; or the server's own.
    ca: Option<Vec<u8>>,
    /// For ssh: the host keys that are believed.
    host_keys: Vec<PublicKey>,
    /// For ssh: the file with the private key.
    key_file: Option<PathBuf>,
    /// For https: user and password, or user and token.
    login: Option<(String, String)>,
}

/// A pin or credential that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The certificate.
    #[error(
        "the authority is no certificate: write one line of base64, as from \
         `openssl x509 -in ca.pem -outform der | base64 -w0`"
    )]
    Ca,
    /// A host key.
    #[error("{0:?} is no host key: copy type and key from `ssh-keyscan HOST`, without the host")]
    HostKey(String),
    /// The key file's path.
    #[error("the key file depends on where a cycle is started; write it from the root on")]
    KeyFile,
    /// The login.
    #[error("the login is no user and password: write them with a colon between, as in \"worker:TOKEN\"")]
    Login,
}

/// Why a fetch was ended that brought too much.
pub(crate) const TOO_LARGE: &str = "it is too large";
/// Why a fetch was ended that nobody wants any more.
pub(crate) const STOPPED: &str = "this worker is stopped";

/// How much one fetch may bring and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepositoryLimits {
    /// For releases.
    pub releases: Limit,
    /// For the control branch, which is to stay cheap.
    pub control: Limit,
}

/// A bound of one fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// In bytes as they travel.
    pub bytes: u64,
    /// From its beginning to its end.
    pub time: Duration,
}

impl Default for RepositoryLimits {
    fn default() -> Self {
        Self {
            releases: Limit { bytes: 4 << 30, time: Duration::from_secs(60 * 60) },
            control: Limit { bytes: 64 << 20, time: Duration::from_secs(5 * 60) },
        }
    }
}

impl std::fmt::Debug for Access {
    /// Without the login.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("key_file", &self.key_file).finish_non_exhaustive()
    }
}

impl Access {
    /// Reads pins and credentials as configurations have them.
    ///
    /// # Errors
    /// What is not understood, and what to write instead.
    pub fn read(
        ca: Option<&str>,
        host_keys: &[String],
        key_file: Option<&str>,
        login: Option<&str>,
    ) -> Result<Self, AccessError> {
        let ca = ca.map(|text| STANDARD.decode(text.trim()).map_err(|_| AccessError::Ca)).transpose()?;
        if let Some(ca) = &ca {
            authority(ca).ok_or(AccessError::Ca)?;
        }
        let host_key = |text: &String| PublicKey::from_openssh(text).map_err(|_| AccessError::HostKey(text.clone()));
        let key_file = key_file.map(PathBuf::from);
        if key_file.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(AccessError::KeyFile);
        }
        let split = |text: &str| {
            let (user, password) = text.split_once(':').ok_or(AccessError::Login)?;
            Ok((user.to_owned(), password.to_owned()))
        };
        Ok(Self {
            ca,
            host_keys: host_keys.iter().map(host_key).collect::<Result<_, _>>()?,
            key_file,
            login: login.map(split).transpose()?,
        })
    }

    /// Whether an authority is pinned, for https.
    pub fn pins_authority(&self) -> bool {
        self.ca.is_some()
    }

    /// Whether a host key is pinned, for ssh.
    pub fn pins_host_key(&self) -> bool {
        !self.host_keys.is_empty()
    }

    /// The callbacks of one connection.
    /// Who is there and is not believed is noted in `doubt`: libgit2 has words of its own for it.
    pub(crate) fn callbacks<'c>(&'c self, doubt: &'c Doubt) -> RemoteCallbacks<'c> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.certificate_check(|certificate, host| {
            let proven = match (certificate.as_x509(), certificate.as_hostkey()) {
                (Some(certificate), _) => self.is_server(certificate.data(), host),
                (_, Some(key)) => self.is_host_key(key.hostkey().unwrap_or_default()),
                _ => Err("it shows neither a certificate nor a host key"),
            };
            match proven {
                Ok(()) => Ok(CertificateCheckStatus::CertificateOk),
                Err(why) => {
                    doubt.0.set(Some(why));
                    Err(git2::Error::from_str(why))
                }
            }
        });
        let mut asked = 0;
        callbacks.credentials(move |_, user, kinds| {
            asked += 1;
            self.credential(user, kinds, asked)
        });
        callbacks
    }

    /// What the worker proves itself by. Asked a third time it has nothing else to offer.
    fn credential(&self, user: Option<&str>, kinds: CredentialType, asked: u32) -> Result<Cred, git2::Error> {
        let refused = |why: &str| Err(git2::Error::from_str(why));
        if asked > 2 {
            return refused("the repository does not take the credential of this worker");
        }
        let name = user.unwrap_or("git");
        if kinds.contains(CredentialType::USERNAME) {
            return Cred::username(name);
        }
        match (&self.key_file, &self.login) {
            (Some(key), _) if kinds.contains(CredentialType::SSH_KEY) => Cred::ssh_key(name, None, key, None),
            (_, Some((user, password))) if kinds.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                Cred::userpass_plaintext(user, password)
            }
            _ if kinds.contains(CredentialType::SSH_KEY) => {
                refused("the repository asks for an ssh key, and the configuration names none")
            }
            _ => refused("the repository asks for a login, and the configuration has none"),
        }
    }

    /// Whether a certificate is the pinned one, or issued by it for this host.
    fn is_server(&self, certificate: &[u8], host: &str) -> Result<(), &'static str> {
        let pinned = self.ca.as_deref().ok_or("no authority is pinned")?;
        if certificate == pinned {
            return Ok(());
        }
        let verifier = authority(pinned).ok_or("the pinned certificate is none")?;
        let name = ServerName::try_from(host).map_err(|_| "its name is none")?;
        let now = u64::try_from(clock::moment().wall.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let certificate = CertificateDer::from(certificate);
        let verified = verifier.verify_server_cert(&certificate, &[], &name, &[], now);
        verified
            .map(drop)
            .map_err(|_| "its certificate is not from the pinned authority, not for this host or not of now")
    }

    /// Whether a host key, as it travels, is a pinned one.
    fn is_host_key(&self, key: &[u8]) -> Result<(), &'static str> {
        match self.host_keys.iter().any(|pinned| pinned.to_bytes().is_ok_and(|pinned| pinned == key)) {
            true => Ok(()),
            false => Err("its host key is none of the pinned ones"),
        }
    }
}

/// What believes the certificates of one authority and no others.
fn authority(certificate: &[u8]) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.to_vec())).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()
}

/// Says why the other side is not believed to be the repository.
#[derive(Debug, Default)]
pub(crate) struct Doubt(Cell<Option<&'static str>>);

impl Doubt {
    /// Why, when it is not.
    pub(crate) fn why(&self) -> Option<&'static str> {
        self.0.get()
    }
}

/// Ends a fetch, and says why.
#[derive(Default)]
pub(crate) struct Over {
    why: Cell<Option<&'static str>>,
    break_off: Option<BreakOff>,
}

impl Over {
    /// Ends it also when that says so.
    pub(crate) fn until(break_off: Option<BreakOff>) -> Self {
        Self { why: Cell::default(), break_off }
    }

    /// What ended it, when it was ended.
    pub(crate) fn why(&self) -> Option<&'static str> {
        self.why.get()
    }
}

/// What is left of a fetch's bound.
pub(crate) struct Budget<'f> {
    limit: Limit,
    over: &'f Over,
    begun: u64,
    spent: u64,
}

impl<'f> Budget<'f> {
    /// All of it.
    pub(crate) fn begin(limit: Limit, over: &'f Over) -> Self {
        Self { limit, over, begun: clock::moment().since_boot_ms, spent: 0 }
    }

    /// Spends bytes as they come in. Whether the fetch may go on.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        self.spent += bytes as u64;
        self.is_within(self.spent)
    }

    /// Whether a fetch that has brought so many bytes may go on.
    fn is_within(&self, bytes: u64) -> bool {
        let time = Duration::from_millis(clock::moment().since_boot_ms.saturating_sub(self.begun));
        let why = match (bytes > self.limit.bytes, time > self.limit.time) {
            (true, _) => TOO_LARGE,
            (false, true) => "it took too long",
            (false, false) if self.over.break_off.as_ref().is_some_and(|break_off| break_off()) => STOPPED,
            (false, false) => return true,
        };
        self.over.why.set(Some(why));
        false
    }
}

/// The options of a fetch that ends when it goes beyond `limit`, and says so in `over`.
pub(crate) fn bounded<'f>(access: &'f Access, limit: Limit, over: &'f Over, doubt: &'f Doubt) -> FetchOptions<'f> {
    let budget = Rc::new(Budget::begin(limit, over));
    let told = Rc::clone(&budget);
    let mut callbacks = access.callbacks(doubt);
    callbacks.sideband_progress(move |_| told.is_within(0));
    callbacks.transfer_progress(move |progress| budget.is_within(progress.received_bytes() as u64));
    let mut options = FetchOptions::new();
    options.download_tags(AutotagOption::None).update_fetchhead(false).follow_redirects(RemoteRedirect::None);
    options.remote_callbacks(callbacks);
    options
}
