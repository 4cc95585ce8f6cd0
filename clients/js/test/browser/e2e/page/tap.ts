/** Taps what a page hears of a client: peaks by the millisecond. */
import type { Client } from "../../../../packages/client/src/index.js";

export interface Sound {
  /** Context time of a peak (seconds) and its size (0 … 1). */
  readonly heard: [number, number][];
  /** `performance.now()` when a peak was told, less its context time, milliseconds. */
  readonly behind: number[];
}

/** Follows the client's output through its sessions. */
export function tapOutput(client: Client): Sound {
  const heard: [number, number][] = [];
  const behind: number[] = [];
  let tapped: AudioNode | undefined;
  client.status.subscribe(() => {
    const { output } = client;
    if (!output || output === tapped) return;
    tapped = output;
    void connect(output, ([at, peak]) => {
      heard.push([at, peak]);
      behind.push(performance.now() - at * 1000);
    });
  });
  return { heard, behind };
}

async function connect(output: AudioNode, note: (peak: [number, number]) => void): Promise<void> {
  await output.context.audioWorklet.addModule("tap.worklet.js").catch(() => undefined);
  if (output.context.state === "closed") return;
  const node = new AudioWorkletNode(output.context, "tap", { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }: MessageEvent<[number, number]>) => note(data);
  output.connect(node);
}
