/** What an AudioWorkletGlobalScope has (Web Audio API §1.32); TypeScript's DOM library lacks it. */

export interface Processor {
  readonly port: MessagePort;
}

interface WorkletScope {
  readonly sampleRate: number;
  readonly currentFrame: number;
  readonly AudioWorkletProcessor: new () => Processor;
  registerProcessor(name: string, processor: new (options: never) => Processor): void;
}

export const scope = globalThis as unknown as WorkletScope;
