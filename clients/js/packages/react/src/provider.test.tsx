// @vitest-environment happy-dom
import { act, cleanup, render, screen } from "@testing-library/react";
import { StrictMode } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { FakeClient } from "./testing/index.js";

const made: FakeClient[] = [];
vi.mock("@voxwire/client", () => ({
  createClient: () => {
    const client = new FakeClient();
    made.push(client);
    return client;
  },
}));

const { VoxwireProvider, useConnection, useMicrophone } = await import("./index.js");

const settled = () => act(async () => {});
const connects = (client: FakeClient) => client.calls.filter(([name]) => name === "connect").length;
const sessions = () => made.reduce((sum, client) => sum + connects(client), 0);

afterEach(() => {
  cleanup();
  made.length = 0;
});

function Status() {
  const { status, connect } = useConnection();
  const { live } = useMicrophone();
  return (
    <button type="button" onClick={connect}>
      {status.status} {live ? "on" : "off"}
    </button>
  );
}

test("an own client in StrictMode starts exactly one session and ends it with the provider", async () => {
  const page = (
    <StrictMode>
      <VoxwireProvider options={{ url: "/" }} autoConnect>
        <Status />
      </VoxwireProvider>
    </StrictMode>
  );
  const { unmount } = render(page);
  await settled();
  expect(screen.getByRole("button").textContent).toBe("ready on");
  expect(sessions()).toBe(1);

  unmount();
  await settled();
  const used = made.filter((client) => client.calls.length > 0);
  expect(used).toHaveLength(1);
  expect(used[0]?.calls).toEqual([["connect"], ["disconnect", undefined]]);
  expect(used[0]?.devices.get().microphone.enabled).toBe(false);
  for (const client of made) expect(client.listenerCount).toBe(0);
});

test("mounting, unmounting and mounting again is one session each, never two at a time", async () => {
  const client = new FakeClient();
  const page = (
    <StrictMode>
      <VoxwireProvider client={client} autoConnect>
        <Status />
      </VoxwireProvider>
    </StrictMode>
  );
  const first = render(page);
  await settled();
  first.unmount();
  await settled();
  expect(client.calls.map(([name]) => name)).toEqual(["connect", "disconnect"]);

  client.setStatus({ status: "idle" });
  const second = render(page);
  await settled();
  second.unmount();
  await settled();
  expect(client.calls.map(([name]) => name)).toEqual([
    "connect",
    "disconnect",
    "connect",
    "disconnect",
  ]);
  expect(client.listenerCount).toBe(0);
});

test("a client given with keepSession outlives the provider", async () => {
  const client = new FakeClient();
  const { unmount } = render(
    <VoxwireProvider client={client} keepSession>
      <Status />
    </VoxwireProvider>,
  );
  await act(() => client.connect());
  unmount();
  await settled();
  expect(client.status.get().status).toBe("ready");
});

test("another client prop ends the session of the one before", async () => {
  const [one, two] = [new FakeClient(), new FakeClient()];
  const page = (client: FakeClient) => (
    <VoxwireProvider client={client}>
      <Status />
    </VoxwireProvider>
  );
  const { rerender } = render(page(one));
  await act(() => one.connect());
  rerender(page(two));
  await settled();
  expect(one.status.get().status).toBe("closed");
  expect(screen.getByRole("button").textContent).toBe("idle off");
  expect(one.listenerCount).toBe(0);
});

test("an unmount in the same breath as the mount connects nothing", async () => {
  const client = new FakeClient();
  const { unmount } = render(
    <VoxwireProvider client={client} autoConnect>
      <Status />
    </VoxwireProvider>,
  );
  client.calls.length = 0;
  unmount();
  await settled();
  expect(connects(client)).toBeLessThanOrEqual(1);
  expect(client.devices.get().microphone.enabled).toBe(false);
});

test("a hook outside a provider says what is missing", () => {
  const quiet = vi.spyOn(console, "error").mockImplementation(() => undefined);
  expect(() => render(<Status />)).toThrow("no <VoxwireProvider> above");
  quiet.mockRestore();
});
