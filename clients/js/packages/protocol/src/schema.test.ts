/** Schemas from strings, with what the generator may write and voxwire.v1 does not have yet. */
import * as es from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { initOf } from "../test/random-messages.js";
import { create, fromBinary, toBinary } from "./codec.js";
import { constantsOf, enumSchema, messageSchema } from "./schema.js";

const KINDS = {
  u: Type.UINT32,
  U: Type.UINT64,
  i: Type.INT32,
  I: Type.INT64,
  b: Type.BOOL,
  d: Type.DOUBLE,
  s: Type.STRING,
  y: Type.BYTES,
};

/** One field of each kind and label; the first two kinds are in a oneof that others stand in. */
const FIELDS = Object.entries(KINDS).flatMap(([kind, type], at) => [
  { kind, type, name: `one_${kind.toLowerCase()}${at}`, number: 1 + at * 20, label: "" },
  { kind, type, name: `may${at}`, number: 2 + at * 20, label: "?" },
  { kind, type, name: `many${at}`, number: 3 + at * 20, label: "*" },
  { kind, type, name: `arm${at}`, number: 4 + at * 20, label: "}" },
]);

const camel = (name: string) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function reference(): es.DescMessage {
  const optional = FIELDS.filter(({ label }) => label === "?");
  const file = es.create(FileDescriptorProtoSchema, {
    name: "every.proto",
    package: "voxwire.v1",
    syntax: "proto3",
    messageType: [
      {
        name: "Every",
        field: FIELDS.map(({ name, number, type, label }) => ({
          name,
          number,
          type,
          label: label === "*" ? Label.REPEATED : Label.OPTIONAL,
          proto3Optional: label === "?",
          ...(label === "}" && { oneofIndex: 0 }),
          ...(label === "?" && {
            oneofIndex: 1 + optional.findIndex((field) => field.name === name),
          }),
        })),
        oneofDecl: [{ name: "choice" }, ...optional.map(({ name }) => ({ name: `_${name}` }))],
      },
    ],
  });
  const message = es.createFileRegistry(file, () => undefined).getMessage("voxwire.v1.Every");
  if (!message) throw new Error("no message");
  return message;
}

test("every kind, optional, repeated and in a oneof with gaps, is what protobuf-es makes of it", () => {
  const words = FIELDS.map(({ kind, name, number, label }) => {
    const word = `${number}${camel(name)}:${kind}${label}`;
    return label === "}" ? `choice:{ ${word}` : word;
  });
  const schema = messageSchema("Every", words.join(" "));
  const desc = reference();
  expect(schema.fields.map(({ name }) => name)).toEqual(
    desc.fields.map((field) => field.localName),
  );
  fc.assert(
    fc.property(initOf(desc), (init) => {
      const theirs = es.create(desc, init);
      expect(create(schema, init as never)).toStrictEqual(theirs);
      const bytes = es.toBinary(desc, theirs);
      expect(toBinary(schema, theirs)).toEqual(bytes);
      expect(fromBinary(schema, bytes)).toStrictEqual(es.fromBinary(desc, bytes));
    }),
    { numRuns: 300 },
  );
});

test("constants count from 0, or from the number in front of them", () => {
  const colours = enumSchema<{ RED: 0; BLUE: 20; GREEN: 21 }>("Colour", "RED 20 BLUE GREEN");
  expect(constantsOf(colours)).toEqual({
    ...{ RED: 0, BLUE: 20, GREEN: 21 },
    ...{ 0: "RED", 20: "BLUE", 21: "GREEN" },
  });
});
