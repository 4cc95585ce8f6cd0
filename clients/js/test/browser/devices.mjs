// What a page's devices do in Chromium: capture, off, blocked playback, refusals, nothing left.
import { launch, makeSite, serveFolder, sleep, startServer } from "./support.mjs";

const site = await makeSite();
const server = await startServer(site.folder);
let failures = 0;

function check(name, ok, detail) {
  failures += ok ? 0 : 1;
  console.log(`${ok ? "ok  " : "FAIL"} ${name}${detail === undefined ? "" : `: ${detail}`}`);
}

/** Counts what a page makes, so that what it leaves behind shows. */
const LEDGER = () => {
  const ledger = { contexts: [], peers: [], tracks: [], media: 0 };
  window.ledger = ledger;
  const Context = window.AudioContext;
  window.AudioContext = class extends Context {
    constructor(...args) {
      super(...args);
      ledger.contexts.push(this);
    }
  };
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(...args) {
      super(...args);
      ledger.peers.push(this);
    }
  };
  const { mediaDevices } = navigator;
  const getUserMedia = mediaDevices?.getUserMedia.bind(mediaDevices);
  if (!getUserMedia) return;
  mediaDevices.getUserMedia = async (constraints) => {
    ledger.media += 1;
    const stream = await getUserMedia(constraints);
    ledger.tracks.push(...stream.getTracks());
    return stream;
  };
};

const left = (page) =>
  page.evaluate(() => ({
    contexts: window.ledger.contexts.filter(({ state }) => state !== "closed").length,
    peers: window.ledger.peers.filter(({ signalingState }) => signalingState !== "closed").length,
    tracks: window.ledger.tracks.filter(({ readyState }) => readyState !== "ended").length,
    media: window.ledger.media,
  }));

async function withPage(options, run) {
  const browser = await launch(options);
  const trouble = [];
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.on("pageerror", (error) => trouble.push(String(error)));
    page.on("console", (message) => {
      if (process.env.DETAIL) console.log("page:", message.text());
    });
    await page.addInitScript(LEDGER);
    await page.goto(options.url ?? `${server.url}/bench/`);
    await run(page, context);
  } catch (error) {
    trouble.push(String(error));
  } finally {
    await browser.close();
  }
  check("  nothing unhandled in the page", trouble.length === 0, trouble.join("; "));
}

async function capture(page, transport) {
  await page.evaluate((name) => window.bench.open(name, true), transport);
  await sleep(2500);
  const devices = await page.evaluate(() => window.bench.devices());
  const { state, enabled, selected } = devices.microphone;
  check(`${transport}: microphone`, state === "granted" && enabled, selected?.label);
  const level = await page.evaluate(async () => {
    let most = 0;
    for (let look = 0; look < 30; look += 1) {
      most = Math.max(most, window.bench.levels().microphone);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return most;
  });
  check(`${transport}: level of the microphone`, level > 0.01, level.toFixed(3));
  const sent = await page.evaluate(() => window.bench.sent);
  if (transport === "websocket") {
    check(
      "websocket: blocks of the user's voice",
      sent.blocks > 100 && sent.peak > 500,
      sent.blocks,
    );
  }
  if (transport === "webrtc") {
    const packets = await page.evaluate(async () => {
      let sent = 0;
      const stats = await window.ledger.peers.at(-1).getStats();
      stats.forEach((entry) => {
        if (entry.type === "outbound-rtp") sent += entry.packetsSent;
      });
      return sent;
    });
    check("webrtc: packets of the user's voice", packets > 100, packets);
  }
  await page.evaluate(() => window.bench.client().microphone.setEnabled(false));
  const off = await left(page);
  const before = (await page.evaluate(() => window.bench.sent)).blocks;
  await sleep(400);
  const after = (await page.evaluate(() => window.bench.sent)).blocks;
  check(`${transport}: off means no capture`, off.tracks === 0 && after <= before + 1, off.tracks);
  await page.evaluate(async () => {
    window.release = window.bench.client().microphone.hold();
    await new Promise((resolve) => setTimeout(resolve, 500));
  });
  const held = await left(page);
  await page.evaluate(() => window.release());
  await sleep(200);
  check(`${transport}: push-to-talk`, held.tracks === 1 && (await left(page)).tracks === 0);
  await page.evaluate(() => window.bench.close());
  const { contexts, peers, tracks } = await left(page);
  check(`${transport}: all released`, contexts + peers + tracks === 0, [contexts, peers, tracks]);
}

for (const transport of ["websocket", "webrtc"]) {
  await withPage({}, (page) => capture(page, transport));
}

await withPage({}, async (page) => {
  await page.evaluate(() => window.bench.open("webrtc", false));
  check("microphone: false asks for nothing", (await left(page)).media === 0);
  const at = Date.now();
  const changed = await page.evaluate(async () => {
    const client = window.bench.client();
    const next = client.once("pathChanged", { timeoutMs: 8000 });
    client.simulate.dropMedia();
    return next;
  });
  check(
    "a dead path is replaced",
    changed.pathId === 2,
    `${changed.carrier}, ${Date.now() - at} ms`,
  );
  await page.evaluate(() => window.bench.say("say 3"));
  await sleep(2500);
  const words = await page.evaluate(
    () => window.bench.events.filter(({ type }) => type === "botWord").length,
  );
  check("and carries on", words === 3, words);
  await page.evaluate(() => window.bench.close());
});

await withPage({ autoplay: false, url: `${server.url}/bench/?silent` }, async (page) => {
  await sleep(2500);
  const blocked = await page.evaluate(() => window.bench.blocked());
  check("blocked playback is said", blocked === true);
  await page.evaluate(() => window.bench.say("say 3"));
  await sleep(1500);
  const silent = await page.evaluate(() => window.bench.events.length);
  await page.evaluate(() => {
    document.body.onclick = () => window.bench.client().resumeAudio();
  });
  await page.mouse.click(20, 20);
  await sleep(2500);
  const now = await page.evaluate(() => [
    window.bench.blocked(),
    window.bench.events.filter(({ type }) => type === "botWord").length,
  ]);
  check("and ends with a click", now[0] === false && now[1] === 3, `${silent} events, ${now}`);
  await page.evaluate(() => window.bench.close());
});

await withPage({ ui: false }, async (page) => {
  const error = await page.evaluate(() =>
    window.bench.open("websocket", true).then(
      () => "none",
      ({ code, name, message }) => `${name} ${code} ${message}`,
    ),
  );
  const { microphone } = await page.evaluate(() => window.bench.devices());
  check("a refused microphone is named", /permission_denied/.test(error), error);
  check("  and is a state", microphone.state === "error" && microphone.reason === "denied");
  const { contexts, tracks } = await left(page);
  check("  and leaves nothing", contexts + tracks === 0);
});

// The same page from an origin that is neither https nor this machine.
const plain = await serveFolder(site.folder);
const insecure = {
  url: `http://plain.test:${plain.port}/`,
  flags: ["--host-resolver-rules=MAP plain.test 127.0.0.1"],
};
await withPage(insecure, async (page) => {
  const error = await page.evaluate(() =>
    window.bench.open("websocket", true).then(
      () => "none",
      ({ code, message }) => `${code} ${message}`,
    ),
  );
  const { microphone } = await page.evaluate(() => window.bench.devices());
  check("an insecure origin is named", microphone.reason === "insecure_origin", error);
});
plain.close();

await withPage({}, async (page) => {
  for (let cycle = 0; cycle < 20; cycle += 1) {
    const transport = cycle % 2 ? "webrtc" : "websocket";
    await page.evaluate((name) => window.bench.open(name, true), transport);
    await page.evaluate(() => window.bench.close());
  }
  const { contexts, peers, tracks, media } = await left(page);
  check("20 sessions leave nothing", contexts + peers + tracks === 0, `${media} captures`);
});

server.stop();
site.remove();
process.exit(failures === 0 ? 0 : 1);
