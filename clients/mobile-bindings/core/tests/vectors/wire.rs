//! wire/: one envelope for every payload, as JSON and as bytes.

use prost::Message;
use serde_json::Value;
use voxwire_core::wire::{PayloadKind, decode};

use crate::support::{files, json_of, message_of, read};

#[test]
fn there_is_one_case_for_every_payload() {
    let names = PayloadKind::ALL.iter().map(|kind| kind.name());
    let mut wanted: Vec<String> =
        names.flat_map(|name| [format!("{name}.json"), format!("{name}.binpb")]).collect();
    wanted.sort();
    assert_eq!(files("wire"), wanted);
}

#[test]
fn json_and_bytes_of_an_envelope_are_the_same_message() {
    for kind in PayloadKind::ALL {
        let name = kind.name();
        let json: Value = serde_json::from_slice(&read("wire", &format!("{name}.json"))).unwrap();
        let data = read("wire", &format!("{name}.binpb"));
        let decoded = decode(&data).unwrap();
        assert_eq!(decoded.envelope, message_of("voxwire.v1.Envelope", &json), "{name}");
        assert_eq!(decoded.envelope.encode_to_vec(), data, "{name}");
        assert_eq!(json_of(&decoded.envelope), json, "{name}");
        assert_eq!(decoded.envelope.kind(), Some(*kind));
        assert_eq!((decoded.unknown_fields, decoded.unknown_payload), (0, false), "{name}");
        assert_eq!(kind.is_reliable(), decoded.envelope.seq != 0, "{name}");
    }
}
