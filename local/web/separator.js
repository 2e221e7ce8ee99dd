import { join } from "./arrays.js";
import { LevelFollower } from "./level.js";

/**
 * Feeds a streaming ONNX file with samples as they come: Streamer of inference/streaming.py.
 *
 * All that `feed` and `flush` give, together, is what the network gives for the whole recording,
 * whatever the sizes of the blocks. inference/onnx.py says what goes into the file and comes out.
 */
export class Separator {
  /**
   * @param facts of model.json: rate, kernel, stride, ..., and the type and shape of each state.
   * @param session of ONNX Runtime.
   * @param Tensor class of ONNX Runtime.
   */
  constructor(facts, session, Tensor) {
    Object.assign(this, { facts, session, Tensor });
    this.reset();
  }

  /** Begins a new stream. */
  reset() {
    this.state = this.facts.state.map(({ type, shape }) => {
      const length = shape.reduce((product, size) => product * size, 1);
      const Values = type === "float64" ? Float64Array : Float32Array;
      return new this.Tensor(type, new Values(length), shape);
    });
    this.waiting = new Float32Array(0); // input that fills no hop yet
    this.mixture = new Float32Array(0); // input without an estimate yet
    const { lookahead, stride, edges = 0 } = this.facts;
    this.started = edges > 0; // silence before the first sample is there from the beginning
    this.early = lookahead * stride + edges;
    this.silence = this.early; // samples still to come out before the first one
    this.follower = new LevelFollower(this.facts);
  }

  /**
   * Takes samples, as many as there are.
   *
   * @returns {mixture, sources}: samples that have had no estimate yet, and an array of as many
   *     for each source; empty until enough samples have come.
   */
  async feed(samples) {
    const finite = samples.map((value) => (Number.isFinite(value) ? value : 0));
    this.mixture = join(this.mixture, finite);
    return this.#levelled(await this.#separate(finite));
  }

  /** Ends the stream; gives the samples that are left, as `feed` does. */
  async flush() {
    const left = this.mixture.length;
    if (!left) return this.#levelled(this.#nothing());
    // As the network pads a whole recording: zeros up to a whole frame, and those that it sees.
    const { kernel, stride } = this.facts;
    const waiting = this.waiting.length;
    const missing = this.started ? (stride - (waiting % stride)) % stride : kernel - waiting;
    const hops = await this.#separate(new Float32Array(missing + this.early));
    const tail = this.#rows(this.state[this.facts.decoder_state].data);
    return this.#levelled(hops.map((hop, k) => join(hop, tail[k]).subarray(0, left)));
  }

  #nothing() {
    return Array.from({ length: this.facts.n_src }, () => new Float32Array(0));
  }

  /** The sources of a tensor (..., source, time), one array each. */
  #rows(values) {
    const length = values.length / this.facts.n_src;
    return this.#nothing().map((_, k) => values.slice(k * length, (k + 1) * length));
  }

  /** Estimates of the hops that are whole now. */
  async #separate(samples) {
    const { kernel, stride } = this.facts;
    let waiting = join(this.waiting, samples);
    if (!this.started && waiting.length >= kernel) {
      const before = kernel - stride;
      const { type, shape } = this.facts.state[0];
      this.state[0] = new this.Tensor(type, waiting.slice(0, before), shape);
      waiting = waiting.slice(before);
      this.started = true;
    }
    const whole = this.started ? waiting.length - (waiting.length % stride) : 0;
    this.waiting = waiting.slice(whole);
    if (!whole) return this.#nothing();
    const feeds = { wav: new this.Tensor("float32", waiting.slice(0, whole), [1, whole]) };
    this.state.forEach((tensor, number) => (feeds[`state_${number}`] = tensor));
    const outputs = await this.session.run(feeds);
    this.state = this.state.map((_, number) => outputs[`new_state_${number}`]);
    const silent = Math.min(whole, this.silence);
    this.silence -= silent;
    return this.#rows(outputs.estimates.data).map((source) => source.subarray(silent));
  }

  /** Estimates at their levels, with the mixture that they belong to. */
  #levelled(sources) {
    const mixture = this.mixture.slice(0, sources[0].length);
    this.mixture = this.mixture.slice(mixture.length);
    this.follower.follow(mixture, sources);
    return { mixture, sources };
  }
}
