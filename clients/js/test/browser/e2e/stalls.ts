/** Tests that judge moments get another try, but only on a machine that stalled meanwhile
 * (conftest.py does the same for pytest). */

/** A timer that is later than this is a stall. */
const STALL_MS = 40;
const STEP_MS = 5;
const TRIES = 3;

/** How late this process was woken at worst while `work` ran, milliseconds. */
async function watched(work: () => Promise<void>): Promise<{ worstMs: number; failure?: unknown }> {
  let worstMs = 0;
  let beforeMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    worstMs = Math.max(worstMs, nowMs - beforeMs - STEP_MS);
    beforeMs = nowMs;
  }, STEP_MS);
  try {
    await work();
    return { worstMs };
  } catch (failure) {
    return { worstMs, failure };
  } finally {
    clearInterval(timer);
  }
}

/** Runs a test of moments; a failure on a machine that stalled is printed and tried again. */
export async function timing(name: string, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { worstMs, failure } = await watched(work);
    if (failure === undefined) return;
    if (worstMs <= STALL_MS || attempt === TRIES) throw failure;
    const why = failure instanceof Error ? failure.message.split("\n")[0] : String(failure);
    say(`RETRY ${name}::the machine stalled for ${worstMs.toFixed(0)} ms`);
    say(`E  ${why}`);
  }
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
