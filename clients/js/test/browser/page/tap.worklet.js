// Records what goes through the output node: peaks by the millisecond, with the context's time.
// It ends on any message: a processor that goes on keeps its context in memory for ever.
class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.over = false;
    this.port.onmessage = () => {
      this.over = true;
    };
  }

  process(inputs) {
    const samples = inputs[0]?.[0];
    if (!samples) return !this.over;
    const step = Math.round(sampleRate / 1000);
    for (let at = 0; at < samples.length; at += step) {
      let peak = 0;
      let where = at;
      for (let index = at; index < Math.min(samples.length, at + step); index += 1) {
        const size = Math.abs(samples[index]);
        if (size > peak) {
          peak = size;
          where = index;
        }
      }
      if (peak > 0.0005) this.port.postMessage([(currentFrame + where) / sampleRate, peak]);
    }
    return !this.over;
  }
}
registerProcessor("tap", Tap);
