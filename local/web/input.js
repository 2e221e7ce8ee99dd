// Where sound comes from: a microphone or a file.

import { Resampler } from "./resampler.js";

const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const REFUSED = {
  NotAllowedError: "This page may not use the microphone: allow it beside the page's address.",
  NotFoundError: "There is no microphone.",
  NotReadableError: "The microphone cannot be opened; another program may have it.",
};

/** A microphone, resampled as it comes. */
export class Microphone {
  /**
   * @param context AudioContext that runs.
   * @param rate of the samples, Hz.
   * @param take is called with each block of samples.
   * @param gone is called with a sentence if the device vanishes.
   */
  static async open(context, rate, take, gone) {
    await context.audioWorklet.addModule("worklet.js");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN });
    } catch (error) {
      throw new Error(REFUSED[error.name] ?? `The microphone cannot be opened: ${error.message}`);
    }
    const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    const resampler = new Resampler(context.sampleRate, rate);
    node.port.onmessage = ({ data }) => take(resampler.feed(data));
    const source = context.createMediaStreamSource(stream);
    source.connect(node);
    stream.getTracks()[0].onended = () => gone("The microphone is gone.");
    return new Microphone(stream, source, node, resampler, take);
  }

  constructor(stream, source, node, resampler, take) {
    Object.assign(this, { stream, source, node, resampler, take });
  }

  /** Ends it; the last samples come out of the resampler. */
  close() {
    this.node.port.onmessage = null;
    this.source.disconnect();
    this.stream.getTracks().forEach((track) => track.stop());
    this.take(this.resampler.flush());
  }
}

/** The samples of a recording at a rate, and how many channels it has: the first is taken. */
export async function decode(file, rate) {
  const content = await file.arrayBuffer();
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(content);
  } catch {
    throw new Error(`${file.name}: no recording that this browser can read.`);
  }
  return { samples: sound.getChannelData(0).slice(), channels: sound.numberOfChannels };
}
