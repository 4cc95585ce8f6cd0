//! Writes the messages of `protocol/proto` and, from the options of the schema, who may send a
//! payload and how it is delivered. Needs no `protoc`: the compiler is protox.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use protox::Compiler;
use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor,
};

const ROOT_FILE: &str = "voxwire/v1/envelope.proto";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let protos = manifest.join("../../../protocol/proto");
    println!("cargo::rerun-if-changed={}", protos.join("voxwire/v1").display());
    println!("cargo::rerun-if-changed=build.rs");

    let mut compiler = Compiler::new([protos])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file(ROOT_FILE)?;
    // The tests read it: they translate between the vectors' JSON and bytes.
    fs::write(out.join("voxwire.descriptors"), compiler.encode_file_descriptor_set())?;
    prost_build::Config::new().out_dir(&out).compile_fds(compiler.file_descriptor_set())?;
    let pool = compiler.descriptor_pool();
    write_payloads(&pool, &out)?;
    write_fields(&pool, &out)
}

/// Which fields a message has, so that those which it does not have can be told.
fn write_fields(pool: &DescriptorPool, out: &Path) -> Result<()> {
    let messages: Vec<MessageDescriptor> =
        pool.all_messages().filter(|message| message.package_name() == "voxwire.v1").collect();
    let place = |wanted: &MessageDescriptor| messages.iter().position(|one| one == wanted);
    let root = messages
        .iter()
        .position(|message| message.full_name() == "voxwire.v1.Envelope")
        .ok_or("the schema has no Envelope")?;
    let mut code = format!("const ENVELOPE: usize = {root};\n\n");
    code += "/// The fields of every message, by number.\n";
    code += "static MESSAGES: &[&[KnownField]] = &[\n";
    for message in &messages {
        writeln!(code, "    // {}\n    &[", message.full_name())?;
        for field in message.fields() {
            let kind = field.kind();
            let inner = kind.as_message().and_then(place);
            writeln!(
                code,
                "        KnownField {{ number: {}, wire: {}, packable: {}, message: {inner:?} }},",
                field.number(),
                wire_type(&kind),
                field.is_list() && wire_type(&kind) != 2,
            )?;
        }
        code += "    ],\n";
    }
    code += "];\n";
    fs::write(out.join("fields.rs"), code)?;
    Ok(())
}

/// How a value stands on the wire: 0 varint, 1 eight bytes, 2 with a length, 5 four bytes.
fn wire_type(kind: &Kind) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
        Kind::String | Kind::Bytes | Kind::Message(_) => 2,
        _ => 0,
    }
}

/// An arm of `Envelope.payload`.
struct Arm {
    number: u32,
    name: String,
    variant: String,
    about: String,
    sender: String,
    delivery: String,
}

fn write_payloads(pool: &DescriptorPool, out: &Path) -> Result<()> {
    let envelope =
        pool.get_message_by_name("voxwire.v1.Envelope").ok_or("the schema has no Envelope")?;
    let payload = envelope
        .oneofs()
        .find(|oneof| oneof.name() == "payload")
        .ok_or("an Envelope has no payload")?;
    let arms = payload.fields().map(|field| arm(pool, &field)).collect::<Result<Vec<Arm>>>()?;

    let mut code = String::from("/// What an envelope carries: the arms of `Envelope.payload`.\n");
    code += "#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]\n";
    code += "pub enum PayloadKind {\n";
    for arm in &arms {
        writeln!(code, "    /// {}\n    {},", arm.about, arm.variant)?;
    }
    code += "}\n\nimpl PayloadKind {\n";
    code += "    /// Every kind, by its number in the schema.\n    pub const ALL: &[Self] = &[\n";
    for arm in &arms {
        writeln!(code, "        Self::{},", arm.variant)?;
    }
    code += "    ];\n\n    /// The kind of a payload.\n    #[must_use]\n";
    code += "    pub fn of(payload: &Payload) -> Self {\n        match payload {\n";
    for arm in &arms {
        writeln!(code, "            Payload::{0}(_) => Self::{0},", arm.variant)?;
    }
    code += "        }\n    }\n";
    let tables: [Table; 4] = [
        ("number", "u32", "Its field number in the envelope.", |arm| arm.number.to_string()),
        ("name", "&'static str", "Its name in the schema.", |arm| format!("\"{}\"", arm.name)),
        ("sender", "Sender", "Who may send it.", |arm| format!("Sender::{}", arm.sender)),
        ("delivery", "Delivery", "How it is delivered.", |arm| {
            format!("Delivery::{}", arm.delivery)
        }),
    ];
    for (name, kind, about, value) in tables {
        write!(
            code,
            "\n    /// {about}\n    #[must_use]\n    pub const fn {name}(self) -> {kind} "
        )?;
        code += "{\n        match self {\n";
        for arm in &arms {
            writeln!(code, "            Self::{} => {},", arm.variant, value(arm))?;
        }
        code += "        }\n    }\n";
    }
    code += "}\n";
    fs::write(out.join("payloads.rs"), code)?;
    Ok(())
}

type Table = (&'static str, &'static str, &'static str, fn(&Arm) -> String);

fn arm(pool: &DescriptorPool, field: &FieldDescriptor) -> Result<Arm> {
    let options = field.options();
    let comment = comment_of(field).unwrap_or_default();
    Ok(Arm {
        number: field.number(),
        name: field.name().to_owned(),
        variant: camel(field.name()),
        about: comment,
        sender: option(pool, &options, "sender")?,
        delivery: option(pool, &options, "delivery")?,
    })
}

/// The value of an option of a field, as the name of a variant.
fn option(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Result<String> {
    let extension = pool
        .get_extension_by_name(&format!("voxwire.v1.{name}"))
        .ok_or_else(|| format!("the schema has no option {name}"))?;
    let number = options
        .get_extension(&extension)
        .as_enum_number()
        .ok_or_else(|| format!("{name} is no enum"))?;
    let kind = extension.kind();
    let known = kind.as_enum().ok_or_else(|| format!("{name} is no enum"))?;
    let value = known.get_value(number).ok_or_else(|| format!("{name} has no value {number}"))?;
    let prefix = format!("{}_", name.to_uppercase());
    let word = value.name().trim_start_matches(&prefix).to_lowercase();
    Ok(camel(&word))
}

/// The first line of a field's comment.
fn comment_of(field: &FieldDescriptor) -> Option<String> {
    let file = field.parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref()?;
    let at = info.location.iter().find(|location| location.path == field.path())?;
    Some(at.leading_comments().trim().lines().next()?.to_owned())
}

/// `snake_case` as `CamelCase`.
fn camel(name: &str) -> String {
    name.split('_')
        .map(|part| {
            let (first, rest) = part.split_at(1.min(part.len()));
            first.to_uppercase() + rest
        })
        .collect()
}
