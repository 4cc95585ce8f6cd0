// Takes what goes by, 16 bits a sample, for the file that can be saved: the microphone (input 0) on
// the left, what the page plays (input 1) on the right. A file of its own: the page's policy allows
// no other worklets.
class Recording extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.factor = processorOptions.factor;
    this.block = new Int16Array(processorOptions.blockFrames * 2);
    this.frames = 0;
    this.sums = [0, 0];
    this.summed = 0;
    this.over = false;
    this.port.onmessage = () => {
      this.over = true;
    };
  }

  process([microphone, bot]) {
    const [left, right] = [microphone[0], bot[0]];
    for (let at = 0; at < 128; at++) {
      this.sums[0] += left ? left[at] : 0;
      this.sums[1] += right ? right[at] : 0;
      if (++this.summed === this.factor) this.frame();
    }
    if (this.over) this.send();
    return !this.over;
  }

  frame() {
    for (const side of [0, 1]) {
      const mean = Math.max(-1, Math.min(1, this.sums[side] / this.factor));
      this.block[this.frames * 2 + side] = Math.round(mean * 32767);
      this.sums[side] = 0;
    }
    this.summed = 0;
    if (++this.frames * 2 === this.block.length) this.send();
  }

  send() {
    this.port.postMessage(this.block.slice(0, this.frames * 2));
    this.frames = 0;
  }
}

registerProcessor("voxwire-recording", Recording);
