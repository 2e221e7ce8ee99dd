import { join } from "./arrays.js";

const CROSSINGS = 16; // zero crossings of the sinc on each side
const ROLLOFF = 0.94; // of the lower Nyquist frequency: where the filter is at half
const BETA = 8; // of the Kaiser window

const gcd = (a, b) => (b ? gcd(b, a % b) : a);

/** Modified Bessel function of order 0, by its series. */
function bessel(x) {
  let sum = 1;
  for (let k = 1, term = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * Resamples a stream with a windowed sinc.
 *
 * Sample k of the output lies at k from / to of the input and is
 *
 *     sum_n x[n] c sinc(c (k from / to - n)) w((k from / to - n) / reach)
 *
 * with c the cutoff, to the input's Nyquist frequency, and w a Kaiser window. Places repeat every
 * to / gcd samples of the output, so there are as many sets of weights.
 */
export class Resampler {
  /** @param from rate of the input, Hz; @param to rate of the output, Hz. */
  constructor(from, to) {
    const common = gcd(from, to);
    this.up = to / common;
    this.down = from / common;
    const cutoff = ROLLOFF * Math.min(1, to / from);
    this.reach = Math.ceil(CROSSINGS / cutoff);
    this.weights = Array.from({ length: this.up }, (_, phase) => this.#phase(phase, cutoff));
    this.input = new Float32Array(this.reach); // silence before the first sample
    this.start = -this.reach; // place of input[0]
    this.taken = this.given = 0;
  }

  /** Weights of the samples from `reach - 1` before a place to `reach` after it. */
  #phase(phase, cutoff) {
    return Float32Array.from({ length: 2 * this.reach }, (_, i) => {
      const away = i - this.reach + 1 - phase / this.up;
      const inside = 1 - (away / this.reach) ** 2;
      const window = inside > 0 ? bessel(BETA * Math.sqrt(inside)) / bessel(BETA) : 0;
      const x = Math.PI * cutoff * away;
      return cutoff * window * (x ? Math.sin(x) / x : 1);
    });
  }

  /** Takes samples; gives those that are known by now. */
  feed(samples) {
    this.taken += samples.length;
    if (this.up === this.down) return samples;
    this.input = join(this.input, samples);
    const found = [];
    for (;;) {
      const place = Math.floor((this.given * this.down) / this.up);
      const first = place - this.reach + 1 - this.start;
      if (first + 2 * this.reach > this.input.length) break;
      const weights = this.weights[(this.given * this.down) % this.up];
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * this.input[first + i];
      found.push(sum);
      this.given++;
    }
    const done = Math.floor((this.given * this.down) / this.up) - this.reach + 1 - this.start;
    this.input = this.input.slice(Math.max(0, done));
    this.start += Math.max(0, done);
    return Float32Array.from(found);
  }

  /** Ends the stream; gives the samples that are left. */
  flush() {
    if (this.up === this.down) return new Float32Array(0);
    const length = Math.ceil((this.taken * this.up) / this.down);
    const left = length - this.given;
    return this.feed(new Float32Array(2 * this.reach)).slice(0, left);
  }
}
