//! TLS 1.3 and nothing below it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore, version::TLS13};

use crate::error::{NetError, NetErrorKind};

/// Whom to believe.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The certificate authorities of the system (on Linux the `ca-certificates` package, or what `SSL_CERT_FILE`
    /// and `SSL_CERT_DIR` name).
    System,
    /// These and no others.
    Only(Vec<CertificateDer<'static>>),
}

impl Roots {
    /// The certificates of a file in PEM, and no others.
    ///
    /// # Errors
    /// `Tls` where there is none in it, or one that cannot be read.
    pub fn from_pem(bytes: &[u8]) -> Result<Roots, NetError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(Roots::Only(found)),
            Ok(_) => Err(NetError::new(
                NetErrorKind::Tls,
                "there is no certificate in it (PEM, `-----BEGIN CERTIFICATE-----`)",
            )),
            Err(error) => Err(NetError::new(NetErrorKind::Tls, format!("it cannot be read as PEM: {error}"))),
        }
    }
}

/// The one configuration, read when it is first needed: the system's roots cost milliseconds that most commands
/// have no use for.
#[derive(Debug)]
pub(crate) struct Tls {
    roots: Roots,
    protocols: &'static [&'static [u8]],
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Tls {
    pub(crate) fn new(roots: Roots) -> Tls {
        Tls { roots, protocols: &[b"http/1.1"], config: Mutex::new(None) }
    }

    /// For a stream that is no HTTP: no application protocol is offered.
    pub(crate) fn without_protocols(roots: Roots) -> Tls {
        Tls { roots, protocols: &[], config: Mutex::new(None) }
    }

    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, NetError> {
        let mut slot = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*slot {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(build(&self.roots, self.protocols)?);
        *slot = Some(Arc::clone(&config));
        Ok(config)
    }
}

fn build(roots: &Roots, protocols: &[&[u8]]) -> Result<ClientConfig, NetError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            // A certificate that cannot be read is one authority fewer; that none can be is an error.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err(NetError::new(
                    NetErrorKind::Tls,
                    "this machine has no certificate authorities to check a server with; install `ca-certificates`",
                ));
            }
        }
        Roots::Only(certificates) => {
            for certificate in certificates {
                store.add(certificate.clone()).map_err(|error| {
                    NetError::new(NetErrorKind::Tls, format!("a configured root certificate is not one: {error}"))
                })?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| NetError::new(NetErrorKind::Tls, format!("TLS 1.3 is not to be had: {error}")))?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// Why there is no TLS with `place`, in words.
pub(crate) fn explain(place: &str, error: &std::io::Error) -> NetError {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        // Nothing was said about who it is: a server that is just starting or stopping does this too.
        return NetError::new(
            NetErrorKind::Connect,
            format!("the server at `{place}` broke off the TLS handshake ({error}); does it speak TLS at this port?"),
        );
    };
    let why = match error {
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            "it does not speak TLS 1.3, and nothing older is used; its owner has to update it".to_owned()
        }
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "its certificate comes from an authority that this machine does not know; \
                 somebody may be in between, or the authority is missing from the system's store"
                    .to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired; check this machine's clock, else its owner has to renew it".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; check this machine's clock".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name; check the URL, somebody may be in between".to_owned()
            }
            CertificateError::BadSignature => {
                "its certificate is not from the authority that it names; somebody may be in between".to_owned()
            }
            CertificateError::Revoked => "its certificate has been revoked".to_owned(),
            other => format!("its certificate is not valid: {other}"),
        },
        Error::InvalidMessage(_) => "what it answers is not TLS; does it speak TLS at this port?".to_owned(),
        other => other.to_string(),
    };
    NetError::new(NetErrorKind::Tls, format!("no safe connection to `{place}`: {why}"))
}
