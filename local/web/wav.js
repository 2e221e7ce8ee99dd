/** A mono wav file of 32-bit floats, which keep every sample as it is, as a Blob. */
export function wav(samples, rate) {
  const bytes = 4 * samples.length;
  const header = new DataView(new ArrayBuffer(56));
  const text = (at, letters) => {
    [...letters].forEach((letter, i) => header.setUint8(at + i, letter.charCodeAt()));
  };
  text(0, "RIFF");
  header.setUint32(4, 48 + bytes, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true); // bytes of what describes the format
  header.setUint16(20, 3, true); // floats
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, 4 * rate, true); // bytes a second
  header.setUint16(32, 4, true); // bytes a sample
  header.setUint16(34, 32, true); // bits a sample
  text(36, "fact");
  header.setUint32(40, 4, true);
  header.setUint32(44, samples.length, true);
  text(48, "data");
  header.setUint32(52, bytes, true);
  return new Blob([header, samples], { type: "audio/wav" }); // browsers' arrays are little-endian
}
