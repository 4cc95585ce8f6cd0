//! What a connection is encrypted with, in Rust alone: DTLS 1.2 by dimpl, SRTP, the hashes of STUN
//! and of fingerprints, and the certificate. The rules are str0m's; the ciphers are `RustCrypto`'s.

mod certificate;
mod der;
mod dtls;
mod hashes;
mod srtp;

use std::sync::{Arc, LazyLock};

use str0m::crypto::CryptoProvider;

/// The one provider of this process.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        srtp_provider: &srtp::Ciphers,
        sha1_hmac_provider: &hashes::Sha1Hmac,
        sha256_provider: &hashes::Sha256,
        dtls_provider: &dtls::Handshakes,
    })
});

/// What every connection is made with.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
