/** The READMEs' programs in a page, as they are written, against the offline bot: Vite serves each
 * one from its README. tests/integration/test_readme_programs.py checks their types. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { createServer, type Plugin, type ViteDevServer } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch } from "../../apps/console/scripts/browser.mjs";
import { type OfflineServer, root, startOffline } from "./offline-server.js";

const READMES = [
  "README.md",
  "clients/js/packages/client/README.md",
  "clients/js/packages/protocol/README.md",
  "clients/js/packages/react/README.md",
];
/** What the programs find in their page. */
const BODY = `<div id="root"></div><button id="talk"></button><button></button><button></button>
<p id="words"></p><p></p><input type="file" />`;
const WAIT = { timeout: 90_000 };

interface Program {
  readonly readme: string;
  readonly code: string;
  readonly language: string;
}

const programs = READMES.flatMap((readme) => {
  const text = readFileSync(join(root, readme), "utf8");
  const marked = text.matchAll(/^<!-- program in a page -->\n```(\w+)\n(.*?)^```/gms);
  return [...marked].map(([, language = "", code = ""]): Program => ({ readme, code, language }));
});

/** Shows the component that a program exports. */
const mount = (number: string) => `import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { App } from "/readme-${number}.tsx";
createRoot(document.querySelector("#root")).render(createElement(App));`;

/** Pages `/0`, `/1`, … with a program each. */
const pages: Plugin = {
  name: "readmes",
  resolveId(id) {
    const [name] = /\/(readme|main)-\d+\.tsx?$/.exec(id) ?? [];
    return name ? join(root, "examples/react-app", name) : null;
  },
  load(id) {
    const [, kind, number] = /\/(readme|main)-(\d+)\.tsx?$/.exec(id) ?? [];
    if (number === undefined) return null;
    return kind === "main" ? mount(number) : programs[Number(number)]?.code;
  },
  configureServer(server) {
    server.middlewares.use(async (request, response, next) => {
      const [, number] = /^\/(\d+)$/.exec(request.url ?? "") ?? [];
      if (number === undefined) return next();
      const { code = "", language = "" } = programs[Number(number)] ?? {};
      const exported = code.includes("export const App");
      const source = exported ? `/main-${number}.ts` : `/readme-${number}.${language}`;
      const html = `<!doctype html><html lang="en"><head><link rel="icon" href="data:," /></head>
        <body>${BODY}<script type="module" src="${source}"></script></body></html>`;
      response.setHeader("Content-Type", "text/html");
      response.end(await server.transformIndexHtml(request.url ?? "", html));
    });
  },
};

let server: OfflineServer;
let vite: ViteDevServer;
let browser: Browser;

beforeAll(async () => {
  server = await startOffline();
  process.env.VOXWIRE_SERVER = server.url;
  vite = await createServer({
    root: join(root, "examples/react-app"), // its plugins, and its proxy to the server
    plugins: [pages],
    cacheDir: join(root, "node_modules/.vite-readmes"),
    optimizeDeps: { include: ["react", "react-dom/client", "react/jsx-dev-runtime", "zod"] },
    logLevel: "warn",
    server: { port: 0, host: "127.0.0.1" },
  });
  await vite.listen();
  browser = await launch("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");
});

afterAll(async () => {
  await browser?.close();
  await vite?.close();
  server?.stop();
});

async function open(which: (program: Program) => boolean): Promise<Page & { trouble: string[] }> {
  const found = programs.findIndex(which);
  expect(found, "the README has no such program").toBeGreaterThanOrEqual(0);
  const page = Object.assign(await browser.newPage(), { trouble: [] as string[] });
  page.on("pageerror", (error) => page.trouble.push(String(error)));
  const [url = ""] = vite.resolvedUrls?.local ?? [];
  await page.goto(`${url}${found}`);
  return page;
}

const of = (readme: string, word: string) => (program: Program) =>
  program.readme === readme && program.code.includes(word);

test("every program in a page has its test here", () => {
  const names = programs.map(({ readme, language }) => `${readme} ${language}`);
  expect(names).toEqual([
    "README.md ts",
    "README.md tsx",
    "clients/js/packages/client/README.md ts",
    "clients/js/packages/client/README.md ts",
    "clients/js/packages/client/README.md ts",
    "clients/js/packages/react/README.md tsx",
  ]);
});

test("the client of README.md shows the words that are heard", async () => {
  const page = await open(of("README.md", "createClient"));
  await page.locator("#talk").click();
  await page.locator("#words").getByText("Hello, I am").waitFor(WAIT);
  expect(page.trouble).toEqual([]);
  await page.close();
});

test.each(["README.md", "clients/js/packages/react/README.md"])(
  "the React app of %s talks and hangs up",
  async (readme) => {
    const page = await open(of(readme, "VoxwireProvider"));
    await page.getByText("Talk", { exact: true }).click();
    await page.locator('[data-state="heard"]').first().waitFor(WAIT);
    await page.getByText("Hang up").click();
    await page.getByText("Talk", { exact: true }).waitFor(WAIT);
    expect(page.trouble).toEqual([]);
    await page.close();
  },
);

test("the page of the client's README shows its state, talks and stops", async () => {
  const page = await open(of("clients/js/packages/client/README.md", "playbackBlocked"));
  const [talk, stop] = [page.locator("button").nth(0), page.locator("button").nth(1)];
  await talk.click();
  await page.locator("p").nth(1).getByText("bot: Hello,").waitFor(WAIT);
  await page.locator("p").nth(0).getByText("ready").waitFor(WAIT);
  await stop.click();
  await page.locator("p").nth(0).getByText("closed").waitFor(WAIT);
  expect(page.trouble).toEqual([]);
  await page.close();
});

test("the tool of the client's README runs in the page", async () => {
  const page = await open(of("clients/js/packages/client/README.md", "showOnMap"));
  await page.waitForFunction(() => document.title === "Paris", undefined, WAIT);
  expect(page.trouble).toEqual([]);
  await page.close();
});

test("the file of the client's README reaches the bot, which says what it got", async () => {
  const page = await open(of("clients/js/packages/client/README.md", "sendFile"));
  const input = page.locator("input[accept*='image/*']");
  await page.locator("#talk").click();
  await input.waitFor({ ...WAIT, state: "attached" });
  await page.locator("#words").getByText("Hello").waitFor(WAIT);
  const buffer = Buffer.alloc(1_234_567, "voxwire");
  await input.setInputFiles({ name: "cat.png", mimeType: "image/png", buffer });
  await page.locator("#words").getByText("cat.png, an image of 1 megabyte").waitFor(WAIT);
  expect(await input.getAttribute("title")).toMatch(/^\d+ of 1234567$/);
  expect(page.trouble).toEqual([]);
  await page.close();
});
