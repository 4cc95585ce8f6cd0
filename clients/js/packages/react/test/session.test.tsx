// @vitest-environment happy-dom
import { act, cleanup, render, screen } from "@testing-library/react";
import { type ClientOptions, createClient } from "@voxwire/client";
import { FakeServer, fakeMedia, VirtualTime } from "@voxwire/client/testing";
import { StrictMode, useState } from "react";
import { afterEach, expect, test } from "vitest";
import { Captions, useConnection, useVoxwire, VoxwireProvider } from "../src/index.js";

afterEach(cleanup);

function world() {
  const clock = new VirtualTime();
  const server = new FakeServer({
    clock,
    bot: { onText: (_text, session) => session.say("you said that") },
  });
  const media = fakeMedia({ clock });
  const made: number[] = [];
  const options: ClientOptions = {
    url: "/",
    environment: server.environment,
    media: () => {
      made.push(1);
      return media;
    },
  };
  const pass = (ms: number) => act(() => clock.advance(ms));
  const left = () => ({
    sessions: server.sessions.filter(({ over }) => !over).length,
    sockets: server.network.open.size,
    media: media.started,
    paths: media.paths.size,
  });
  return { server, media, options, pass, left };
}

const NOTHING = { sessions: 0, sockets: 0, media: 0, paths: 0 };

function Page() {
  const { status } = useConnection();
  const client = useVoxwire();
  return (
    <>
      <button type="button" onClick={() => client.sendText("hello")}>
        {status.status}
      </button>
      <Captions data-testid="captions" />
    </>
  );
}

test("StrictMode on the real client: one session, and nothing is left after the unmount", async () => {
  const { server, options, pass, left } = world();
  const { unmount } = render(
    <StrictMode>
      <VoxwireProvider options={options} autoConnect>
        <Page />
      </VoxwireProvider>
    </StrictMode>,
  );
  await pass(3000);
  expect(screen.getByRole("button").textContent).toBe("ready");
  expect(server.hellos).toHaveLength(1);
  expect(left()).toMatchObject({ sessions: 1, sockets: 1, media: 1 });

  await act(async () => screen.getByRole("button").click());
  await pass(3000);
  const words = screen.getAllByTestId("word").map((word) => [word.textContent, word.dataset.state]);
  expect(words.slice(-3)).toEqual([
    ["you", "heard"],
    ["said", "heard"],
    ["that", "heard"],
  ]);

  unmount();
  await pass(5000);
  expect(server.sessions).toHaveLength(1);
  expect(left()).toEqual(NOTHING);
});

function Queue() {
  const { status } = useConnection();
  const place = status.status === "connecting" ? status.waiting : undefined;
  if (!place) return null;
  const minutes = Math.ceil(place.estimatedMs / 60_000); // 0 = not known
  const about = minutes > 0 ? `, about ${minutes} min` : "";
  return <output>{`Number ${place.position} in the queue${about}`}</output>;
}

test("a place in the queue is shown, follows each change, and is gone with the wait", async () => {
  const { server, options, pass } = world();
  server.place = { position: 2, estimatedMs: 0 };
  const { unmount } = render(
    <VoxwireProvider options={options} autoConnect>
      <Queue />
      <Page />
    </VoxwireProvider>,
  );
  const shown = () => screen.queryByText(/in the queue/)?.textContent;
  await pass(100);
  expect(shown()).toBe("Number 2 in the queue");
  server.tell({ position: 2, estimatedMs: 90_000 });
  await pass(100);
  expect(shown()).toBe("Number 2 in the queue, about 2 min");
  server.tell({ position: 1, estimatedMs: 45_000 });
  await pass(100);
  expect(shown()).toBe("Number 1 in the queue, about 1 min");
  server.letIn();
  await pass(3000);
  expect(shown()).toBeUndefined();
  expect(screen.getByRole("button").textContent).toBe("ready");
  unmount();
  await pass(5000);
});

test.each([0, 1, 5, 20, 60])("an unmount %i ms into connecting leaves nothing", async (ms) => {
  const { server, options, pass, left } = world();
  const { unmount } = render(
    <StrictMode>
      <VoxwireProvider options={options} autoConnect>
        <Page />
      </VoxwireProvider>
    </StrictMode>,
  );
  await pass(ms);
  unmount();
  await pass(20_000);
  expect(server.sessions.length).toBeLessThanOrEqual(1);
  // A session whose Welcome was not read yet is the server's to end, when its grace is over.
  expect({ ...left(), sessions: 0 }).toEqual(NOTHING);
});

function Keyed({ options }: { readonly options: ClientOptions }) {
  const [key, setKey] = useState("one");
  return (
    <>
      <VoxwireProvider key={key} options={options} autoConnect>
        <Page />
      </VoxwireProvider>
      <button type="button" onClick={() => setKey("two")}>
        other
      </button>
    </>
  );
}

test("another key is another session; the first one is over", async () => {
  const { server, options, pass, left } = world();
  const { unmount } = render(<Keyed options={options} />);
  await pass(3000);
  await act(async () => screen.getByText("other").click());
  await pass(3000);
  expect(server.sessions).toHaveLength(2);
  expect(left()).toMatchObject({ sessions: 1, sockets: 1 });
  unmount();
  await pass(5000);
  expect(left()).toEqual(NOTHING);
});

test("a given client survives with keepSession and ends by its own disconnect", async () => {
  const { options, pass, left } = world();
  const client = createClient(options);
  const page = (
    <VoxwireProvider client={client} keepSession autoConnect>
      <Page />
    </VoxwireProvider>
  );
  const first = render(page);
  await pass(3000);
  first.unmount();
  await pass(3000);
  expect(left()).toMatchObject({ sessions: 1 });
  render(page);
  await pass(1000);
  expect(screen.getByRole("button").textContent).toBe("ready");
  await act(async () => {
    void client.disconnect();
  });
  await pass(5000);
  expect(left()).toEqual(NOTHING);
});
