// Arrays that are put together or grow.

/** One Float32Array of several. */
export function join(...parts) {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A typed array that is appended to. */
export class Growing {
  /** @param Type of the array, such as Float32Array. */
  constructor(Type) {
    this.buffer = new Type(1 << 14);
    this.length = 0;
  }

  push(values) {
    if (this.length + values.length > this.buffer.length) {
      const larger = new this.buffer.constructor(2 * (this.length + values.length));
      larger.set(this.values);
      this.buffer = larger;
    }
    this.buffer.set(values, this.length);
    this.length += values.length;
  }

  /** What is there now: a view, not a copy. */
  get values() {
    return this.buffer.subarray(0, this.length);
  }
}
