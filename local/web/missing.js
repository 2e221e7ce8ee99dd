// What a browser lacks, in words.

// A function that makes a vector: only WebAssembly with SIMD takes it.
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15,
  253, 98, 11,
];

/** Why nothing can be separated here, or an empty string. */
export function anythingMissing() {
  if (!globalThis.WebAssembly) return "This browser has no WebAssembly, or it is switched off.";
  if (!WebAssembly.validate(Uint8Array.from(SIMD))) {
    return "This browser's WebAssembly has no SIMD, which the network needs: use a later one.";
  }
  if (!globalThis.AudioContext) return "This browser has no Web Audio: use a later one.";
  return "";
}

/** Why there can be no microphone, or an empty string. */
export function microphoneMissing() {
  if (!isSecureContext) {
    return "No microphone: browsers give it to pages of https and localhost only. Recordings work.";
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    return "No microphone: this browser gives pages none. Recordings work.";
  }
  if (!globalThis.AudioWorkletNode) {
    return "No microphone: this browser has no AudioWorklet. Recordings work.";
  }
  return "";
}
