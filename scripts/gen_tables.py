"""Writes what codec.ts reads of the schema, a module a package: `gen_tables.py PROTO_ROOT FOLDER`.

A message is a string of fields by ascending number, `[number]name:kind[label]`, the number only
where it is not one more than the one before. The kinds are in KINDS; a label is `*` repeated or `?`
optional; `name:{` opens a oneof, whose last field has the label `}`. What fields of kind `m` and
`e` refer to is listed behind the string, in order. Runs in the venv: it needs protoc.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from grpc_tools import protoc

PACKAGE = "voxwire.v1"
#: The module of each package.
MODULES = {PACKAGE: "tables.ts", "pipecat": "pipecat-tables.ts"}
#: Its enums say something about the schema; they are not sent.
OPTIONS = "voxwire/v1/options.proto"
KINDS = {
    FieldDescriptor.TYPE_UINT32: "u",
    FieldDescriptor.TYPE_UINT64: "U",
    FieldDescriptor.TYPE_INT32: "i",
    FieldDescriptor.TYPE_INT64: "I",
    FieldDescriptor.TYPE_BOOL: "b",
    FieldDescriptor.TYPE_DOUBLE: "d",
    FieldDescriptor.TYPE_STRING: "s",
    FieldDescriptor.TYPE_BYTES: "y",
    FieldDescriptor.TYPE_ENUM: "e",
    FieldDescriptor.TYPE_MESSAGE: "m",
}
WIDTH = 100


class SchemaError(Exception):
    """The schema has what the codec in TypeScript does not know."""


def read_files(proto: Path, package: str) -> list[FileDescriptor]:
    """The files of a package, in a pool of their own, so that their options can be read."""
    folder = proto / package.replace(".", "/")
    names = sorted(str(path.relative_to(proto)) for path in folder.glob("*.proto"))
    with tempfile.TemporaryDirectory(prefix="voxwire-tables-") as temporary:
        target = Path(temporary) / "set.binpb"
        arguments = [f"--descriptor_set_out={target}", "--include_imports", *names]
        include = Path(protoc.__file__).parent / "_proto"
        code = protoc.main(
            ["protoc", f"--proto_path={proto}", f"--proto_path={include}", *arguments]
        )
        if code != 0:
            raise SchemaError("protoc failed")
        files = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return [pool.FindFileByName(name) for name in names]


def camel(name: str) -> str:
    """The name that protoc-gen-es gives a field."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def constant(enum: EnumDescriptor, name: str) -> str:
    """The name that protoc-gen-es gives a value: without the enum's own in front."""
    prefix = "".join(f"_{c}" if c.isupper() else c for c in enum.name).lstrip("_").upper() + "_"
    if not name.startswith(prefix):
        raise SchemaError(f"{name} does not begin with {prefix}")
    return name.removeprefix(prefix)


def in_order(messages: list[Descriptor]) -> list[Descriptor]:
    """Every message behind those that it holds; none may hold itself."""
    done: dict[str, Descriptor] = {}

    def visit(message: Descriptor, above: tuple[str, ...]) -> None:
        if message.full_name in above:
            raise SchemaError(f"{message.full_name} holds itself")
        for field in message.fields:
            if field.message_type and field.message_type.full_name not in done:
                visit(field.message_type, (*above, message.full_name))
        done[message.full_name] = message

    for message in messages:
        visit(message, ())
    return list(done.values())


def field_words(message: Descriptor) -> Iterator[str]:
    """The fields of a message as its string has them."""
    fields = sorted(message.fields, key=lambda field: field.number)
    next_number = 1
    for at, field in enumerate(fields):
        if field.type not in KINDS or (field.message_type and not has_table(field.message_type)):
            raise SchemaError(f"{field.full_name} is of a kind that codec.ts does not know")
        group = oneof_of(field)
        if group and (at == 0 or oneof_of(fields[at - 1]) != group):
            yield f"{camel(group)}:{{"
        label = (
            "*"
            if field.label == FieldDescriptor.LABEL_REPEATED
            else "?"
            if field.has_presence and not group
            else ""
        )
        if label == "?" and field.message_type:
            label = ""
        if group and (at + 1 == len(fields) or oneof_of(fields[at + 1]) != group):
            label = "}"
        number = "" if field.number == next_number else str(field.number)
        next_number = field.number + 1
        yield f"{number}{camel(field.name)}:{KINDS[field.type]}{label}"


def oneof_of(field: FieldDescriptor) -> str:
    """The oneof that a field is in; that of `optional` is none."""
    group = field.containing_oneof
    synthetic = group and len(group.fields) == 1 and group.name == f"_{field.name}"
    return group.name if group and not synthetic else ""


def has_table(message: Descriptor) -> bool:
    """True for what gets a table: a message of our packages, at the top of its file."""
    return message.file.package in MODULES and message.containing_type is None


def packed_enum(enum: EnumDescriptor) -> str:
    """The values of an enum, by number; the number only where it is not one more."""
    words: list[str] = []
    next_number = 0
    for value in sorted(enum.values, key=lambda value: value.number):
        words += [] if value.number == next_number else [str(value.number)]
        words.append(constant(enum, value.name))
        next_number = value.number + 1
    return " ".join(words)


def call(head: str, arguments: list[str]) -> str:
    """A statement `head(arguments);`, on one line when it fits."""
    line = f"{head}({', '.join(arguments)});"
    if len(line) <= WIDTH:
        return line
    return f"{head}(\n" + "".join(f"  {argument},\n" for argument in arguments) + ");"


def enum_lines(enum: EnumDescriptor, module: str) -> list[str]:
    """An enum: its schema, its constants, its type."""
    name, pure = enum.name, "/*@__PURE__*/"
    head = f"export const {name}Schema: EnumSchema<typeof {module}.{name}> = {pure} enumSchema"
    return [
        call(head, [f'"{name}"', f'"{packed_enum(enum)}"']),
        f"export const {name}: typeof {module}.{name} = {pure} constantsOf({name}Schema);",
        f"export type {name} = {module}.{name};",
        "",
    ]


def message_lines(message: Descriptor, module: str) -> list[str]:
    """A message: its schema and its type."""
    name = message.name
    head = (
        f"export const {name}Schema: MessageSchema<{module}.{name}> = /*@__PURE__*/ messageSchema"
    )
    held = [
        f"{(field.message_type or field.enum_type).name}Schema"
        for field in sorted(message.fields, key=lambda field: field.number)
        if field.message_type or field.enum_type
    ]
    said = name if message.file.package == PACKAGE else message.full_name
    arguments = [f'"{said}"', f'"{" ".join(field_words(message))}"']
    lines = call(head, arguments + ([f"[{', '.join(held)}]"] if held else []))
    return [lines, f"export type {name} = {module}.{name};", ""]


def payload_lines(files: list[FileDescriptor]) -> list[str]:
    """Who sends a payload and how it is delivered: a digit each, by ascending number."""
    pool = files[0].pool
    kind = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("google.protobuf.FieldOptions")
    )
    message_factory.GetMessageClassesForFiles([OPTIONS], pool)
    fields = pool.FindMessageTypeByName(f"{PACKAGE}.Envelope").oneofs_by_name["payload"].fields
    lines: list[str] = []
    for name, comment in [
        ("sender", "Who may send a payload (1 client, 2 server, 3 both), by ascending number."),
        ("delivery", "How it is delivered (1 reliable, 2 lossy), likewise."),
    ]:
        extension = pool.FindExtensionByName(f"{PACKAGE}.{name}")
        digits = ""
        for field in sorted(fields, key=lambda field: field.number):
            options = kind.FromString(field.GetOptions().SerializeToString())
            digits += str(options.Extensions[extension])
        lines += [f"/** {comment} */", f'export const PAYLOAD_{name.upper()} = "{digits}";', ""]
    return lines


def render(proto: Path, package: str) -> str:
    """The whole module of a package."""
    files = read_files(proto, package)
    folder = package.replace(".", "/")
    modules = {file.name: Path(file.name).stem for file in files if file.name != OPTIONS}
    sent = [file for file in files if file.name in modules]
    enums = [
        line
        for file in sent
        for enum in file.enum_types_by_name.values()
        for line in enum_lines(enum, modules[file.name])
    ]
    used = ["constantsOf", "type EnumSchema", "enumSchema"] if enums else []
    used += ["type MessageSchema", "messageSchema"]
    names = f"import {{ {', '.join(used)} }}"
    if enums:
        names = "import {\n" + "".join(f"  {name},\n" for name in used) + "}"
    messages = [m for file in sent for m in file.message_types_by_name.values()]
    if any(message.nested_types or message.enum_types for message in messages):
        raise SchemaError("a message of the package has a type or a map in it")
    lines = [
        f"// Generated by scripts/gen.py from protocol/proto/{folder}; do not edit.",
        f'{names} from "../schema.js";',
        *(f'import type * as {m} from "./{folder}/{m}_pb.js";' for m in modules.values()),
        "",
        *enums,
    ]
    for message in in_order(messages):
        lines += message_lines(message, modules[message.file.name])
    return "\n".join(lines + (payload_lines(files) if package == PACKAGE else []))


if __name__ == "__main__":
    try:
        for package, module in MODULES.items():
            text = render(Path(sys.argv[1]), package)
            (Path(sys.argv[2]) / module).write_text(text, "utf-8", newline="\n")
    except SchemaError as error:
        sys.exit(f"gen_tables: {error}")
