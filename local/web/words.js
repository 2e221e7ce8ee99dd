// What the page says of the network and of a recording.

export const seconds = (value) => `${value.toFixed(1)} s`;

/** A line about a network. @param facts model.json. */
export function describe(facts) {
  const { name, n_src: sources, sample_rate: rate, latency, trained_on: corpus, licence } = facts;
  const parts = [`${sources} speakers`, `${rate / 1000} kHz`];
  parts.push(`${+((1000 * latency) / rate).toFixed(1)} ms of latency`);
  if (corpus) parts.push(`trained on ${corpus}`);
  if (licence) parts.push(`licence of the weights: ${licence}`);
  return `${name}: ${parts.join(", ")}`;
}

/** What files of the microphone are called: by the time of the place. */
export function liveName() {
  const now = new Date();
  now.setMinutes(now.getMinutes() - now.getTimezoneOffset());
  return `live-${now.toISOString().slice(0, 19).replace(/[T:]/g, "-")}`;
}

/**
 * How far a recording is.
 *
 * @param recording of page.js; its calls are {work, length}, in seconds.
 * @param behind seconds that came and are not separated yet.
 */
export function progress({ calls, duration, live, running, tracks }, behind) {
  const sum = (key) => calls.reduce((total, call) => total + call[key], 0);
  const factor = sum("length") ? sum("work") / sum("length") : 0;
  const of = running && !live ? ` of ${seconds(duration)}` : "";
  const late = live && behind > 1 ? `; ${seconds(behind)} behind, as this machine is too slow` : "";
  return `${seconds(tracks[0].seconds)}${of}, real-time factor ${factor.toFixed(2)}${late}`;
}

/** Level of samples, dB of full scale: of a sine of full scale -3. */
export function levelOf(samples) {
  const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
  return samples.length && power > 0 ? 10 * Math.log10(power) : -Infinity;
}
