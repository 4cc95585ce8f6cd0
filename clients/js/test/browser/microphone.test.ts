/** Which microphone Chromium opens, and what the page hears of one that is dead or forbidden. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FAKE_DEVICE, launch, openPage } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";
import { noTrouble, nothingHeld, until } from "./e2e/talks.js";

let site: Site;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  site = await makeSite();
  server = await Server.start({ folder: site.folder });
  await server.ready();
  // no fake user: Chromium then takes the device that was asked for, as with a real grant
  browser = await launch([FAKE_DEVICE]);
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  site?.remove();
});

async function granted(): Promise<Page & { foreign: string[] }> {
  const page = await openPage(browser, server.url);
  await page.context().grantPermissions(["microphone"], { origin: server.url });
  return page;
}

test("the microphone that was chosen while muted is opened, and again in the next session", async () => {
  const page = await granted();
  const opened = await page.evaluate(async () => {
    const media = { workletUrl: "/page/worklets/" };
    const label = () => client.devices.get().microphone.selected?.label;
    let { client } = window.e2e.make("first", { media }, false);
    await client.connect();
    const { available } = client.devices.get().microphone;
    const second = available.find((device) => device.label.endsWith("2"));
    await client.microphone.setEnabled(false);
    await client.devices.select("microphone", second?.id ?? "");
    await client.microphone.setEnabled(true);
    const labels = [second?.label, label()];
    await client.disconnect();
    client = window.e2e.make("next", { media }, false).client;
    await client.connect();
    labels.push(label());
    await client.disconnect();
    return labels;
  });
  expect(opened[0]).toMatch(/2$/);
  expect(opened).toEqual([opened[0], opened[0], opened[0]]);
  await noTrouble(page);
  await nothingHeld(page);
  await page.close();
});

test("a microphone that gives nothing but zeros is told, and stays in use", async () => {
  const page = await granted();
  await page.evaluate(async () => {
    const { mediaDevices } = navigator;
    mediaDevices.getUserMedia = async () => {
      const context = new AudioContext();
      const { stream } = new MediaStreamAudioDestinationNode(context); // connected to nothing
      const [track] = stream.getAudioTracks();
      const stop = track?.stop.bind(track);
      Object.assign(track ?? {}, { stop: () => void context.close().then(stop) });
      return stream;
    };
    await window.e2e.make("dead", {}, false).connect();
  });
  const silent = () => {
    const { microphone } = window.e2e.talk("dead").client.devices.get();
    return microphone.trouble === "silent" && microphone.enabled;
  };
  await until(page, "the dead microphone was told", silent);
  await page.evaluate(() => window.e2e.talk("dead").client.disconnect());
  await page.close();
});

test("a page whose policy forbids the microphone is told so", async () => {
  const page = await browser.newPage();
  await page.route("**/page/", async (route) => {
    const answer = await route.fetch();
    const headers = { ...answer.headers(), "permissions-policy": "microphone=()" };
    await route.fulfill({ response: answer, headers });
  });
  await page.goto(`${server.url}/page/`);
  await page.waitForFunction(() => window.e2e !== undefined);
  const checks = await page.evaluate(async () => {
    const { client } = window.e2e.make("forbidden", {}, false);
    return (await client.diagnose()).checks;
  });
  const microphone = checks.find(({ name }) => name === "microphone");
  expect(microphone).toMatchObject({ state: "failed", code: "permission_denied" });
  expect(microphone?.detail).toMatch(/Permissions-Policy/);
  await page.close();
});
