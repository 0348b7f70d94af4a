//! Whom a client believes to be the job server, and how it says who asks.
//!
//! A job server behind `https://` is believed when its certificate comes from the one authority that is pinned; no other
//! authority of the machine or of the world counts. The server sends its authority's certificate along, and the pin is the
//! SHA-256 of that, so a pin is one short line wherever it is written. A token goes only into the header of requests.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

/// The header in which a worker says on which machine it is.
const MACHINE: HeaderName = HeaderName::from_static("nightshift-machine");

/// How a client gets in; by default without a token, and to servers on plain `http://` alone.
#[derive(Clone, Default)]
pub struct Access {
    /// The authority that the servers' certificates come from; needed for `https://`.
    pub pin: Option<Pin>,
    /// What proves who asks.
    pub token: Option<String>,
    /// A worker's machine, as its enrolment names it.
    pub machine: Option<String>,
}

/// The token is not shown.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "(secret)");
        f.debug_struct("Access").field("pin", &self.pin).field("token", &token).field("machine", &self.machine).finish()
    }
}

impl Access {
    /// The headers every request carries.
    pub(crate) fn headers(&self) -> Result<HeaderMap, InvalidHeaderValue> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(machine) = &self.machine {
            headers.insert(MACHINE, HeaderValue::from_str(machine)?);
        }
        Ok(headers)
    }

    /// TLS that believes the pinned authority, or nobody.
    pub(crate) fn tls(&self) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Pinned { pin: self.pin, provider: Arc::clone(&provider) });
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }
}

/// The SHA-256 of an authority's certificate, written `sha256:` and 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// A text that is no pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pin of a certificate authority; it is `sha256:` and 64 hex digits, as `nightshift-jobserver init` prints it"
)]
pub struct BadPin(String);

impl Pin {
    /// The pin of a certificate.
    pub fn of(certificate: &[u8]) -> Pin {
        Pin(Sha256::digest(certificate).into())
    }
}

impl FromStr for Pin {
    type Err = BadPin;

    fn from_str(text: &str) -> Result<Pin, BadPin> {
        let bad = || BadPin(text.to_owned());
        let digits = text.trim().strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or_else(bad)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Pin(bytes))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a server is not believed whose certificate is of another authority than the pinned one.
const NOT_PINNED: &str = "its certificate is not of the authority that is pinned: the pin is another job server's, or this is not \
                          yours; `nightshift-jobserver init` prints the pin there";

/// Believes certificates of the pinned authority, for the name that was asked, as long as they are valid.
#[derive(Debug)]
struct Pinned {
    pin: Option<Pin>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|&certificate| Some(Pin::of(certificate)) == self.pin);
        let authority = authority.ok_or_else(|| Error::General(NOT_PINNED.to_owned()))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_it_is_written_and_nothing_else_is_one() {
        let pin = Pin::of(b"a certificate");
        assert_eq!(pin.to_string().parse(), Ok(pin));
        let long = format!("sha256:{}", "0".repeat(65));
        let odd = format!("sha256:{}", "é".repeat(32));
        for text in ["", "sha256:", "sha1:00", &long, &odd, &pin.to_string()[7..]] {
            let error = text.parse::<Pin>().expect_err(text).to_string();
            assert!(error.contains("is no pin") && error.contains("nightshift-jobserver init"), "{error}");
        }
    }

    #[test]
    fn a_token_is_in_no_log() {
        let access = Access { token: Some("ns_admin_1".to_owned()), ..Access::default() };
        let headers = access.headers().expect("plain text");
        assert_eq!(headers[AUTHORIZATION], "Bearer ns_admin_1");
        assert!(!format!("{access:?}{headers:?}").contains("ns_admin_1"));
    }
}
