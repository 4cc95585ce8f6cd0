/** What stands between this client and a conversation, one check after the other. */
import { makeError } from "@voxwire/protocol";
import type { Diagnosis } from "../api.js";
import { type DiagnoseOptions, Run } from "./diagnosis/run.js";
import { Scope } from "./scope.js";

/** Opens a session, without a voice, and ends it again. Never rejects. */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const scope = new Scope(options.env);
  const stop = () => scope.close(options.signal?.reason);
  options.signal?.addEventListener("abort", stop);
  if (options.signal?.aborted) stop();
  const late = () => scope.close(makeError("timeout", "the diagnosis took too long"));
  scope.after(options.timeoutMs, late);
  const run = new Run(scope, options);
  try {
    await run.all();
  } catch (error) {
    run.giveUp(error);
  } finally {
    run.abort();
    options.signal?.removeEventListener("abort", stop);
    scope.close();
  }
  const { checks } = run;
  return { ok: checks.every(({ state }) => state !== "failed"), checks };
}
