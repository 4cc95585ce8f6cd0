/** The golden cases of protocol/vectors (see its README). */
import { readdirSync, readFileSync } from "node:fs";

const VECTORS = new URL("../../../../../protocol/vectors/", import.meta.url);

/** Every case of a folder, `[name, case]` by name; names with another ending are an error. */
export function readVectors<Case>(folder: string): [string, Case][] {
  const directory = new URL(`${folder}/`, VECTORS);
  return readdirSync(directory)
    .sort()
    .map((file) => {
      if (!file.endsWith(".json")) throw new Error(`${folder}/${file} is not read`);
      return [file.slice(0, -5), JSON.parse(readFileSync(new URL(file, directory), "utf8"))];
    });
}

/** The cases of one kind. */
export function ofKind<Case extends { readonly kind: string }, Kind extends Case["kind"]>(
  cases: readonly [string, Case][],
  kind: Kind,
): [string, Extract<Case, { kind: Kind }>][] {
  return cases.filter((each): each is [string, Extract<Case, { kind: Kind }>] => {
    return each[1].kind === kind;
  });
}
