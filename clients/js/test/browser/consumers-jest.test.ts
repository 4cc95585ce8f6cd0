/** Tests of apps that run in Jest: the packages' README is followed (clients/js/test/consumers/jest). */
import { join } from "node:path";
import { beforeAll, describe, test } from "vitest";
import { CONSUMERS, INSTALLED, installPackages, makeApp, run } from "./e2e/consumers.js";
import { ROOT } from "./e2e/folders.js";

const source = join(CONSUMERS, "jest");

describe.skipIf(!INSTALLED)("Jest finds and runs @voxwire/client/testing", () => {
  beforeAll(installPackages);

  test.each(["node", "jsdom"])("with Babel, in its environment %s", (environment) => {
    const folder = makeApp("jest", source);
    run("jest", ["--config", "jest.config.cjs", "--env", environment], folder);
  });

  test("with next/jest", () => {
    const folder = makeApp("next-jest", join(ROOT, "examples/next-app"), source);
    run("jest", ["--config", "jest.next.cjs"], folder);
  });

  test("as ES modules, without any transformation", () => {
    const folder = makeApp("jest", source);
    const env = { NODE_OPTIONS: "--experimental-vm-modules" };
    run("jest", ["--config", JSON.stringify({ transform: {} }), "--rootDir", "."], folder, env);
  });
});
