// Looks at the built console in a browser, at the scenes of its demo conversation: nothing overlaps
// or is wider than the screen, nothing moves while words light up, axe finds nothing serious, the
// content-security policy holds, no other host is asked for anything.
// Usage: node checks.mjs; prints one line a check, exits 1 when one failed.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { launch } from "./browser.mjs";
import { serve } from "./serve.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SIZES = [
  { name: "phone", width: 360, height: 740 },
  { name: "tablet", width: 820, height: 1100 },
  { name: "laptop", width: 1280, height: 720 },
];
const VIEWS = ["Talk", "Latency", "Timeline", "Events"];
/** What must not lie on each other, where both are shown. */
const APART = [
  ".header",
  ".brand",
  ".header .facts",
  ".header .icon-button",
  ".views",
  ".orb",
  ".state",
  ".welcome",
  ".transcript",
  ".phrases",
  ".talk-bar",
  ".start-button",
  ".segments",
  ".waterfall",
  ".events",
  ".timeline",
];

let failures = 0;
function report(name, problems) {
  failures += problems.length;
  process.stdout.write(`${problems.length === 0 ? "ok  " : "FAIL"} ${name}\n`);
  for (const problem of problems) process.stdout.write(`       ${problem}\n`);
}

/** A page that keeps an account of errors, foreign requests, and layout shifts. */
async function open(browser, url, size, scheme) {
  const page = await browser.newPage({ viewport: size, colorScheme: scheme });
  const trouble = [];
  page.on("pageerror", (error) => trouble.push(`error: ${error}`));
  page.on("console", (line) => line.type() === "error" && trouble.push(`console: ${line.text()}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) trouble.push(`foreign: ${request.url()}`);
  });
  await page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const sources = entry.sources?.map(({ node }) => node?.className || node?.nodeName) ?? [];
        window.shifts.push({ atMs: entry.startTime, value: entry.value, sources });
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  return { page, trouble };
}

/** What is too wide, or lies on something else. */
const layoutProblems = (page) =>
  page.evaluate((selectors) => {
    const problems = [];
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth)
      problems.push(`scrolls sideways: ${scrollWidth} > ${clientWidth}`);
    const boxes = selectors
      .map((selector) => ({ selector, node: document.querySelector(selector) }))
      .filter(({ node }) => node?.checkVisibility({ checkOpacity: true }))
      .map(({ selector, node }) => ({ selector, node, box: node.getBoundingClientRect() }));
    for (const { selector, box } of boxes) {
      if (box.left < -0.5 || box.right > clientWidth + 0.5) problems.push(`${selector} sticks out`);
    }
    for (const [at, one] of boxes.entries()) {
      for (const two of boxes.slice(at + 1)) {
        if (one.node.contains(two.node) || two.node.contains(one.node)) continue;
        const across =
          Math.min(one.box.right, two.box.right) - Math.max(one.box.left, two.box.left);
        const down = Math.min(one.box.bottom, two.box.bottom) - Math.max(one.box.top, two.box.top);
        if (across > 1 && down > 7) problems.push(`${one.selector} and ${two.selector} overlap`);
      }
    }
    return problems;
  }, APART);

async function axeProblems(page) {
  // Not addScriptTag: the page's own policy forbids that. This is evaluated beside it.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

async function look(browser, url, size, scheme, hold) {
  const { page, trouble } = await open(browser, url, size, scheme);
  await page.goto(hold ? `${url}?hold=${hold}` : url);
  await page.getByTestId("connect").waitFor();
  if (hold) {
    await page.getByTestId("connect").click();
    await page.locator('[data-testid="total"]').waitFor({ state: "attached", timeout: 30_000 });
    await page.waitForTimeout(3500);
  }
  const narrow = size.width <= 900;
  for (const view of narrow ? VIEWS : ["all"]) {
    if (narrow) await page.getByRole("button", { name: view, exact: true }).click();
    await page.waitForTimeout(700);
    const name = `${size.name} ${scheme} ${hold ?? "idle"} ${view}`;
    report(`layout ${name}`, await layoutProblems(page));
    report(`axe ${name}`, await axeProblems(page));
  }
  report(`quiet ${size.name} ${scheme} ${hold ?? "idle"}`, trouble);
  await page.close();
}

/** Words light up: their boxes stay where they are, and the browser counts no shift. */
async function stillness(browser, url) {
  const { page, trouble } = await open(browser, url, SIZES[2], "light");
  await page.goto(url);
  await page.getByTestId("connect").click();
  await page.locator('.word[data-state="heard"]').first().waitFor();
  const problems = await page.evaluate(async () => {
    const found = [];
    const places = new Map();
    const from = performance.now();
    let lit = 0;
    while (performance.now() - from < 3000) {
      await new Promise(requestAnimationFrame);
      for (const [at, word] of [...document.querySelectorAll(".word")].entries()) {
        const { left, top, width } = word.getBoundingClientRect();
        const now = `${left.toFixed(1)} ${top.toFixed(1)} ${width.toFixed(1)}`;
        const before = places.get(at);
        if (before !== undefined && before.now !== now) found.push(`"${word.textContent}" moved`);
        if (before !== undefined && before.state !== word.dataset.state) lit += 1;
        places.set(at, { now, state: word.dataset.state });
      }
    }
    if (lit < 3) found.push(`only ${lit} words lit up`);
    const shifts = window.shifts.filter(({ atMs }) => atMs > from);
    for (const { value, sources } of shifts) found.push(`shift ${value.toFixed(4)}: ${sources}`);
    return found;
  });
  report("nothing moves while words light up", [...problems, ...trouble]);
  await page.close();
}

await build({ root, mode: "demo", logLevel: "warn", configFile: join(root, "vite.config.ts") });
const server = await serve(join(root, "dist/demo"));
const browser = await launch();
try {
  await Promise.all([
    look(browser, server.url, SIZES[0], "light", undefined),
    look(browser, server.url, SIZES[0], "dark", "speaking"),
    look(browser, server.url, SIZES[1], "light", "speaking"),
    look(browser, server.url, SIZES[2], "dark", "speaking"),
    look(browser, server.url, SIZES[2], "light", undefined),
    look(browser, server.url, { name: "low", width: 1100, height: 620 }, "light", undefined),
  ]);
  await stillness(browser, server.url);
} finally {
  await browser.close();
  server.close();
}
process.stdout.write(failures === 0 ? "all checks passed\n" : `${failures} problems\n`);
process.exitCode = failures === 0 ? 0 : 1;
