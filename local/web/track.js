import { Growing } from "./arrays.js";

export const STEP_DB = 0.5; // what one in a column's bytes means
export const LOWEST_DB = -120; // what 0 means
const WINDOW_SECONDS = 0.032;

/** Fourier transform in place; their length is a power of two. */
function transform(real, imaginary) {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let half = 1; half < size; half *= 2) {
    for (let k = 0; k < half; k++) {
      const c = Math.cos((Math.PI * k) / half);
      const s = -Math.sin((Math.PI * k) / half);
      for (let i = k; i < size; i += 2 * half) {
        const re = c * real[i + half] - s * imaginary[i + half];
        const im = s * real[i + half] + c * imaginary[i + half];
        real[i + half] = real[i] - re;
        imaginary[i + half] = imaginary[i] - im;
        real[i] += re;
        imaginary[i] += im;
      }
    }
  }
}

/** A track: its samples, and their spectrogram, a column of bytes every quarter of a window. */
export class Track {
  constructor(rate) {
    this.rate = rate;
    this.size = 2 ** Math.round(Math.log2(WINDOW_SECONDS * rate));
    this.hop = this.size / 4;
    this.bins = this.size / 2 + 1;
    this.window = Float32Array.from(
      { length: this.size },
      (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / this.size),
    );
    this.samples = new Growing(Float32Array);
    this.columns = new Growing(Uint8Array); // bins of the first column, of the second, ...
    this.loudest = 0; // byte
  }

  get seconds() {
    return this.samples.length / this.rate;
  }

  push(samples) {
    this.samples.push(samples);
    const half = this.size / 2;
    let middle = (this.columns.length / this.bins) * this.hop;
    for (; middle + half <= this.samples.length; middle += this.hop) this.#column(middle - half);
  }

  /** Level of each frequency in a window; a sine of full scale has 0 dB. */
  #column(start) {
    const { values } = this.samples;
    const real = this.window.map((weight, i) => (start + i < 0 ? 0 : weight * values[start + i]));
    const imaginary = new Float32Array(this.size);
    transform(real, imaginary);
    const column = new Uint8Array(this.bins);
    for (let bin = 0; bin < this.bins; bin++) {
      const power = (real[bin] ** 2 + imaginary[bin] ** 2) / (this.size / 4) ** 2;
      const decibels = 10 * Math.log10(power + 1e-20);
      column[bin] = Math.max(0, Math.min(255, Math.round((decibels - LOWEST_DB) / STEP_DB)));
      this.loudest = Math.max(this.loudest, column[bin]);
    }
    this.columns.push(column);
  }
}
