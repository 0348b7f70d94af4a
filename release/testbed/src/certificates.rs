//! A private certificate authority, as a company has one, and what it signs.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};

/// An authority; its key is gone with it.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate of a server, and its key.
#[derive(Debug)]
pub struct Signed {
    /// As PEM.
    pub certificate: String,
    /// In DER.
    pub der: Vec<u8>,
    /// The key.
    pub key: KeyPair,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Authority> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of a name that nobody else has: a certificate of the same name as its authority passes for one that signed itself.
        params.distinguished_name = named(&format!("Authority {:016x}", fastrand::u64(..)));
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let (pem, der) = (certificate.pem(), certificate.der().to_vec());
        Ok(Authority { pem, der, issuer: Issuer::new(params, key) })
    }

    /// Its certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// A certificate for the server of that name or address.
    ///
    /// # Errors
    /// When it is no name.
    pub fn sign(&self, name: &str) -> Result<Signed> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = named(name);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Signed { certificate: certificate.pem(), der: certificate.der().to_vec(), key })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
