//! The ciphers of SRTP: AES-CM with HMAC-SHA1 (RFC 3711) and AES-GCM (RFC 7714).

use aes::cipher::{Block, BlockEncrypt, KeyInit, KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use str0m::crypto::{
    AeadAes128GcmCipher, AeadAes256GcmCipher, Aes128CmSha1_80Cipher, CryptoError, SrtpProvider,
    SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80,
};

/// Length of the tag of GCM, bytes.
const TAG: usize = 16;

#[derive(Debug)]
pub(super) struct Ciphers;

impl SrtpProvider for Ciphers {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        &Ciphers
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &Ciphers
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        &Ciphers
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        let cipher = Aes128::new_from_slice(key).expect("a key of AES-128 has 16 bytes");
        one_block(&cipher, input, output);
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        let cipher = Aes256::new_from_slice(key).expect("a key of AES-256 has 32 bytes");
        one_block(&cipher, input, output);
    }
}

/// One block of the key stream that keys are derived from (RFC 3711 §4.3.3). There is room for a
/// second one, which other libraries fill with padding; nobody reads it.
fn one_block<C: BlockEncrypt>(cipher: &C, input: &[u8], output: &mut [u8]) {
    let mut block = Block::<C>::clone_from_slice(input);
    cipher.encrypt_block(&mut block);
    output[..block.len()].copy_from_slice(&block);
}

impl SupportedAes128CmSha1_80 for Ciphers {
    fn create_cipher(&self, key: [u8; 16], _encrypt: bool) -> Box<dyn Aes128CmSha1_80Cipher> {
        Box::new(Counter(key))
    }
}

impl SupportedAeadAes128Gcm for Ciphers {
    fn create_cipher(&self, key: [u8; 16], _encrypt: bool) -> Box<dyn AeadAes128GcmCipher> {
        Box::new(Gcm(Aes128Gcm::new(&key.into())))
    }
}

impl SupportedAeadAes256Gcm for Ciphers {
    fn create_cipher(&self, key: [u8; 32], _encrypt: bool) -> Box<dyn AeadAes256GcmCipher> {
        Box::new(Gcm(Aes256Gcm::new(&key.into())))
    }
}

/// AES in counter mode: the same both ways.
struct Counter([u8; 16]);

impl std::fmt::Debug for Counter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Counter")
    }
}

impl Aes128CmSha1_80Cipher for Counter {
    fn encrypt(
        &mut self,
        iv: &[u8; 16],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        let mut cipher = ctr::Ctr128BE::<Aes128>::new(&self.0.into(), iv.into());
        let output = &mut output[..input.len()];
        output.copy_from_slice(input);
        cipher.apply_keystream(output);
        Ok(())
    }

    fn decrypt(
        &mut self,
        iv: &[u8; 16],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.encrypt(iv, input, output)
    }
}

/// AES in Galois counter mode; the tag stands behind the text.
struct Gcm<C>(C);

impl<C> std::fmt::Debug for Gcm<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Gcm")
    }
}

impl<C: AeadInPlace> Gcm<C> {
    fn seal(&self, iv: &[u8; 12], aad: &[u8], input: &[u8], output: &mut [u8]) -> Sealed<()> {
        let (text, tag) = output[..input.len() + TAG].split_at_mut(input.len());
        text.copy_from_slice(input);
        let nonce = aes_gcm::aead::Nonce::<C>::from_slice(iv);
        let made = self.0.encrypt_in_place_detached(nonce, aad, text).map_err(|_| failed())?;
        tag.copy_from_slice(&made);
        Ok(())
    }

    fn open(
        &self,
        iv: &[u8; 12],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Sealed<usize> {
        let length = input.len().checked_sub(TAG).ok_or_else(failed)?;
        let (sealed, tag) = input.split_at(length);
        let text = &mut output[..length];
        text.copy_from_slice(sealed);
        let nonce = aes_gcm::aead::Nonce::<C>::from_slice(iv);
        let tag = aes_gcm::aead::Tag::<C>::from_slice(tag);
        let opened = self.0.decrypt_in_place_detached(nonce, &aads.concat(), text, tag);
        opened.map(|()| length).map_err(|_| failed())
    }
}

type Sealed<T> = Result<T, CryptoError>;

fn failed() -> CryptoError {
    CryptoError::Other("AES-GCM: it does not belong together".into())
}

impl AeadAes128GcmCipher for Gcm<Aes128Gcm> {
    fn encrypt(
        &mut self,
        iv: &[u8; 12],
        aad: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Sealed<()> {
        self.seal(iv, aad, input, output)
    }

    fn decrypt(
        &mut self,
        iv: &[u8; 12],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Sealed<usize> {
        self.open(iv, aads, input, output)
    }
}

impl AeadAes256GcmCipher for Gcm<Aes256Gcm> {
    fn encrypt(
        &mut self,
        iv: &[u8; 12],
        aad: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Sealed<()> {
        self.seal(iv, aad, input, output)
    }

    fn decrypt(
        &mut self,
        iv: &[u8; 12],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Sealed<usize> {
        self.open(iv, aads, input, output)
    }
}

#[cfg(test)]
mod tests {
    use str0m::crypto::{SrtpProvider, SupportedAeadAes128Gcm, SupportedAes128CmSha1_80};

    use super::{Ciphers, TAG};

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_key_stream_of_rfc_3711_b_2() {
        let key = bytes("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
        let iv = bytes("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
        let mut out = [0; 32];
        let mut cipher = SupportedAes128CmSha1_80::create_cipher(&Ciphers, key, true);
        cipher.encrypt(&iv, &[0; 32], &mut out).unwrap();
        let stream = "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB";
        assert_eq!(out.to_vec(), bytes(stream));
    }

    #[test]
    fn the_derived_key_of_rfc_3711_b_3() {
        let master = bytes("E1F97A0D3E018BE0D64FA32C06DE4139");
        let input = bytes("0EC675AD498AFEEBB6960B3AABE60000");
        let mut out = [0; 32];
        Ciphers.srtp_aes_128_ecb_round(&master, &input, &mut out);
        assert_eq!(out[..16].to_vec(), bytes("C61E7A93744F39EE10734AFE3FF7A087"));
    }

    #[test]
    fn the_packet_of_rfc_7714_16_1_and_no_other_is_opened() {
        let key = bytes("000102030405060708090A0B0C0D0E0F").try_into().unwrap();
        let iv = bytes("51753C6580C2726F20718414").try_into().unwrap();
        let header = bytes("8040F17B8041F8D35501A0B2");
        let text = b"Gallia est omnis divisa in partes tres".to_vec();
        let sealed = "F24DE3A3FB34DE6CACBA861C9D7E4BCABE633BD50D294E6F42A5F47A51C7D19B\
                      36DE3ADF8833 899D7F27BEB16A9152CF765EE4390CCE";
        let mut cipher = SupportedAeadAes128Gcm::create_cipher(&Ciphers, key, true);
        let mut out = vec![0; text.len() + TAG];
        cipher.encrypt(&iv, &header, &text, &mut out).unwrap();
        assert_eq!(out, bytes(sealed));
        let mut opened = vec![0; text.len()];
        let aads = [&header[..4], &header[4..]];
        assert_eq!(cipher.decrypt(&iv, &aads, &out, &mut opened).unwrap(), text.len());
        assert_eq!(opened, text);
        out[3] ^= 1;
        assert!(cipher.decrypt(&iv, &aads, &out, &mut opened).is_err());
        assert!(cipher.decrypt(&iv, &aads, &out[..8], &mut opened).is_err());
    }
}
