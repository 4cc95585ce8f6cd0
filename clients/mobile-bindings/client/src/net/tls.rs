//! What encrypted connections are made with: rustls on ring.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;
use crate::options::Roots;

/// The configuration for these roots.
///
/// # Errors
///
/// `INVALID_ARGUMENT`: there is no certificate to check against.
pub(crate) fn configuration(roots: &Roots) -> Result<Arc<ClientConfig>, Error> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Roots::Pem(pem) => {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let bad = |_| Error::invalid("the roots are no certificates in PEM");
            store.add_parsable_certificates(certificates.map_err(bad)?);
        }
    }
    if store.is_empty() {
        return Err(Error::invalid("there is no certificate to check the server's against"));
    }
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| Error::invalid(format!("TLS: {error}")))?;
    Ok(Arc::new(versions.with_root_certificates(store).with_no_client_auth()))
}
