/** What tests wait for they wait for as long as a busy machine may need, and not for a second. */
import { vi } from "vitest";

const UNTIL_MS = 60_000;
const LOOK_MS = 10;

type WaitFor = typeof vi.waitFor & { patient?: true };

if (!(vi.waitFor as WaitFor).patient) {
  const waitFor = vi.waitFor;
  const patient: WaitFor = (callback, options = { timeout: UNTIL_MS, interval: LOOK_MS }) =>
    waitFor(callback, options);
  patient.patient = true;
  vi.waitFor = patient;
}

if (typeof document !== "undefined") {
  const { configure } = await import("@testing-library/react");
  configure({ asyncUtilTimeout: UNTIL_MS });
}
