// Hands the first channel of the microphone to the page, in blocks.

const BLOCK = 1024; // samples

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
  }

  process([[channel]]) {
    if (!channel) return true;
    this.block.set(channel, this.filled); // 128 samples, of which a block is a multiple
    this.filled += channel.length;
    if (this.filled === BLOCK) {
      this.port.postMessage(this.block);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
