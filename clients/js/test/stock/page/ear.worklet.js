// Notes everything that goes through it, 4000 samples a second, silence included.
const RATE = 4000;
const BLOCK = RATE / 50;

class Ear extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = Math.round(sampleRate / RATE);
    this.sum = 0;
    this.summed = 0;
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
  }

  process([input], [output]) {
    const samples = input?.[0];
    for (let index = 0; index < output[0].length; index += 1) {
      this.sum += samples?.[index] ?? 0;
      this.summed += 1;
      if (this.summed < this.step) continue;
      this.block[this.filled] = this.sum / this.step;
      this.sum = 0;
      this.summed = 0;
      this.filled += 1;
      if (this.filled < BLOCK) continue;
      this.port.postMessage(this.block);
      this.filled = 0;
    }
    return true;
  }
}
registerProcessor("ear", Ear);
