/** The timing group: tests that judge moments of real time, in files named `*.timing.test.ts`
 * (conftest.py does the same for pytest). */

const STEP_MS = 5;

/** Runs a test of moments, which says why it has to be one; when it fails, how late this process
 * was woken at worst meanwhile is printed. */
export async function timing(reason: string, work: () => Promise<void>): Promise<void> {
  let worstMs = 0;
  let beforeMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    worstMs = Math.max(worstMs, nowMs - beforeMs - STEP_MS);
    beforeMs = nowMs;
  }, STEP_MS);
  try {
    await work();
  } catch (failure) {
    say(`judges moments: ${reason}; longest stall of the machine: ${worstMs.toFixed(0)} ms`);
    throw failure;
  } finally {
    clearInterval(timer);
  }
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
