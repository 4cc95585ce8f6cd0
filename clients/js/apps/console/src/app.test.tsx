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
  vi.unstubAllGlobals();
});

const connect = async () => {
  await act(async () => fireEvent.click(screen.getByTestId("connect")));
};
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
  await tell(() => client.activity.set({ bot: "speaking", userSpeaking: false }));
  expect(screen.getByTestId("state").dataset.state).toBe("speaking");
});

test("phrases and text are sent as text that interrupts", async () => {
  await connect();
  await tell(() =>
    client.emit("sessionStarted", {
      sessionId: "s",
      bot: "b",
      server: "x",
      resumed: false,
      examples: ["tell me a story"],
    }),
  );
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

test("a lost connection is told and the conversation stays", async () => {
  await connect();
  const cause = Object.assign(new Error("connection_lost: gone"), { code: "connection_lost" });
  await tell(() => client.setStatus({ status: "reconnecting", attempt: 2, cause: cause as never }));
  expect(screen.getByTestId("notice-reconnecting").textContent).toContain("attempt 2");
  expect(screen.getByTestId("captions")).toBeTruthy();
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
