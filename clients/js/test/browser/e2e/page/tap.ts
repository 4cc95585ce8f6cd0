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
  let release = () => {};
  client.status.subscribe(() => {
    const { status } = client.status.get();
    const output = /clos/.test(status) ? undefined : client.output;
    if (output === tapped) return;
    tapped = output;
    release();
    release = tap(output, ([at, peak]) => {
      heard.push([at, peak]);
      behind.push(performance.now() - at * 1000);
    });
  });
  return { heard, behind };
}

/** Taps a node; the returned function ends it, so that the tap keeps nothing alive. */
function tap(output: AudioNode | undefined, note: (peak: [number, number]) => void): () => void {
  let node: AudioWorkletNode | undefined;
  let over = output === undefined;
  const begin = () => {
    if (over || !output) return;
    node = new AudioWorkletNode(output.context, "tap", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }: MessageEvent<[number, number]>) => note(data);
    output.connect(node);
  };
  output?.context.audioWorklet.addModule("tap.worklet.js").then(begin, () => undefined);
  return () => {
    over = true;
    if (node) node.port.onmessage = null;
    node?.port.postMessage("stop");
  };
}
