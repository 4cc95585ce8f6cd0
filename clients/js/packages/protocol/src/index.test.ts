/** What the package gives away is said name by name. */
import { expect, test } from "vitest";
import { readRepo } from "../test/support.js";
import * as protocol from "./index.js";

const SOURCE = readRepo("clients/js/packages/protocol/src/index.ts");

test("only the wire is exported as a whole, under its own name", () => {
  expect(SOURCE.match(/^export \*.*$/gm)).toEqual(['export * as wire from "./wire.js";']);
});

test("names are listed once", () => {
  const names = [...SOURCE.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list = ""]) =>
    list.split(",").map((name) => name.replace("type ", "").trim()),
  );
  const given = names.filter((name) => name !== "");
  expect(given).toEqual([...new Set(given)]);
  expect(given).toEqual(
    expect.arrayContaining(Object.keys(protocol).filter((key) => key !== "wire")),
  );
});

test("what goes over the wire is the same as in Python", () => {
  const python = readRepo("protocol/python/src/voxwire_protocol/wire.py");
  const [, list = ""] = /^__all__ = \[([^\]]*)\]/m.exec(python) ?? [];
  const names = [...list.matchAll(/"(\w+)"/g)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(70);
  const given = Object.keys(protocol.wire);
  const missing = names.filter((name) => !given.includes(name) && !given.includes(`${name}Schema`));
  expect(missing).toEqual([]);
});
