/** Reading a page's clients from outside. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import type { ClientEventMap } from "../../../packages/client/src/index.js";
import type { Noted } from "./page/page.js";

const UNTIL_MS = 90_000;

export interface Told<K extends keyof ClientEventMap> {
  readonly event: ClientEventMap[K];
  readonly atMs: number;
}

/** Events of one type. */
export function of<K extends keyof ClientEventMap>(events: readonly Noted[], type: K): Told<K>[] {
  return events.filter((one) => one.type === type) as unknown as Told<K>[];
}

/** Everything that a client has told so far, and what was heard of it. */
export function snapshot(page: Page, name: string) {
  return page.evaluate((name) => window.e2e.talk(name).snapshot(), name);
}

/** Waits until something is true in the page. */
export async function until<T>(
  page: Page,
  what: string,
  test: (argument: T) => unknown,
  argument?: T,
  timeout = UNTIL_MS,
): Promise<void> {
  try {
    await page.waitForFunction(test as () => unknown, argument, { timeout, polling: 20 });
  } catch (cause) {
    const talks = await page.evaluate(() =>
      Object.values(window.e2e.talks).map(({ events }) =>
        events.filter(({ type }) => type !== "devices").slice(-12),
      ),
    );
    throw new Error(`never: ${what}; last events ${JSON.stringify(talks)}`, { cause });
  }
}

/** Fails if something was thrown that nobody caught, or the page's policy forbade something. */
export async function noTrouble(page: Page & { foreign?: string[] }): Promise<void> {
  expect(await page.evaluate(() => window.e2e.troubles)).toEqual([]);
  expect(page.foreign ?? []).toEqual([]);
}

/** Nothing of a client is left in the page, at the latest in a moment. */
export async function nothingHeld(page: Page): Promise<void> {
  const nothing = { contexts: 0, tracks: 0, connections: 0, sockets: 0, timers: 0, listeners: 0 };
  await expect
    .poll(() => page.evaluate(() => window.e2e.held()), { timeout: 30_000 })
    .toEqual(nothing);
}
