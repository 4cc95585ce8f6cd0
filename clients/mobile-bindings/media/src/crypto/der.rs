//! The little of DER (ITU-T X.690) that a certificate needs.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0C;
pub(super) const UTC_TIME: u8 = 0x17;

/// A context-specific, constructed tag.
pub(super) const fn context(number: u8) -> u8 {
    0xA0 | number
}

/// One value: its tag, its length, what it consists of.
pub(super) fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
        out.push(0x80 | (bytes.len() - first) as u8);
        out.extend_from_slice(&bytes[first..]);
    }
    out.extend(parts.iter().flat_map(|part| part.iter().copied()));
    out
}

#[cfg(test)]
mod tests {
    use super::{INTEGER, SEQUENCE, value};

    #[test]
    fn a_length_is_as_short_as_it_can_be() {
        assert_eq!(value(INTEGER, &[&[5]]), [2, 1, 5]);
        assert_eq!(value(SEQUENCE, &[&[0; 0x7F]])[..2], [0x30, 0x7F]);
        assert_eq!(value(SEQUENCE, &[&[0; 0x80]])[..3], [0x30, 0x81, 0x80]);
        assert_eq!(value(SEQUENCE, &[&[0; 200], &[0; 100]])[..4], [0x30, 0x82, 1, 44]);
    }
}
