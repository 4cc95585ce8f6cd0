// @vitest-environment happy-dom
/** The test that README.md shows. */
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { useBotState, VoxwireProvider } from "../src/index.js";
import { FakeClient } from "../src/testing/index.js";

const Talk = () => <p>the bot is {useBotState().bot}</p>;

afterEach(cleanup);

test("a component shows what a fake client says", () => {
  const client = new FakeClient();
  render(
    <VoxwireProvider client={client}>
      <Talk />
    </VoxwireProvider>,
  );
  act(() => client.activity.set({ bot: "speaking", userSpeaking: false, userMuted: false }));
  expect(screen.getByText("the bot is speaking")).toBeTruthy();
});
