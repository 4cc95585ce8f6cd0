// @vitest-environment happy-dom

import { act, cleanup, renderHook } from "@testing-library/react";
import type { LoggedTurn, Tool } from "@voxwire/client";
import { type ReactNode, StrictMode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeClient } from "../testing/index.js";

vi.mock("@voxwire/client", () => ({}));
const react = await import("../index.js");

let client: FakeClient;
const wrapper = ({ children }: { children: ReactNode }) => (
  <StrictMode>
    <react.VoxwireProvider client={client}>{children}</react.VoxwireProvider>
  </StrictMode>
);
beforeEach(() => {
  client = new FakeClient();
});
afterEach(() => {
  cleanup();
  expect(client.listenerCount).toBe(0);
});

const bot = (
  state: "speaking" | "completed",
  words: ("unheard" | "heard" | "cut")[],
): LoggedTurn => ({
  id: "t1",
  role: "bot",
  interrupted: false,
  toolCalls: [],
  utterances: [
    {
      id: "u1",
      text: "Well, hello there!",
      end: state,
      words: ["Well", "hello", "there"].map((text, index) => ({
        index,
        text,
        startMs: index * 100,
        endMs: index * 100 + 90,
        state: words[index] ?? "unheard",
      })),
    },
  ],
});

test("useConnection tells the status and keeps what went wrong", async () => {
  const { result } = renderHook(() => react.useConnection(), { wrapper });
  expect(result.current).toMatchObject({ isReady: false, isBusy: false, error: undefined });
  const refused = Object.assign(new Error("full"), { code: "CAPACITY" });
  client.connect = async () => {
    throw refused;
  };
  await act(() => result.current.connect());
  expect(result.current.error).toBe(refused);
  act(() => client.setStatus({ status: "connecting", stage: "dialling" }));
  expect(result.current).toMatchObject({ isBusy: true, error: undefined });
  act(() => client.setStatus({ status: "ready", sessionId: "s", bot: "b" }));
  expect(result.current).toMatchObject({ isReady: true, isBusy: false });
  act(() => client.setStatus({ status: "closed", reason: "server" }));
});

test("connecting twice at once asks the client once", async () => {
  const { result } = renderHook(() => react.useConnection(), { wrapper });
  await act(() => Promise.all([result.current.connect(), result.current.connect()]));
  expect(client.calls.filter(([name]) => name === "connect")).toHaveLength(1);
});

test("useBotState, useQuality and useConversation follow their Readables", () => {
  const all = () => ({
    state: react.useBotState(),
    quality: react.useQuality(),
    conversation: react.useConversation(),
  });
  const { result } = renderHook(all, { wrapper });
  act(() => client.activity.set({ bot: "thinking", userSpeaking: false, userMuted: false }));
  expect(result.current.state.bot).toBe("thinking");
  expect(result.current.quality).toBeUndefined();
  const conversation = { turns: [bot("speaking", [])], skipped: 0 };
  act(() => client.conversation.set(conversation));
  expect(result.current.conversation).toBe(conversation);
});

test("useCaptions gives words with their state, and keeps punctuation with its word", () => {
  const { result } = renderHook(() => react.useCaptions(), { wrapper });
  act(() => client.conversation.set({ turns: [bot("speaking", ["heard", "cut"])], skipped: 0 }));
  const [line] = result.current;
  expect(line?.words.map(({ gap, text, state }) => [gap, text, state])).toEqual([
    ["", "Well,", "heard"],
    [" ", "hello", "cut"],
    [" ", "there!", "unheard"],
  ]);
  expect(line).toMatchObject({ final: false, role: "bot", text: "Well, hello there!" });
});

test("a word that is heard does not change the others' keys or text", () => {
  const { result } = renderHook(() => react.useCaptions(), { wrapper });
  act(() => client.conversation.set({ turns: [bot("speaking", [])], skipped: 0 }));
  const before = result.current[0]?.words.map(({ key, text, gap }) => ({ key, text, gap }));
  act(() => client.conversation.set({ turns: [bot("completed", ["heard", "heard"])], skipped: 0 }));
  expect(result.current[0]?.words.map(({ key, text, gap }) => ({ key, text, gap }))).toEqual(
    before,
  );
});

test("useFeatures tells what the other end can do, as it becomes known", () => {
  const { result } = renderHook(() => react.useFeatures(), { wrapper });
  expect(result.current.has("interrupt")).toBe(false);
  act(() => client.features.set(new Set(["interrupt", "reconnect"])));
  expect([...result.current]).toEqual(["interrupt", "reconnect"]);
});

test("useMicrophone toggles, and holds for push-to-talk", async () => {
  const { result } = renderHook(() => react.useMicrophone(), { wrapper });
  await act(() => result.current.toggle());
  expect(result.current.enabled).toBe(false);
  let release = () => {};
  act(() => {
    release = result.current.hold();
  });
  expect(result.current.enabled).toBe(true);
  act(() => release());
  expect(result.current.enabled).toBe(false);
});

test("useDevices selects", async () => {
  const { result } = renderHook(() => react.useDevices(), { wrapper });
  const available = [
    { id: "a", label: "Built-in" },
    { id: "b", label: "Headset" },
  ];
  act(() => client.setDevice("microphone", { state: "granted", available }));
  await act(() => result.current.select("microphone", "b"));
  expect(result.current.microphone.selected?.label).toBe("Headset");
});

test("useAudioLevel looks at intervals and does not render in silence", () => {
  vi.useFakeTimers();
  let renders = 0;
  const { result, unmount } = renderHook(
    () => {
      renders += 1;
      return react.useAudioLevel("bot");
    },
    { wrapper },
  );
  const silent = renders;
  act(() => vi.advanceTimersByTime(500));
  expect(renders).toBe(silent);
  client.level = { microphone: 0, bot: 0.5 };
  act(() => vi.advanceTimersByTime(50));
  expect(result.current).toBe(0.5);
  unmount();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("useVoxwireEvent calls the listener of the last render", () => {
  const seen: string[] = [];
  const { rerender } = renderHook(
    ({ name }) => react.useVoxwireEvent("playbackBlocked", () => seen.push(name)),
    { wrapper, initialProps: { name: "first" } },
  );
  rerender({ name: "second" });
  act(() => client.emit("playbackBlocked", { blocked: true }));
  expect(seen).toEqual(["second"]);
});

test("useTool offers a tool once, runs the last render's function, and takes it away", async () => {
  const toolOf = (answer: number): Tool => ({
    name: "count",
    description: "counts",
    parameters: { type: "object" },
    run: () => answer,
  });
  const { rerender, unmount } = renderHook(({ n }) => react.useTool(toolOf(n)), {
    wrapper,
    initialProps: { n: 1 },
  });
  const offered = client.tools.get("count");
  rerender({ n: 2 });
  expect(client.tools.get("count")).toBe(offered);
  expect(offered?.run({} as never, {} as never)).toBe(2);
  unmount();
  expect(client.tools.size).toBe(0);
});

test("useFiles tells what the bot takes and how far a file is", async () => {
  const { result } = renderHook(() => react.useFiles(), { wrapper });
  expect(result.current).toMatchObject({ accepts: undefined, sending: [] });
  act(() => client.accepts.set({ types: ["image/*"], maxBytes: 100 }));
  expect(result.current.accepts?.types.join()).toBe("image/*");
  let arrive = () => {};
  let progress: (takenBytes: number, bytes: number) => void = () => {};
  client.onSendFile = (_, options) => {
    progress = options.onProgress ?? progress;
    return new Promise((resolve) => {
      arrive = resolve;
    });
  };
  let sent: Promise<boolean> | undefined;
  act(() => {
    sent = result.current.send(new File(["12345"], "a.png", { type: "image/png" }), { text: "?" });
  });
  expect(result.current.sending).toMatchObject([{ name: "a.png", size: 5, takenBytes: 0 }]);
  act(() => progress(3, 5));
  act(() => progress(4, 5));
  expect(result.current.sending).toMatchObject([{ name: "a.png", takenBytes: 4 }]);
  await act(async () => {
    arrive();
    expect(await sent).toBe(true);
  });
  expect(result.current).toMatchObject({ sending: [], error: undefined });
  expect(client.calls[0]?.slice(0, 3)).toEqual(["sendFile", "a.png", "image/png"]);
});

test("useFiles keeps why a file was refused, and not that it was given up", async () => {
  const { result } = renderHook(() => react.useFiles(), { wrapper });
  const file = new File(["1"], "a.bin");
  const refused = new Error("too large");
  client.onSendFile = () => Promise.reject(refused);
  await act(async () => expect(await result.current.send(file)).toBe(false));
  expect(result.current).toMatchObject({ sending: [], error: refused });
  client.onSendFile = (_, { signal }) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  let sent: Promise<boolean> | undefined;
  act(() => {
    sent = result.current.send(file);
  });
  await act(async () => {
    result.current.sending[0]?.cancel();
    expect(await sent).toBe(false);
  });
  expect(result.current).toMatchObject({ sending: [], error: undefined });
});

test.each(["unmounts", "gets another client"])(
  "useFiles gives up what is on its way when it %s",
  async (how) => {
    const { result, rerender, unmount } = renderHook(() => react.useFiles(), { wrapper });
    const signals: AbortSignal[] = [];
    client.onSendFile = (_, { signal }) =>
      new Promise((_resolve, reject) => {
        if (!signal) return;
        signals.push(signal);
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    const { send } = result.current;
    let sent: Promise<boolean> | undefined;
    act(() => {
      sent = send(new File(["1"], "a.bin"));
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await act(async () => {
      if (how === "unmounts") {
        unmount();
      } else {
        client = new FakeClient();
        rerender();
      }
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(await sent).toBe(false);
    if (how !== "unmounts") expect(result.current).toMatchObject({ sending: [], error: undefined });
  },
);

test("useFiles sends nothing for a component that is gone", async () => {
  const { result, unmount } = renderHook(() => react.useFiles(), { wrapper });
  client.onSendFile = (_, { signal }) => signal?.throwIfAborted();
  const { send } = result.current;
  unmount();
  expect(await send(new File(["1"], "a.bin"))).toBe(false);
});
