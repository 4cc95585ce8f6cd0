import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

test("the types accept and refuse what types.test-d.ts says", { timeout: 60_000 }, () => {
  const tsc = here("../../../../../node_modules/typescript/bin/tsc");
  const args = [tsc, "-p", here("../tsconfig.types.json")];
  let said = "";
  try {
    execFileSync(process.execPath, args, { encoding: "utf8" });
  } catch (error) {
    said = (error as { stdout: string }).stdout;
  }
  expect(said).toBe("");
});
