//! The certificate of a connection: its own key, signed by itself. The other side knows it by the
//! fingerprint in the description (RFC 8122), and by nothing that it says.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::rand_core::{OsRng, RngCore};
use p256::pkcs8::EncodePrivateKey;
use str0m::crypto::dtls::DtlsCert;

use super::der::{
    BIT_STRING, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, SET, UTC_TIME, UTF8_STRING, context, value,
};

const ECDSA_WITH_SHA256: [u8; 8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: [u8; 7] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const PRIME256V1: [u8; 8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// No clock is read, and nobody looks: it is valid whenever this runs (RFC 8827 §6.5 leaves what a
/// certificate says to whoever makes it).
const NOT_BEFORE: &[u8] = b"200101000000Z";
const NOT_AFTER: &[u8] = b"491231235959Z";

/// Version 3.
const VERSION: [u8; 1] = [2];

/// A new key on P-256 (RFC 8827 §6.5) and its certificate (RFC 5280 §4.1); `None` when the system
/// gives no random numbers.
pub(super) fn generate() -> Option<DtlsCert> {
    let key = SigningKey::random(&mut OsRng);
    let mut serial = [0; 8];
    OsRng.fill_bytes(&mut serial);
    serial[0] = serial[0] & 0x3F | 0x40; // positive, and as long as it looks
    let algorithm = value(SEQUENCE, &[&value(OBJECT_IDENTIFIER, &[&ECDSA_WITH_SHA256])]);
    let name = {
        let kind = value(OBJECT_IDENTIFIER, &[&COMMON_NAME]);
        let text = value(UTF8_STRING, &[b"WebRTC"]);
        value(SEQUENCE, &[&value(SET, &[&value(SEQUENCE, &[&kind, &text])])])
    };
    let validity =
        value(SEQUENCE, &[&value(UTC_TIME, &[NOT_BEFORE]), &value(UTC_TIME, &[NOT_AFTER])]);
    let public = {
        let curve = value(OBJECT_IDENTIFIER, &[&PRIME256V1]);
        let kind = value(SEQUENCE, &[&value(OBJECT_IDENTIFIER, &[&EC_PUBLIC_KEY]), &curve]);
        let point = key.verifying_key().to_encoded_point(false);
        value(SEQUENCE, &[&kind, &value(BIT_STRING, &[&[0], point.as_bytes()])])
    };
    let version = value(context(0), &[&value(INTEGER, &[&VERSION])]);
    let serial = value(INTEGER, &[&serial]);
    let parts: [&[u8]; 7] = [&version, &serial, &algorithm, &name, &validity, &name, &public];
    let signed = value(SEQUENCE, &parts);
    let signature: DerSignature = key.sign(&signed);
    let signature = value(BIT_STRING, &[&[0], signature.as_bytes()]);
    Some(DtlsCert {
        certificate: value(SEQUENCE, &[&signed, &algorithm, &signature]),
        private_key: key.to_pkcs8_der().ok()?.as_bytes().to_vec(),
    })
}
