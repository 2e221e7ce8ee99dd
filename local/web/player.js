import { Resampler } from "./resampler.js";

const AHEAD = 0.5; // seconds that are handed to the device before they are heard
const PIECE = 0.1; // seconds that are handed over at once, at most
const FADE = 0.01; // seconds, from one track to another

/** Plays tracks side by side and lets one of them be heard. */
export class Player {
  /**
   * @param context AudioContext.
   * @param tracks arrays that grow (`values`, `length`), all of the same rate.
   * @param rate of the tracks, Hz.
   * @param ended is called when all was heard; not while `growing`.
   */
  constructor(context, tracks, rate, ended) {
    Object.assign(this, { context, tracks, rate, ended });
    this.growing = false; // more is to come: wait for it
    this.gains = tracks.map(() => new GainNode(context, { gain: 0 }));
    this.gains.forEach((gain) => gain.connect(context.destination));
    this.nodes = new Set();
    this.timer = null;
  }

  get playing() {
    return this.timer !== null;
  }

  /** Lets a track be heard. */
  choose(number) {
    this.gains.forEach((gain, k) => {
      gain.gain.setTargetAtTime(k === number ? 1 : 0, this.context.currentTime, FADE / 3);
    });
  }

  /** Seconds of the tracks that are heard now. */
  get position() {
    const ahead = Math.max(0, this.next / this.context.sampleRate - this.context.currentTime);
    return Math.max(this.began, this.at / this.rate - ahead);
  }

  /** Plays from a place, in seconds. */
  start(seconds) {
    this.stop();
    this.began = seconds;
    this.at = Math.round(seconds * this.rate); // sample that is handed over next
    this.next = 0; // where it will be heard, in samples of the device
    this.resamplers = this.tracks.map(() => new Resampler(this.rate, this.context.sampleRate));
    this.timer = setInterval(() => this.#hand(), 50);
    this.#hand();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.nodes.forEach((node) => node.stop());
    this.nodes.clear();
  }

  #hand() {
    const { context, rate } = this;
    const now = context.currentTime * context.sampleRate;
    while (this.next < now + AHEAD * context.sampleRate) {
      const end = Math.min(this.at + PIECE * rate, this.tracks[0].length);
      if (end <= this.at) break;
      // After a gap, and at first: a little later than now, as it has to be handed over in time.
      if (this.next < now) this.next = Math.ceil(now + 0.05 * context.sampleRate);
      this.#schedule(this.tracks.map((track) => track.values.subarray(this.at, end)));
      this.at = end;
    }
    const over = this.at >= this.tracks[0].length && this.next < now;
    if (over && !this.growing) {
      this.stop();
      this.ended();
    }
  }

  /** Gives a piece of each track to the device, to be heard where the one before it ends. */
  #schedule(pieces) {
    const { context } = this;
    const heard = pieces.map((piece, k) => this.resamplers[k].feed(piece));
    if (!heard[0].length) return;
    heard.forEach((samples, k) => {
      const buffer = context.createBuffer(1, samples.length, context.sampleRate);
      buffer.copyToChannel(samples, 0);
      const node = new AudioBufferSourceNode(context, { buffer });
      node.connect(this.gains[k]);
      node.start(this.next / context.sampleRate);
      node.onended = () => this.nodes.delete(node);
      this.nodes.add(node);
    });
    this.next += heard[0].length;
  }
}
