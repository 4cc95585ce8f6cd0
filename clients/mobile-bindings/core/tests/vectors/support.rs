//! Reading the cases, and protobuf's JSON, by descriptors alone: no code under test takes part.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fs};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;

pub type Object = serde_json::Map<String, Value>;

/// Of the clone that this runs for: several share what is compiled.
fn root() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../../protocol/vectors")
}

/// The folders of cases.
pub fn folders() -> Vec<String> {
    let entries = fs::read_dir(root()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let names = folders.map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('_')).collect();
    names.sort();
    names
}

/// The names of a folder's files.
pub fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(!names.is_empty(), "{folder} is empty");
    names
}

pub fn read(folder: &str, name: &str) -> Vec<u8> {
    fs::read(root().join(folder).join(name)).unwrap()
}

/// Every case of a folder by its name; a file of another kind is an error.
pub fn cases(folder: &str) -> Vec<(String, Object)> {
    let read_case = |name: String| {
        let Some(stem) = name.strip_suffix(".json") else { panic!("{folder}/{name} is not read") };
        let case = serde_json::from_slice(&read(folder, &name)).unwrap();
        (format!("{folder}/{stem}"), case)
    };
    files(folder).into_iter().map(read_case).collect()
}

/// Runs the steps of every case of a folder; `make` makes what they are run on of a case.
pub fn run_scripts<T>(
    folder: &str,
    wanted: impl Fn(&Object) -> bool,
    make: impl Fn(&Object) -> T,
    step: impl Fn(&mut T, &str, &Step),
) -> usize {
    let mut count = 0;
    for (name, case) in cases(folder) {
        if !wanted(&case) {
            continue;
        }
        let mut subject = make(&case);
        for (at, value) in case["steps"].as_array().unwrap().iter().enumerate() {
            let one =
                Step { fields: value.as_object().unwrap(), place: format!("{name}, step {at}") };
            step(&mut subject, one.text("op"), &one);
        }
        count += 1;
    }
    count
}

/// A step of a script; `place` says where it stands.
pub struct Step<'a> {
    pub fields: &'a Object,
    pub place: String,
}

impl Step<'_> {
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub fn value(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or_else(|| panic!("{}: no {name}", self.place))
    }

    pub fn text(&self, name: &str) -> &str {
        self.value(name).as_str().unwrap_or_else(|| panic!("{}: {name} is no text", self.place))
    }

    pub fn number(&self, name: &str) -> u64 {
        let value = self.value(name).as_u64();
        value.unwrap_or_else(|| panic!("{}: {name} is no number", self.place))
    }

    pub fn float(&self, name: &str) -> f64 {
        let value = self.value(name).as_f64();
        value.unwrap_or_else(|| panic!("{}: {name} is no number", self.place))
    }

    /// A step whose `op` nobody here knows.
    pub fn unknown(&self) -> ! {
        panic!("{}: no such op: {}", self.place, self.text("op"))
    }

    /// What came of the step is what is expected under that name.
    pub fn expect(&self, name: &str, actual: impl Into<Value>) {
        assert_eq!(&actual.into(), self.value(name), "{}: {name}", self.place);
    }
}

pub fn hex(data: &[u8]) -> String {
    data.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

pub fn descriptors() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let data: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/voxwire.descriptors"));
        DescriptorPool::decode(data).unwrap()
    })
}

/// The bytes of a message in proto3 JSON.
pub fn bytes_of(message: &str, json: &Value) -> Vec<u8> {
    let descriptor = descriptors().get_message_by_name(message).unwrap();
    DynamicMessage::deserialize(descriptor, json).unwrap().encode_to_vec()
}

/// A message of the crate from proto3 JSON.
pub fn message_of<M: Message + Default>(message: &str, json: &Value) -> M {
    M::decode(&*bytes_of(message, json)).unwrap()
}

/// An envelope of the crate as proto3 JSON.
pub fn json_of(envelope: &voxwire_core::wire::Envelope) -> Value {
    let descriptor = descriptors().get_message_by_name("voxwire.v1.Envelope").unwrap();
    let message = DynamicMessage::decode(descriptor, &*envelope.encode_to_vec()).unwrap();
    serde_json::to_value(&message).unwrap()
}
