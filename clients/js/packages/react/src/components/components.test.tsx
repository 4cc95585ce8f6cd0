// @vitest-environment happy-dom
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { type ReactNode, StrictMode } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeClient } from "../testing/index.js";

vi.mock("@voxwire/client", () => ({}));
const react = await import("../index.js");

let client: FakeClient;
const show = (children: ReactNode) =>
  render(
    <StrictMode>
      <react.VoxwireProvider client={client}>{children}</react.VoxwireProvider>
    </StrictMode>,
  );
beforeEach(() => {
  client = new FakeClient();
});
afterEach(() => {
  cleanup();
  expect(client.listenerCount).toBe(0);
});

test("MicToggle shows what is wanted: before a session it is on, and a click mutes visibly", async () => {
  show(<react.MicToggle>{(mic) => `${mic.enabled ? "on" : "off"} ${mic.live}`}</react.MicToggle>);
  const button = screen.getByRole("button");
  const shown = () => [button.getAttribute("aria-pressed"), button.textContent];
  expect(shown()).toEqual(["true", "on false"]);
  await act(async () => fireEvent.click(button));
  expect(shown()).toEqual(["false", "off false"]);
  await act(() => client.connect());
  expect([...shown(), client.devices.get().microphone.enabled]).toEqual([
    ...["false", "off false"], // as it was chosen before
    false,
  ]);
  await act(async () => fireEvent.click(button));
  expect(shown()).toEqual(["true", "on true"]);
});

test("MicToggle is off while the microphone cannot be had, and a click tries again", async () => {
  show(<react.MicToggle />);
  await act(() => client.connect());
  act(() => client.setDevice("microphone", { state: "error", reason: "denied", enabled: false }));
  const button = screen.getByRole("button");
  expect([button.getAttribute("aria-pressed"), button.textContent]).toEqual(["false", "Unmute"]);
  const asked = vi.spyOn(client.microphone, "setEnabled");
  await act(async () => fireEvent.click(button));
  expect(asked).toHaveBeenCalledWith(true);
});

test("StartAudio is there only while the browser keeps the page silent", async () => {
  show(<react.StartAudio />);
  expect(screen.queryByRole("button")).toBeNull();
  act(() => client.emit("playbackBlocked", { blocked: true }));
  await act(async () => fireEvent.click(screen.getByRole("button")));
  expect(client.calls).toContainEqual(["resumeAudio"]);
  expect(screen.queryByRole("button")).toBeNull();
});

test("Captions draws every word with its state and announces a turn when it is complete", () => {
  show(<react.Captions />);
  const word = (index: number, text: string, state: "heard" | "cut") => ({
    index,
    text,
    startMs: 0,
    endMs: 1,
    state,
  });
  const turn = (end: "speaking" | "interrupted") => ({
    id: "t",
    role: "bot" as const,
    interrupted: end === "interrupted",
    toolCalls: [],
    utterances: [
      { id: "u", text: "Good day", end, words: [word(0, "Good", "heard"), word(1, "day", "cut")] },
    ],
  });
  act(() => client.conversation.set({ turns: [turn("speaking")], skipped: 0 }));
  const words = screen.getAllByTestId("word");
  expect(words.map((node) => [node.textContent, node.dataset.state])).toEqual([
    ["Good", "heard"],
    ["day", "cut"],
  ]);
  expect(screen.getByRole("status").textContent).toBe("");
  act(() => client.conversation.set({ turns: [turn("interrupted")], skipped: 0 }));
  expect(screen.getByRole("status").textContent).toBe("Bot: Good");
});

test("DeviceSelect lists, names the nameless, and reports what cannot be had", async () => {
  const failures: unknown[] = [];
  show(
    <react.DeviceSelect
      kind="microphone"
      aria-label="Microphone"
      onFailure={(error) => failures.push(error)}
    />,
  );
  const select = screen.getByLabelText<HTMLSelectElement>("Microphone");
  expect(select.disabled).toBe(true);
  const available = [
    { id: "a", label: "" },
    { id: "b", label: "Headset" },
  ];
  act(() => client.setDevice("microphone", { available }));
  expect([...select.options].map((option) => option.text)).toEqual(["microphone 1", "Headset"]);
  await act(async () => fireEvent.change(select, { target: { value: "b" } }));
  expect(client.calls).toContainEqual(["select", "microphone", "b"]);
  client.devices.select = async () => {
    throw new Error("busy");
  };
  await act(async () => fireEvent.change(select, { target: { value: "a" } }));
  expect(failures).toHaveLength(1);
});

test("BotAudio sets the volume and mutes", () => {
  const { rerender } = show(<react.BotAudio volume={0.5} />);
  rerender(
    <react.VoxwireProvider client={client}>
      <react.BotAudio volume={0.5} muted />
    </react.VoxwireProvider>,
  );
  expect(client.calls.at(-1)).toEqual(["setVolume", 0]);
});

test("Visualizer is hidden from screen readers and says what the bot does", () => {
  const { container } = show(<react.Visualizer variant="orb" />);
  act(() => client.activity.set({ bot: "speaking", userSpeaking: false, userMuted: false }));
  const canvas = container.querySelector("canvas");
  expect(canvas?.getAttribute("aria-hidden")).toBe("true");
  expect(canvas?.dataset.state).toBe("speaking");
});
