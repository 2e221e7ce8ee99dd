/**
 * A gain for all sources that lets their sum follow the mixture, from the past alone: LevelFollower
 * of inference/streaming.py, hop for hop.
 *
 * The gain is that of least squares, <mixture, sum> / <sum, sum>, over the past, which is forgotten
 * with a time constant. It is computed for each hop, and runs in a straight line to the next.
 */
export class LevelFollower {
  /** @param facts of model.json. */
  constructor(facts) {
    this.hop = facts.stride;
    this.most = facts.most_gain;
    this.decay = Math.exp(-this.hop / (facts.level_seconds * facts.sample_rate));
    this.both = this.own = 0; // the products with the mixture, and of the sum with itself
    this.gain = 0; // of the last hop; 0 before the first
  }

  /** Scales the sources, Float32Arrays of the mixture's length, in place. */
  follow(mixture, sources) {
    for (let start = 0; start < mixture.length; start += this.hop) {
      this.#hop(mixture, sources, start, Math.min(start + this.hop, mixture.length));
    }
  }

  #hop(mixture, sources, start, end) {
    let both = 0;
    let own = 0;
    for (let i = start; i < end; i++) {
      let sum = 0;
      for (const source of sources) sum += source[i];
      both += mixture[i] * sum;
      own += sum * sum;
    }
    this.both = both + this.decay * this.both;
    this.own = own + this.decay * this.own;
    const wanted = this.own > 0 ? this.both / this.own : 1;
    const gain = Math.min(Math.max(wanted, 1 / this.most), this.most);
    const before = this.gain > 0 ? this.gain : gain;
    for (const source of sources) {
      for (let i = start; i < end; i++) {
        source[i] *= before + ((gain - before) * (i - start + 1)) / this.hop;
      }
    }
    this.gain = gain;
  }
}
