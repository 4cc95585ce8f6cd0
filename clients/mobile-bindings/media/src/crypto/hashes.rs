//! The hashes of STUN (RFC 8489 §14.5) and of fingerprints (RFC 8122 §5).

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Digest;
use str0m::crypto::{Sha1HmacProvider, Sha256Provider};

#[derive(Debug)]
pub(super) struct Sha1Hmac;

impl Sha1HmacProvider for Sha1Hmac {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let mut code = Hmac::<Sha1>::new_from_slice(key).expect("a key of HMAC has any length");
        for payload in payloads {
            code.update(payload);
        }
        code.finalize().into_bytes().into()
    }
}

#[derive(Debug)]
pub(super) struct Sha256;

impl Sha256Provider for Sha256 {
    fn sha256(&self, data: &[u8]) -> [u8; 32] {
        sha2::Sha256::digest(data).into()
    }
}

#[cfg(test)]
mod tests {
    use str0m::crypto::{Sha1HmacProvider, Sha256Provider};

    use super::{Sha1Hmac, Sha256};

    #[test]
    fn the_code_of_rfc_2202() {
        let code = Sha1Hmac.sha1_hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(code[..4], [0xEF, 0xFC, 0xDF, 0x6A]);
        assert_eq!(code[16..], [0x25, 0x9A, 0x7C, 0x79]);
    }

    #[test]
    fn the_digest_of_fips_180() {
        let digest = Sha256.sha256(b"abc");
        assert_eq!(digest[..4], [0xBA, 0x78, 0x16, 0xBF]);
        assert_eq!(digest[28..], [0xF2, 0x00, 0x15, 0xAD]);
    }
}
