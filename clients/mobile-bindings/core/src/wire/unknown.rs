//! Fields that this version of the schema does not know: they are counted, and leave nothing else
//! unread. prost drops them without a word, and refuses a known field of another wire type, which
//! Python and TypeScript take for an unknown one (ADR 12). It refuses numbers with bits beyond 64,
//! too, which nobody else looks at.

use std::borrow::Cow;

use prost::encoding::encode_varint;

/// A field that a message of the schema has.
struct KnownField {
    number: u32,
    /// How its value stands on the wire (protobuf encoding, "Message Structure").
    wire: u8,
    /// True for a list of numbers, which may stand as one value with a length, too.
    packable: bool,
    /// The message that it holds, as an index of `MESSAGES`.
    message: Option<usize>,
}

include!(concat!(env!("OUT_DIR"), "/fields.rs"));

/// How deep messages and groups may be within each other, the envelope counted; as in Python.
const MAX_DEPTH: usize = 101;

const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const WITH_LENGTH: u8 = 2;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;
const FOUR_BYTES: u8 = 5;

/// An encoded envelope without what is unknown, at any depth, and how many fields that was.
///
/// Returns `None` for bytes that are no message at all.
pub(super) fn without_unknown(data: &[u8]) -> Option<(Cow<'_, [u8]>, usize)> {
    known_part(data, MESSAGES[ENVELOPE], MAX_DEPTH)
}

fn known_part<'a>(
    data: &'a [u8],
    fields: &[KnownField],
    depth: usize,
) -> Option<(Cow<'a, [u8]>, usize)> {
    let depth = depth.checked_sub(1)?;
    let mut reader = Reader(data);
    let mut unknown = 0;
    // Written only from the first unknown field on: mostly there is none.
    let mut known: Option<Vec<u8>> = None;
    while !reader.0.is_empty() {
        let before = data.len() - reader.0.len();
        let (number, wire) = reader.tag()?;
        let value = reader.value(number, wire, depth)?;
        let end = data.len() - reader.0.len();
        let field = fields.iter().find(|field| {
            let packed = field.packable && wire == WITH_LENGTH;
            field.number == number && (field.wire == wire || packed)
        });
        let Some(field) = field else {
            unknown += 1;
            known.get_or_insert_with(|| data[..before].to_vec());
            continue;
        };
        let again = if let Some(message) = field.message {
            let (inner, count) = known_part(value, MESSAGES[message], depth)?;
            unknown += count;
            matches!(inner, Cow::Owned(_)).then_some(inner)
        } else if field.wire == VARINT {
            shortened(value)?.map(Cow::Owned)
        } else {
            None
        };
        if let Some(value) = again {
            let out = known.get_or_insert_with(|| data[..before].to_vec());
            encode_varint(u64::from(number << 3 | u32::from(wire)), out);
            if wire == WITH_LENGTH {
                encode_varint(value.len() as u64, out);
            }
            out.extend_from_slice(&value);
            continue;
        }
        if let Some(out) = &mut known {
            out.extend_from_slice(&data[before..end]);
        }
    }
    let known = known.map_or(Cow::Borrowed(data), Cow::Owned);
    Some((known, unknown))
}

/// Varints one after the other without the bits that are beyond 64, which a tenth byte may have:
/// prost refuses them, and others do not look at them. `None` inside = there are none.
#[expect(clippy::option_option, reason = "the outer one is for what is no varint")]
fn shortened(varints: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut reader = Reader(varints);
    let mut out = Vec::new();
    let mut odd = false;
    while !reader.0.is_empty() {
        let before = reader.0;
        let value = reader.varint(10)?;
        let length = before.len() - reader.0.len();
        odd |= length == 10 && before[9] > 1;
        encode_varint(value, &mut out);
    }
    Some(odd.then_some(out))
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Number and wire type of the next field.
    fn tag(&mut self) -> Option<(u32, u8)> {
        let tag = u32::try_from(self.varint(5)?).ok()?;
        let number = tag >> 3;
        (number != 0).then_some((number, (tag & 7) as u8))
    }

    /// The value of a field; without its length where it has one.
    fn value(&mut self, number: u32, wire: u8, depth: usize) -> Option<&'a [u8]> {
        let start = self.0;
        match wire {
            VARINT => {
                self.varint(10)?;
                Some(&start[..start.len() - self.0.len()])
            }
            EIGHT_BYTES => self.take(8),
            WITH_LENGTH => {
                let length = usize::try_from(self.varint(10)?).ok()?;
                self.take(length)
            }
            GROUP => {
                self.group(number, depth)?;
                Some(&start[..start.len() - self.0.len()])
            }
            FOUR_BYTES => self.take(4),
            _ => None,
        }
    }

    /// Reads a group to its end.
    fn group(&mut self, number: u32, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        loop {
            let (inner, wire) = self.tag()?;
            if wire == GROUP_END {
                return (inner == number).then_some(());
            }
            self.value(inner, wire, depth)?;
        }
    }

    /// A number of at most so many bytes; bits beyond 64 are not looked at.
    fn varint(&mut self, max_bytes: usize) -> Option<u64> {
        let mut value = 0;
        for (at, byte) in self.0.iter().take(max_bytes).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use crate::wire::{AppMessage, Envelope, Hello, NotAnEnvelope, Payload, Ping, decode};

    fn app() -> Envelope {
        Envelope::of(Payload::AppMessage(AppMessage { r#type: "a".into(), ..Default::default() }))
    }

    #[test]
    fn an_unknown_field_beside_and_within_a_payload_is_counted_and_hides_nothing() {
        let mut data = vec![0xc2, 0x3e, 0x00]; // field 1000, with a length
        data.extend(app().encode_to_vec());
        data.extend([0xfa, 0x03, 0x03, 0x0a, 0x01, b'b']); // the payload again: merged
        let last = data.len() - 4;
        data[last] = 0x05;
        data.extend([0x78, 0x01]); // field 15 of AppMessage, a varint
        let decoded = decode(&data).unwrap();
        assert_eq!(decoded.unknown_fields, 2);
        assert!(!decoded.unknown_payload);
        let Some(Payload::AppMessage(message)) = decoded.envelope.payload else { panic!() };
        assert_eq!(message.r#type, "b");
    }

    #[test]
    fn a_known_number_of_another_wire_type_is_an_unknown_field() {
        let mut data = vec![0x18, 0x01]; // Envelope.audio as a varint
        data.extend([0x0a, 0x01, b'x']); // Envelope.seq with a length
        data.extend(app().encode_to_vec());
        let decoded = decode(&data).unwrap();
        assert_eq!((decoded.envelope, decoded.unknown_fields), (app(), 2));
    }

    #[test]
    fn an_unknown_payload_is_told_from_none() {
        assert!(decode(&[0x08, 0x02, 0xc2, 0x3e, 0x00]).unwrap().unknown_payload);
        assert!(!decode(&[0x08, 0x02]).unwrap().unknown_payload);
        assert!(decode(&[0xc3, 0x3e, 0x08, 0x01, 0xc4, 0x3e]).unwrap().unknown_payload); // a group
    }

    #[test]
    fn numbers_of_ten_bytes_are_read_whatever_is_beyond_their_64_bits() {
        let mut data = vec![0x62, 0x10, 0x08, 0x01, 0x10]; // a ping; its t0_us
        data.extend([0xff; 9]);
        data.extend([0x7f, 0xc0, 0x3e, 0x01]); // and its field 1000
        data.extend([0x10, 0x85, 0x80, 0x00]); // ack, longer than it has to be
        let decoded = decode(&data).unwrap();
        let ping = Payload::Ping(Ping { number: 1, t0_us: u64::MAX });
        assert_eq!(decoded.envelope, Envelope { seq: 0, ack: 5, payload: Some(ping) });
        assert_eq!(decoded.unknown_fields, 1);
        let mut data = vec![0x82, 0x01, 0x0d, 0x3a, 0x0b, 0x01, 0x82]; // a hello; its features
        data.extend([0x80; 8]);
        data.push(0x02);
        let hello = Payload::Hello(Hello { features: vec![1, 2], ..Default::default() });
        assert_eq!(decode(&data).unwrap().envelope, Envelope::of(hello));
    }

    #[test]
    fn groups_may_be_a_hundred_deep() {
        let groups =
            |depth: usize| [[0xc3, 0x3e].repeat(depth), [0xc4, 0x3e].repeat(depth)].concat();
        assert!(decode(&groups(100)).is_ok());
        assert!(decode(&groups(101)).is_err());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let deep = [&[0x0b; 200][..], &[0x0c; 200]].concat();
        let broken: [&[u8]; 7] = [
            &[0xff],
            &[0x00],             // field 0
            &[0x0c],             // the end of no group
            &[0xc3, 0x3e, 0x0c], // a group that another ends
            &[0x1a, 0x05, 0x00], // shorter than it says
            &[0x0e],             // wire type 6
            &deep,
        ];
        for data in broken {
            assert_eq!(decode(data), Err(NotAnEnvelope), "{data:x?}");
        }
    }
}
