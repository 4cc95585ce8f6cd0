// What `diagnose()` says in Chromium: all well, a microphone that is refused, a server that is gone.
import { launch, makeSite, sleep, startServer } from "./support.mjs";

const site = await makeSite();
const server = await startServer(site.folder);
let failures = 0;

async function diagnosed(name, options, change, expected) {
  const browser = await launch(options);
  try {
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${server.url}/bench/`);
    await page.evaluate(async () => {
      await window.bench.open("websocket", false);
      await window.bench.close();
    });
    await change?.(page);
    const { ok, checks } = await page.evaluate(() => window.bench.client().diagnose());
    const seen = checks.map((one) => `${one.name}:${one.state}`).join(" ");
    const right = expected.every((one) => seen.includes(one)) && ok === !seen.includes("failed");
    failures += right ? 0 : 1;
    console.log(`${right ? "ok  " : "FAIL"} ${name}: ${seen}`);
    for (const { state, detail, code } of checks) {
      if (state === "failed") console.log(`       ${code}: ${detail}`);
    }
  } finally {
    await browser.close();
  }
}

try {
  const fine = ["secure_origin:ok", "microphone:ok", "server:ok", "token:ok", "rtt:ok"];
  await diagnosed("all is well", {}, undefined, fine);
  await diagnosed("no permission", { ui: false }, undefined, ["microphone:failed", "server:ok"]);
  const gone = (page) => page.routeWebSocket(/session/, (socket) => socket.close());
  await diagnosed("refused", {}, gone, ["server:failed", "token:skipped", "microphone:ok"]);
  const dead = async () => {
    await server.stop();
    await sleep(1500);
  };
  await diagnosed("no server", {}, dead, ["server:failed", "token:skipped", "microphone:ok"]);
} finally {
  await server.stop?.();
  await site.remove?.();
}
process.exit(failures ? 1 : 0);
