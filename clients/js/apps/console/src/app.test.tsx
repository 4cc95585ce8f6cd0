// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { FakeClient } from "@voxwire/react/testing";
import { StrictMode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { App } from "./app.js";
import type { Settings } from "./settings.js";

let client: FakeClient;

beforeEach(() => {
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("fetch", async () => Response.json({ protocol: "voxwire.v1", bots: ["one"] }));
  client = new FakeClient();
  render(
    <StrictMode>
      <App makeClient={() => client} />
    </StrictMode>,
  );
});
afterEach(() => {
  cleanup();
  localStorage.clear();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const connect = async () => {
  await act(async () => fireEvent.click(screen.getByTestId("connect")));
};
const started = (bot: string, examples: readonly string[] = []) => ({
  sessionId: "s",
  bot,
  server: "x",
  resumed: false,
  examples,
});
const tell = (fn: () => void) =>
  act(async () => {
    fn();
    await Promise.resolve();
  });

test("one press connects; the state and the transport are told", async () => {
  expect(screen.getByTestId("state").dataset.state).toBe("offline");
  expect(screen.getByTestId("transport").dataset.transport).toBe("none");
  await connect();
  expect(client.calls.filter(([name]) => name === "connect")).toHaveLength(1);
  expect(screen.getByTestId("state").dataset.state).toBe("idle");
  await tell(() => client.activity.set({ bot: "speaking", userSpeaking: false, userMuted: false }));
  expect(screen.getByTestId("state").dataset.state).toBe("speaking");
});

test("phrases and text are sent as text that interrupts", async () => {
  await connect();
  await tell(() => client.emit("sessionStarted", started("b", ["tell me a story"])));
  await act(async () => fireEvent.click(await screen.findByTestId("phrase")));
  fireEvent.change(screen.getByTestId("text-input"), { target: { value: " hello " } });
  await act(async () => fireEvent.submit(screen.getByTestId("text-input")));
  expect(client.calls.filter(([name]) => name === "sendText")).toEqual([
    ["sendText", "tell me a story", { interrupt: true }],
    ["sendText", "hello", { interrupt: true }],
  ]);
});

test("the space bar is push-to-talk, but not in the text field", async () => {
  await connect();
  await act(() => client.microphone.setEnabled(false));
  const input = screen.getByTestId("text-input");
  await act(async () => fireEvent.keyDown(input, { code: "Space" }));
  expect(client.microphone.enabled).toBe(false);
  await act(async () => fireEvent.keyDown(document.body, { code: "Space" }));
  expect(client.microphone.enabled).toBe(true);
  await act(async () => fireEvent.keyUp(document.body, { code: "Space" }));
  expect(client.microphone.enabled).toBe(false);
});

const failure = (code: string, reason: string) =>
  Object.assign(new Error(`${code}: ${reason}`), { code }) as never;

test("a lost connection is told, then that nobody answers, what the page does, and until when", async () => {
  await connect();
  const cause = failure("connection_lost", "gone");
  await tell(() => client.setStatus({ status: "reconnecting", attempt: 1, cause }));
  const notice = () => screen.getByTestId("notice-reconnecting").textContent ?? "";
  expect(notice()).toContain("Connection lost");
  await tell(() => client.setStatus({ status: "reconnecting", attempt: 2, cause }));
  expect(notice()).toMatch(/The server does not answer.*attempt 2.*for another (60|59) s/);
  expect(notice()).toContain("make run");
  expect(notice()).not.toContain("waits");
  const changed = { state: "reconnecting", attempt: 2, epoch: 1, afterMs: 0 } as const;
  await tell(() => client.emit("connectionChanged", changed));
  const listed = [...screen.getByTestId("events").querySelectorAll("summary")];
  const away = listed.filter(({ textContent }) => textContent?.includes("reconnecting"));
  expect(away.map(({ textContent }) => textContent?.replace(/^[\d.]+/, ""))).toEqual([
    "statusstatus reconnecting · attempt 1",
    "statusstatus reconnecting · attempt 2",
  ]);
  expect(screen.getByTestId("captions")).toBeTruthy();
});

test("a server that is gone for good is told without a raw code, with what to do next", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
  await connect();
  const error = failure("session_expired", "the connection was lost and not back within 60.0 s");
  await tell(() => client.setStatus({ status: "closed", reason: "expired", error }));
  const notice = screen.getByTestId("notice-failure");
  await vi.waitFor(() => expect(notice.textContent).toContain("Nothing answers at"));
  expect(notice.textContent).toContain("does not answer");
  expect(notice.textContent).toContain("Start again");
  expect(notice.textContent).toContain("not back within 60.0 s");
  expect(notice.textContent).not.toContain("session_expired");
});

test("the bot's name is a name, and whether it is connected is another thing", async () => {
  expect(screen.getByTestId("transport").textContent).toBe("not connected");
  expect(screen.queryByTestId("bot")).toBeNull();
  await connect();
  await tell(() => client.emit("sessionStarted", started("offline")));
  await vi.waitFor(() =>
    expect(screen.getByTestId("bot").textContent).toBe("Bot: offline (built in)"),
  );
});

test("phrases of the last visit begin a session and are said in it", async () => {
  await connect();
  await tell(() => client.emit("sessionStarted", started("b", ["tell me a story"])));
  await screen.findByTestId("phrase");
  cleanup();
  client = new FakeClient();
  render(<App makeClient={() => client} />);
  await act(async () => fireEvent.click(screen.getByTestId("phrase")));
  expect(client.calls.map(([name]) => name)).not.toContain("sendText");
  await tell(() => client.emit("sessionStarted", started("b")));
  await vi.waitFor(() =>
    expect(client.calls).toContainEqual(["sendText", "tell me a story", { interrupt: true }]),
  );
});

test("what was said stays when another transport is chosen for the next session", async () => {
  cleanup();
  const made: FakeClient[] = [];
  const transports: string[] = [];
  const makeClient = ({ transport }: Settings) => {
    transports.push(transport);
    const one = new FakeClient();
    made.push(one);
    return one;
  };
  render(<App makeClient={makeClient} />);
  await connect();
  const [first] = made;
  const turns = [{ id: "1", role: "user", text: "hello", final: true, typed: true } as const];
  await tell(() => first?.conversation.set({ turns, skipped: 0 }));
  await act(async () => first?.disconnect());
  await act(async () => fireEvent.click(screen.getByLabelText("WebSocket")));
  expect(screen.getByTestId("captions").textContent).toContain("hello");
  expect(made).toHaveLength(1);
  await connect();
  expect(transports).toEqual(["auto", "websocket"]);
  expect(made.at(-1)?.calls.map(([name]) => name)).toContain("connect");
});

test("what was not understood is no bubble of the user's words", async () => {
  await connect();
  const turn = (id: string, text: string) =>
    ({ id, role: "user", text, final: true, typed: false }) as const;
  const turns = [turn("1", "(not understood; nearest: hello / goodbye)"), turn("2", "hello")];
  await tell(() => client.conversation.set({ turns, skipped: 0 }));
  const said = [...document.querySelectorAll<HTMLElement>(".said")];
  expect(said.map(({ dataset }) => dataset.understood)).toEqual(["false", "true"]);
});

test("words that were never heard are told to screen readers, in the text and when it ends", async () => {
  await connect();
  const word = (index: number, text: string, state: "heard" | "cut") =>
    ({ index, text, state, startMs: 0, endMs: 0 }) as const;
  const words = [word(0, "Once", "heard"), word(1, "upon", "cut"), word(2, "time", "cut")];
  const utterance = { id: "u", words, text: "Once upon time", end: "interrupted" } as const;
  const turn = { id: "t", role: "bot", utterances: [utterance], toolCalls: [], interrupted: true };
  await tell(() => client.conversation.set({ turns: [turn as never], skipped: 0 }));
  expect(document.querySelector(".spoken")?.textContent).toBe("Once [not heard: upon time]");
  expect(document.querySelector("[aria-live=polite]")?.textContent).toBe(
    "Bot: Once … interrupted: 2 words not heard",
  );
});

test("a conversation that is over is saved as text and as JSON, and its URLs are revoked", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  const saved: Blob[] = [];
  const revoked: string[] = [];
  vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => `blob:${saved.push(blob as Blob)}`);
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockReturnValue(); // it would leave the page
  vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => void revoked.push(url));
  await connect();
  await tell(() => client.emit("sessionStarted", started("offline")));
  const turns = [{ id: "1", role: "user", text: "hello", final: true, typed: true } as const];
  await tell(() => client.conversation.set({ turns, skipped: 0 }));
  expect(screen.queryByTestId("save-text")).toBeNull();
  await act(() => client.disconnect());
  for (const button of ["save-text", "save-json"]) fireEvent.click(screen.getByTestId(button));
  expect(screen.queryByTestId("save-wav")).toBeNull(); // nothing was recorded
  const [text, json] = saved;
  expect(await text?.text()).toContain("You: hello");
  expect(JSON.parse((await json?.text()) ?? "")).toMatchObject({ bot: "offline", turns });
  vi.runAllTimers();
  expect(revoked).toEqual(["blob:1", "blob:2"]);
});

test("a microphone that is not allowed is explained", async () => {
  await connect();
  await tell(() => client.setDevice("microphone", { state: "error", reason: "denied" }));
  expect(screen.getByTestId("notice-microphone").textContent).toContain("not allowed");
});

test("a server that wants a token says how to get one, and takes it", async () => {
  const refused = Object.assign(new Error("unauthorized: no token"), { code: "unauthorized" });
  await tell(() =>
    client.setStatus({ status: "closed", reason: "error", error: refused as never }),
  );
  const notice = screen.getByTestId("notice-token");
  expect(notice.textContent).toContain("POST /v1/tokens");
  fireEvent.change(screen.getByLabelText("Token"), { target: { value: "abc" } });
  await act(async () => fireEvent.click(screen.getByText("Connect")));
});

test("a page that is turned away is told why, and is asked for no token", async () => {
  const why = Object.assign(new Error("forbidden: the origin of this page is not allowed"), {
    code: "forbidden",
  });
  await tell(() => client.setStatus({ status: "closed", reason: "error", error: why as never }));
  expect(screen.queryByTestId("notice-token")).toBeNull();
  expect(screen.getByTestId("notice-failure").textContent).toContain("the origin of this page");
});

test("the cause of a failure is looked for at a press, and told with what to do", async () => {
  const error = failure("timeout", "the server took too long");
  await tell(() => client.setStatus({ status: "closed", reason: "error", error }));
  const check = { name: "server", state: "ok", detail: "it is there", advice: "", durationMs: 1 };
  const bad = { ...check, name: "udp", state: "failed", detail: "no packet", advice: "open UDP" };
  client.diagnosis = { ok: false, checks: [check, bad] as never };
  await act(async () => fireEvent.click(screen.getByTestId("find-cause")));
  const causes = screen.getAllByTestId("cause").map(({ textContent }) => textContent);
  expect(causes).toEqual(["UDP: no packet. Open UDP."]);
  client.diagnosis = { ok: true, checks: [check] as never };
  await act(async () => fireEvent.click(screen.getByTestId("find-cause")));
  expect(screen.queryAllByTestId("cause")).toEqual([]);
  expect(screen.getByTestId("cause-none").textContent).toContain("Nothing is in the way");
});

test("what looks for the cause cannot be loaded from a server that is gone, and may be tried again", async () => {
  const error = failure("timeout", "the server took too long");
  await tell(() => client.setStatus({ status: "closed", reason: "error", error }));
  vi.spyOn(client, "diagnose").mockRejectedValueOnce(new TypeError("no module"));
  const button = screen.getByTestId("find-cause") as HTMLButtonElement;
  await act(async () => fireEvent.click(button));
  expect(screen.getByTestId("cause-unknown").textContent).toContain("does not answer");
  expect(button.disabled).toBe(false);
  await act(async () => fireEvent.click(button));
  expect(screen.queryByTestId("cause-unknown")).toBeNull();
});

test("one of several bots is chosen by name, the first to begin with", async () => {
  cleanup();
  vi.stubGlobal("fetch", async () => Response.json({ protocol: "voxwire.v1", bots: ["a", "b"] }));
  const asked: string[] = [];
  const makeClient = ({ bot }: Settings) => {
    asked.push(bot);
    return new FakeClient();
  };
  render(<App makeClient={makeClient} />);
  await waitFor(() => {
    expect((screen.getByLabelText("a") as HTMLInputElement).checked).toBe(true);
  });
  await act(async () => fireEvent.click(screen.getByLabelText("b")));
  expect(asked.at(-1)).toBe("b");
});

test("a tool call is a card with its arguments and its end", async () => {
  await connect();
  const call = { id: "c", name: "get_weather", own: false, args: { city: "Paris" } } as const;
  const turn = (status: "running" | "done") => ({
    id: "t",
    role: "bot" as const,
    utterances: [],
    interrupted: false,
    toolCalls: [{ ...call, status, ...(status === "done" ? { durationMs: 12 } : {}) }],
  });
  await tell(() => client.conversation.set({ turns: [turn("running")], skipped: 0 }));
  expect(screen.getByTestId("tool-card").dataset.status).toBe("running");
  await tell(() => client.conversation.set({ turns: [turn("done")], skipped: 0 }));
  expect(screen.getByTestId("tool-card").textContent).toContain("Paris");
  expect(screen.getByTestId("tool-card").textContent).toContain("12 ms");
});
